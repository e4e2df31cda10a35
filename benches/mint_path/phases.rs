//! The bench from beginning to end: starts what is needed, one part at a time, and hands what it found to the report.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::child::Child;
use super::daemon::{Daemon, Place};
use super::founding::{self, CONNECTOR, People};
use super::options::Options;
use super::plan::{Call, Findings, FloorPlan, LoadPlan, Outcome, WINDOW_CLOSES, WINDOW_OPENS, count};
use super::report::{Report, Round, Row};
use super::{big, meter, sts};

/// Measures everything that the options ask for, and prints the table.
pub fn run(options: &Options) -> Outcome<()> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let mut sts = Child::of_us("sts", &())?;
    let sts_port = sts.port()?;
    let place = Place::make(folder.path())?;
    let daemon = place.serve(options.threads, sts_port, None)?;
    let mut report = Report::of_idle(meter::rss_mib(daemon.id)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let settings = founding::settings(sts_port);
    let people = runtime.block_on(founding::found(daemon.port, &place.ca(), &place.owner, &settings))?;
    let answer_bytes = runtime.block_on(founding::mint_once(daemon.port, &place.ca(), &people.consumer))?;
    let bench = Bench { options, place: &place, people: &people, sts_port, sts_id: sts.id() };
    println!("the answer to a mint is {answer_bytes} bytes");
    for (name, threads) in [("floor, one thread", 1), ("floor, two workers", 2)] {
        report.add(bench.floor(name, threads, answer_bytes)?);
    }
    bench.loads(&daemon, &mut report)?;
    if options.wants(WARM) {
        report.rounds = bench.rounds(&daemon, answer_bytes)?;
    }
    if options.wants("burst") {
        report.burst = Some(bench.burst(&daemon)?);
    }
    daemon.stop()?;
    bench.fsyncs(folder.path(), &mut report)?;
    if options.big {
        report.big = Some(big::measured(options, sts_port)?);
    }
    report.print();
    Ok(())
}

struct Bench<'a> {
    options: &'a Options,
    place: &'a Place,
    people: &'a People,
    sts_port: u16,
    sts_id: u32,
}

/// One load with its name.
struct Load {
    name: &'static str,
    in_flight: usize,
    connections: usize,
    /// Of the STS.
    delay: Duration,
    token: String,
    call: Call,
}

/// What was seen while a window was open.
struct Window {
    findings: Findings,
    cpu_ms: f64,
    since: f64,
    until: f64,
}

