//! What a process costs, as the kernel counts it: processor time and memory from `/proc`, fsyncs from strace.

use std::fs;
use std::path::Path;

use super::plan::Outcome;

/// Processor time of a process so far, user and system, in milliseconds.
pub fn cpu_ms(id: u32) -> Outcome<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name in parentheses may hold spaces; `utime` and `stime` are fields 14 and 15, the 12th and 13th after it.
    let (_, rest) = stat.rsplit_once(')').ok_or("/proc/PID/stat has no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| -> Outcome<f64> { Ok(fields.get(index).ok_or("/proc/PID/stat is short")?.parse()?) };
    let per_second = f64::from(u32::try_from(rustix::param::clock_ticks_per_second())?);
    Ok((ticks(11)? + ticks(12)?) * 1000.0 / per_second)
}

/// Resident memory of a process now, in MiB.
pub fn rss_mib(id: u32) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("/proc/PID/status has no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// How many fsyncs and fdatasyncs a trace of strace has between two moments, in seconds since 1970.
pub fn fsyncs(trace: &Path, since: f64, until: f64) -> Outcome<u64> {
    let trace = fs::read_to_string(trace)?;
    let moments = trace.lines().filter(|line| line.contains("sync(")).filter_map(|line| {
        // `PID SECONDS.MICROS call(...)`
        line.split_whitespace().nth(1).and_then(|moment| moment.parse::<f64>().ok())
    });
    Ok(u64::try_from(moments.filter(|moment| (since..until).contains(moment)).count())?)
}
