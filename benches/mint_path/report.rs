//! The table, and what was reached of the targets.
//!
//! The ratio is to the faster floor, whichever runtime the daemon chose. The warm mint is held against the floor round
//! by round: the targets are of the medians, and each round is shown.

use comfy_table::{CellAlignment, Table, presets};

use super::big::Big;
use super::plan::Findings;

/// One load.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What the client saw.
    pub findings: Findings,
    /// Processor time of the server.
    pub cpu_ms_per_thousand: f64,
    /// Of the server, at the end.
    pub rss_mib: f64,
    /// Counted in a run of its own.
    pub fsyncs_per_thousand: Option<f64>,
    /// What the cloud took alone under the same load.
    pub upstream_p50_ms: Option<f64>,
}

/// The floor, and right after it the warm mint.
pub struct Round {
    /// With one thread.
    pub floor: Findings,
    /// Of the daemon.
    pub warm: Findings,
}

/// Everything that was found.
#[derive(Default)]
pub struct Report {
    idle_rss_mib: f64,
    /// Calls that the cloud saw, and what the callers saw.
    pub burst: Option<(u64, Findings)>,
    /// With the big store.
    pub big: Option<Big>,
    /// None when the warm mint was not asked for.
    pub rounds: Vec<Round>,
    rows: Vec<Row>,
}

impl Report {
    /// Nothing yet but the memory of a daemon that has done nothing.
    pub fn of_idle(idle_rss_mib: f64) -> Self {
        Self { idle_rss_mib, ..Self::default() }
    }

    /// One more load.
    pub fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// What the load with this name made durable.
    pub fn fsyncs(&mut self, name: &str, per_thousand: f64) {
        for row in self.rows.iter_mut().filter(|row| row.name == name) {
            row.fsyncs_per_thousand = Some(per_thousand);
        }
    }

    /// Prints it.
    pub fn print(&self) {
        println!("\n{}", self.table());
        for row in self.rows.iter().filter(|row| row.findings.refused > 0) {
            println!("{}: {} calls were refused: {}", row.name, row.findings.refused, row.findings.refusal);
        }
        if let Some((calls, findings)) = &self.burst {
            println!(
                "10,000 at once: {} answered, {} refused {}, p50 {:.0} ms, p99 {:.0} ms, {calls} upstream",
                findings.calls, findings.refused, findings.refusal, findings.p50_ms, findings.p99_ms
            );
        }
        if let Some(big) = &self.big {
            println!("{big}");
        }
        if !self.rounds.is_empty() {
            let shares = self.shares().map(|share| format!("{share:.1} %")).collect::<Vec<_>>().join(", ");
            let p99s = self.p99s().map(|times| format!("{times:.1}")).collect::<Vec<_>>().join(", ");
            println!("warm mint over the floor in turn: calls/s {shares}; p99 {p99s} times");
        }
        println!("\ntargets");
        for (reached, words) in self.targets() {
            println!("  {}  {words}", if reached { "PASS" } else { "MISS" });
        }
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header([
            "load",
            "calls/s",
            "of floor",
            "p50 ms",
            "STS alone",
            "p99 ms",
            "p99.9 ms",
            "p99 : floor",
            "CPU ms/1000",
            "fsyncs/1000",
            "RSS MiB",
        ]);
        let floor = self.floor();
        for row in &self.rows {
            let found = &row.findings;
            let of_floor = floor.map(|floor| found.rate() * 100.0 / floor.rate());
            let p99 = floor.map(|floor| found.p99_ms / floor.p99_ms);
            table.add_row([
                row.name.to_owned(),
                format!("{:.0}", found.rate()),
                shown(of_floor, |value| format!("{value:.1} %")),
                format!("{:.2}", found.p50_ms),
                shown(row.upstream_p50_ms, |value| format!("{value:.2}")),
                format!("{:.2}", found.p99_ms),
                format!("{:.2}", found.p999_ms),
                shown(p99, |value| format!("{value:.1}")),
                format!("{:.1}", row.cpu_ms_per_thousand),
                shown(row.fsyncs_per_thousand, |value| format!("{value:.1}")),
                format!("{:.1}", row.rss_mib),
            ]);
        }
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        table
    }

    fn floor(&self) -> Option<&Findings> {
        let floors = self.rows.iter().filter(|row| row.name.starts_with("floor")).map(|row| &row.findings);
        floors.max_by(|a, b| a.rate().total_cmp(&b.rate()))
    }

    /// Of each round: the warm mint's calls in percent of the floor's.
    fn shares(&self) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(|round| round.warm.rate() * 100.0 / round.floor.rate())
    }

    /// Of each round: the warm mint's p99 over the floor's.
    fn p99s(&self) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(|round| round.warm.p99_ms / round.floor.p99_ms)
    }

    /// Issue 2, section 10.
    fn targets(&self) -> Vec<(bool, String)> {
        let mut targets = Vec::new();
        if let (Some(share), Some(p99)) = (median(self.shares()), median(self.p99s())) {
            targets.push((share >= 40.0, format!("warm mint: {share:.1} % of the floor's calls, median (>= 40 %)")));
            targets.push((p99 <= 3.0, format!("warm mint: p99 is {p99:.1} times the floor's, median (<= 3)")));
        }
        for cold in &self.rows {
            if let Some(upstream) = cold.upstream_p50_ms.filter(|_| !cold.name.ends_with("64 in flight")) {
                let (name, added) = (cold.name, cold.findings.p50_ms - upstream);
                targets.push((added <= 3.0, format!("{name}: p50 is the STS alone and {added:.2} ms (<= 3 ms)")));
            }
        }
        if let Some((calls, findings)) = &self.burst {
            let refused = findings.refused;
            let words = format!("10,000 identical asks at once: {calls} upstream calls (1), {refused} refused (0)");
            targets.push((*calls == 1 && refused == 0, words));
        }
        targets.push((self.idle_rss_mib <= 40.0, format!("idle: {:.1} MiB (<= 40 MiB)", self.idle_rss_mib)));
        targets.extend(self.big.iter().flat_map(Big::targets));
        targets
    }
}

fn shown(value: Option<f64>, words: impl Fn(f64) -> String) -> String {
    value.filter(|value| value.is_finite()).map_or_else(|| "-".to_owned(), words)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