impl Bench<'_> {
    /// The floor and the warm mint in turn: what else the machine does meanwhile meets both.
    fn rounds(&self, daemon: &Daemon, answer_bytes: usize) -> Outcome<Vec<Round>> {
        let mut floor = self.start_floor(1, answer_bytes)?;
        let port = floor.port()?;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let below = self.window(&self.warm_mint("the floor in turn"), port, floor.id(), self.options.measured)?;
            let warm =
                self.window(&self.warm_mint("the warm mint in turn"), daemon.port, daemon.id, self.options.measured)?;
            rounds.push(Round { floor: below.findings, warm: warm.findings });
        }
        Ok(rounds)
    }

    fn start_floor(&self, threads: usize, answer_bytes: usize) -> Outcome<Child> {
        let data = self.place.data();
        let (certificate, key) = (data.join("server.pem"), data.join("server.key"));
        Child::of_us("floor", &FloorPlan { certificate, key, threads, answer_bytes })
    }

    fn floor(&self, name: &'static str, threads: usize, answer_bytes: usize) -> Outcome<Row> {
        let mut floor = self.start_floor(threads, answer_bytes)?;
        let port = floor.port()?;
        let load = self.warm_mint(name);
        let window = self.window(&load, port, floor.id(), self.options.measured)?;
        row(name, &window, floor.id())
    }

    fn loads(&self, daemon: &Daemon, report: &mut Report) -> Outcome<()> {
        for load in self.all() {
            if self.options.wants(load.name) {
                sts::control(self.sts_port, load.delay)?;
                let window = self.window(&load, daemon.port, daemon.id, self.options.measured)?;
                report.add(Row { upstream_p50_ms: self.upstream(&load)?, ..row(load.name, &window, daemon.id)? });
            }
        }
        Ok(())
    }

    /// What the cloud takes alone, asked by as many at a time, for a load that asks it for each call.
    fn upstream(&self, load: &Load) -> Outcome<Option<f64>> {
        if !matches!(load.call, Call::Mint { spread: 0, .. }) {
            return Ok(None);
        }
        let alone = Load { name: "the STS alone", call: Call::Upstream, ..self.warm_mint("") };
        let plan = LoadPlan { in_flight: load.in_flight, ..self.plan(&alone, self.sts_port, UPSTREAM_MEASURED) };
        Ok(Some(watched(&plan, self.sts_id)?.findings.p50_ms))
    }

    fn all(&self) -> Vec<Load> {
        let engineer = self.people.engineer.clone();
        let settings = founding::settings(self.sts_port);
        let cold = |name, in_flight, delay_ms| Load {
            call: mint(&format!("cold-{in_flight}-{delay_ms}"), 0),
            delay: Duration::from_millis(delay_ms),
            in_flight,
            ..self.warm_mint(name)
        };
        vec![
            Load { call: Call::WhoAmI, ..self.warm_mint("whoami") },
            self.warm_mint(WARM),
            Load { in_flight: 1, connections: 1, ..self.warm_mint("mint, warm, one at a time") },
            cold("mint, cold, STS 0 ms, 1 in flight", 1, 0),
            cold("mint, cold, STS 5 ms, 1 in flight", 1, 5),
            cold("mint, cold, STS 50 ms, 1 in flight", 1, 50),
            cold("mint, cold, STS 0 ms, 8 in flight", COLD_IN_FLIGHT, 0),
            cold("mint, cold, STS 5 ms, 8 in flight", COLD_IN_FLIGHT, 5),
            cold("mint, cold, STS 50 ms, 8 in flight", COLD_IN_FLIGHT, 50),
            cold("mint, cold, STS 0 ms, 64 in flight", IN_FLIGHT, 0),
            Load {
                call: Call::Register { prefix: "registered".to_owned(), settings },
                token: engineer,
                // The daemon ends a connection that carried a secret: each call pays for its own.
                in_flight: REGISTERING,
                connections: REGISTERING,
                ..self.warm_mint("register")
            },
        ]
    }

    fn warm_mint(&self, name: &'static str) -> Load {
        Load {
            name,
            in_flight: IN_FLIGHT,
            connections: CONNECTIONS,
            delay: Duration::ZERO,
            token: self.people.consumer.clone(),
            call: mint("warm", WARM_SPREAD),
        }
    }

    /// 10,000 callers ask for the same at once; answers the calls that the cloud saw.
    fn burst(&self, daemon: &Daemon) -> Outcome<(u64, Findings)> {
        let before = sts::control(self.sts_port, BURST_DELAY)?;
        let plan = LoadPlan {
            connections: BURST_CONNECTIONS,
            in_flight: BURST_CALLS,
            calls_max: Some(u64::try_from(BURST_CALLS)?),
            warm_up: Duration::ZERO,
            ..self.plan(&Load { call: mint("burst", 1), ..self.warm_mint("burst") }, daemon.port, BURST_MAX)
        };
        let findings = watched(&plan, daemon.id)?.findings;
        Ok((sts::control(self.sts_port, Duration::ZERO)? - before, findings))
    }

    /// Starts the daemon again under strace, and counts what it made durable.
    fn fsyncs(&self, folder: &Path, report: &mut Report) -> Outcome<()> {
        let trace = folder.join("fsyncs");
        let daemon = match self.place.serve(self.options.threads, self.sts_port, Some(&trace)) {
            Ok(daemon) => daemon,
            Err(error) => {
                println!("fsyncs are not counted: {error}");
                return Ok(());
            }
        };
        let mut windows = Vec::new();
        for mut load in self.all() {
            if self.options.wants(load.name) {
                load.call = again(load.call);
                sts::control(self.sts_port, load.delay)?;
                windows.push((load.name, self.window(&load, daemon.port, daemon.id, FSYNCS_MEASURED)?));
            }
        }
        daemon.stop()?;
        for (name, window) in windows {
            let synced = meter::fsyncs(&trace, window.since, window.until)?;
            report.fsyncs(name, per_thousand(count(synced), &window.findings));
        }
        Ok(())
    }

    fn window(&self, load: &Load, port: u16, id: u32, measured: Duration) -> Outcome<Window> {
        println!("measuring {} ...", load.name);
        watched(&self.plan(load, port, measured), id)
    }

    fn plan(&self, load: &Load, port: u16, measured: Duration) -> LoadPlan {
        LoadPlan {
            port,
            ca: self.place.ca(),
            token: load.token.clone(),
            connections: load.connections,
            in_flight: load.in_flight,
            warm_up: WARM_UP,
            measured,
            calls_max: None,
            call: load.call.clone(),
        }
    }
}

