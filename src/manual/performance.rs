//! # Performance
//!
//! The figures are in the README; `cargo bench --bench mint_path` measures them
//! anew. Here is what is behind them.
//!
//! ## What was tried
//!
//! Floor and warm mint are measured in turn, five times, because the machine
//! that this ran on gives the same binary between 15,000 and 26,000 warm mints
//! a second within minutes. What was tried against the p99 and measured in turn
//! gave nothing: checkpoints in small steps (a fifth fewer mints), none at all
//! for the length of a run, a writer that waits for company (200 and 300 us),
//! one STS client for all calls, and a shorter time slice for the writer. Thin
//! LTO in one unit, one box for each call and fewer wakes took a warm mint from
//! 48 to 60 us of CPU to 38 to 45, measured in turn; floor and mint gained
//! alike. Replies that are ready together leave in one write: a group of twenty
//! lines had cost 23 writes, a fifth of the serving thread's time; in calls/s
//! and p99 what it gave was within the noise of two rounds in turn. The p99
//! stays between 2.5 and 4.4 times the floor's. Without a disk under it
//! (`TMPDIR=/dev/shm cargo bench --bench mint_path -- --only "mint, warm"`) it
//! is hardly better: medians of 2.8 and 3.1, with one in between each of 4.2
//! and 2.9 on the disk. So it is not the fsync alone. Our reading: load, server
//! and writer are three busy threads on two cores, and the floor has two.
//!
//! ## The target of the cold mint
//!
//! The target of the cold mint is held against the STS asked alone by as many
//! callers at a time, at one in flight, which is what the daemon adds, and at
//! eight, which is also the queue for two cores.
//!
//! ## Where the time goes
//!
//! Where the time goes: a warm mint is one ledger line in a group commit and
//! 2.5 to 3.3 times the floor's CPU. Nearly all of that is the line: `whoami`
//! goes through the same gates, and a flood of it, which is counted and has no
//! lines, gets 97 % of the floor's calls/s at 1.1 times its p99. A cold
//! mint makes two commits, intent and then result with issuance and the
//! hand-out to the one whose ask it was; an fsync is 0.3 to 0.5 ms at this
//! pace, 0.1 ms less into a file that keeps its length, and `fdatasync` is no
//! faster than `fsync`. Eight at a time are CPU, not disk: 0.6 to 0.9 ms of the
//! daemon for each, two thirds of it on the one thread that serves and a third
//! on the writer. With an STS that takes no time eight callers already get four
//! fifths of the calls/s that sixty-four do: the two cores are full. On a
//! machine that is busy with other things all latencies here are several times
//! longer.
