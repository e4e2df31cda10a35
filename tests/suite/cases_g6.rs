//! SECURITY.md G6 through the real daemon: its clock is set back a day and forward again, while it runs and while it
//! does not. Order in the ledger is that of its places, and each jump is a line of it.

use std::fs;

use serde_json::Value;
use std::time::Duration;

use crate::faults::asks;
use crate::faults::sts::Sts;
use crate::rig::cast;
use crate::rig::process::eventually;
use crate::rig::vault::{Setup, Vault};
use crate::rig::wire::reason;

const SOON: Duration = Duration::from_secs(10);

/// A vault whose clock follows a file. Only the wall clock is another one: what measures how time passes is the
/// system's own, as it is when somebody sets the clock of a machine.
struct World {
    vault: Vault,
    cloud: Sts,
}

impl World {
    fn new() -> Self {
        let cloud = Sts::constant();
        let vault = Setup::new()
            .reaching(&[&cloud.url()])
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .variable("FAKETIME_NO_CACHE", "1")
            .start();
        let key = [cast::CANARY_ID.as_bytes(), cast::CANARY.as_bytes()];
        cast::connector(&vault, asks::role_connector("data", &cloud.url(), key));
        let world = Self { vault, cloud };
        world.set_clock("+0");
        world.vault.stop();
        world.start();
        world
    }

    /// Under the clock of the file.
    fn start(&self) {
        let file = format!("FAKETIME_TIMESTAMP_FILE={}", self.vault.beside("clock").display());
        self.vault.start_under(&["env", &file, "sh", "-c", PRELOADED, "sh"]);
    }

    fn set_clock(&self, offset: &str) {
        let (next, file) = (self.vault.beside("clock.next"), self.vault.beside("clock"));
        fs::write(&next, format!("{offset}\n")).unwrap();
        fs::rename(next, file).unwrap();
    }

    fn mint(&self) -> Result<(), String> {
        let answer = self.vault.run(self.vault.credentials("bob").mint_credential(asks::bucket("data", "models")));
        answer.map(drop).map_err(|status| reason(&status))
    }

    /// How many lines of the ledger say this.
    fn told(&self, reason: &str) -> usize {
        self.vault.ledger().iter().filter(|line| line["reason"] == reason).count()
    }

    #[track_caller]
    fn tells(&self, reason: &str, times: usize) {
        assert!(eventually(SOON, || self.told(reason) == times), "{reason}: {} instead of {times}", self.told(reason));
    }

    fn status(&self) -> Value {
        self.vault.cli("owner", &["status", "-o", "json"]).json()
    }

    /// Places are gapless, the chain holds, and no line is older than the one before it by more than clocks differ.
    fn verified(&self) {
        let mut verify = self.vault.command();
        crate::rig::vault::outcome(verify.args(["audit", "verify", "--data-dir"]).arg(self.vault.data()), "").ok();
        let times: Vec<i64> = self.vault.ledger().iter().map(|line| line["at"].as_i64().unwrap()).collect();
        assert!(times.windows(2).all(|pair| pair[1] > pair[0] - 60_000), "the times of lines went back");
    }
}

/// Where faketime keeps its library is for faketime to say.
const PRELOADED: &str = r#"
LD_PRELOAD=$(faketime -f +0 sh -c 'printf %s "$LD_PRELOAD"')
export LD_PRELOAD
exec "$@"
"#;

#[test]
fn g6_a_clock_that_is_set_back_a_day_and_forward_again_mints_nothing_meanwhile_and_is_recorded() {
    let world = World::new();
    world.mint().expect("a clock that nobody set");
    assert_eq!(world.status()["clock_jump"], Value::Null);
    let asked = world.cloud.asked();
    world.set_clock("-1d");
    world.tells("CLOCK_JUMPED", 1);
    assert_eq!(world.mint(), Err("CLOCK_JUMPED".to_owned()), "not what is in memory, either");
    assert_eq!(world.cloud.asked(), asked, "the cloud was asked");
    assert!(world.status()["clock_jump"]["expected"].is_string(), "{}", world.status());
    let shown = world.vault.cli("owner", &["status"]).ok();
    assert!(shown.stdout.contains("JUMPED: nothing is minted"), "{shown}");
    // What is done meanwhile is in its place, at the time that it was.
    world.vault.cli("owner", &["user", "create", "during"]).ok();
    let lines = world.vault.ledger();
    let during =
        lines.iter().rfind(|line| line["details"]["clock"].is_string()).expect("it says what the clock showed");
    assert!(during["at"].as_i64().unwrap() > lines[0]["at"].as_i64().unwrap(), "{during}");
    world.set_clock("+0");
    world.tells("CLOCK_SETTLED", 1);
    world.mint().expect("it shows what it should");
    assert_eq!(world.told("CLOCK_JUMPED"), 2, "the jump, and the refusal");
    world.verified();
}

#[test]
fn g6_a_clock_that_was_set_back_while_the_daemon_was_down_is_held_against_the_ledger() {
    let world = World::new();
    world.mint().expect("a clock that nobody set");
    world.vault.sigkill();
    world.set_clock("-1d");
    world.start();
    world.tells("CLOCK_JUMPED", 1);
    assert_eq!(world.mint(), Err("CLOCK_JUMPED".to_owned()));
    // Another start settles nothing.
    world.vault.stop();
    world.start();
    assert_eq!(world.mint(), Err("CLOCK_JUMPED".to_owned()));
    world.set_clock("+0");
    world.tells("CLOCK_SETTLED", 1);
    world.mint().expect("it has passed the ledger");
    world.verified();
}

#[test]
fn g6_a_jump_ahead_is_noticed_also_by_the_next_start_and_an_owner_accepts_it() {
    let world = World::new();
    world.mint().expect("a clock that nobody set");
    // Ended in order: how much time has passed since is known, in this boot.
    world.vault.stop();
    world.set_clock("+30m");
    world.start();
    world.tells("CLOCK_JUMPED", 1);
    assert_eq!(world.mint(), Err("CLOCK_JUMPED".to_owned()));
    world.vault.sigkill();
    world.start();
    assert_eq!(world.mint(), Err("CLOCK_JUMPED".to_owned()), "no start makes it right");
    world.vault.cli("alice", &["clock", "accept"]).fails(3, "operator.acceptClock");
    world.vault.cli("owner", &["clock", "accept"]).ok();
    world.mint().expect("it was accepted");
    world.tells("CLOCK_ACCEPTED", 1);
    world.vault.cli("owner", &["clock", "accept"]).fails(1, "the clock shows what it should");
    world.verified();
}