/// Runs a load, and looks at the server's processor time when the window opens and closes.
fn watched(plan: &LoadPlan, id: u32) -> Outcome<Window> {
    let mut load = Child::of_us("load", plan)?;
    expect(&mut load, WINDOW_OPENS)?;
    let (since, before) = (now()?, meter::cpu_ms(id)?);
    expect(&mut load, WINDOW_CLOSES)?;
    let (until, after) = (now()?, meter::cpu_ms(id)?);
    let findings = serde_json::from_str(&load.line()?)?;
    load.wait()?;
    Ok(Window { findings, cpu_ms: after - before, since, until })
}

fn expect(load: &mut Child, moment: &str) -> Outcome<()> {
    let line = load.line()?;
    if line == moment { Ok(()) } else { Err(format!("the load said: {line}").into()) }
}

fn row(name: &'static str, window: &Window, id: u32) -> Outcome<Row> {
    Ok(Row {
        name,
        cpu_ms_per_thousand: per_thousand(window.cpu_ms, &window.findings),
        rss_mib: meter::rss_mib(id)?,
        findings: window.findings.clone(),
        fsyncs_per_thousand: None,
        upstream_p50_ms: None,
    })
}

fn per_thousand(value: f64, findings: &Findings) -> f64 {
    if findings.calls == 0 { 0.0 } else { value * 1000.0 / count(findings.calls) }
}

fn mint(folder: &str, spread: u64) -> Call {
    Call::Mint { connector: CONNECTOR.to_owned(), folder: folder.to_owned(), spread }
}

/// The same load on the same store once more: under names that are not there yet.
fn again(call: Call) -> Call {
    match call {
        Call::WhoAmI => Call::WhoAmI,
        Call::Upstream => Call::Upstream,
        Call::Mint { connector, folder, spread } => Call::Mint { connector, folder: format!("{folder}-again"), spread },
        Call::Register { prefix, settings } => Call::Register { prefix: format!("{prefix}-again"), settings },
    }
}

fn now() -> Outcome<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

const WARM: &str = "mint, warm";

// Odd, so that one of them is the median.
const ROUNDS: usize = 5;

// What the issue measures at.
const IN_FLIGHT: usize = 64;

// Few enough that what is timed is the mint and not the queue before it.
const COLD_IN_FLIGHT: usize = 8;

const REGISTERING: usize = 16;

// Where the floor is fastest on two cores.
const CONNECTIONS: usize = 4;

// A platform asks for more than one resource; all fit the cache.
const WARM_SPREAD: u64 = 16;

const WARM_UP: Duration = Duration::from_secs(1);

const FSYNCS_MEASURED: Duration = Duration::from_secs(2);

const UPSTREAM_MEASURED: Duration = Duration::from_secs(1);

const BURST_CALLS: usize = 10_000;

// At most 100 calls on each, which is below any server's limit of streams.
const BURST_CONNECTIONS: usize = 100;

// Long enough that all ask before the cloud answers.
const BURST_DELAY: Duration = Duration::from_secs(2);

const BURST_MAX: Duration = Duration::from_secs(30);
