//! One process from its start to its violent end, and everything it acknowledged to whoever asked.

use std::time::Duration;

use rollcall::model::RunId;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::support::{Installation, Program};

/// How the binary is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `rollcall serve`, and a sync asked of it.
    Serve,
    /// `rollcall sync`.
    Sync,
}

/// When to kill.
#[derive(Debug, Clone, Copy)]
pub enum Aim {
    /// So long after the start.
    After(Duration),
    /// So long after a run shows this phase; only a server shows one.
    Phase(&'static str, Duration),
}

/// Something the process told and must stand by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ack {
    Begun(RunId),
    Applied(RunId, u64),
    Ended(RunId, String),
}

pub struct Seen {
    pub acks: Vec<Ack>,
    /// How long it took, where it ended by itself before it could be killed.
    pub ended: Option<Duration>,
    /// How long a server took to be there.
    pub start: Option<Duration>,
}

/// Longer than a round takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub async fn run_and_kill(place: &Installation, way: Way, aim: Aim) -> Seen {
    let began = Instant::now();
    match way {
        Way::Serve => {
            let program = place.start(&["serve"]);
            let mut watch = Watch { program: &program, began, acks: Vec::new(), start: None };
            match aim {
                Aim::After(instant) => {
                    tokio::select! {
                        () = sleep_until(began + instant) => {}
                        () = watch.until_phase("ended", Duration::ZERO) => {}
                    }
                }
                Aim::Phase(phase, more) => {
                    let reached = timeout(PATIENCE, watch.until_phase(phase, more)).await;
                    assert!(reached.is_ok(), "the phase {phase} never came\n{}", program.stderr());
                }
            }
            let Watch { acks, start, .. } = watch;
            let ended = program.kill();
            assert!(ended.is_none(), "the server ended by itself: {ended:?}");
            Seen { acks, ended: None, start }
        }
        Way::Sync => {
            let mut program = place.start(&["sync", "e"]);
            let instant = match aim {
                Aim::After(instant) => began + instant,
                Aim::Phase(..) => panic!("only a server shows its phases"),
            };
            while Instant::now() < instant && program.ended().is_none() {
                sleep(Duration::from_millis(2)).await;
            }
            let took = began.elapsed();
            let (said, log) = (program.stdout(), program.stderr());
            let ended = program.kill();
            assert!(ended.is_none_or(|status| status.success()), "the sync failed: {said}\n{log}");
            let acks = ended.map(|_| done(&said)).into_iter().collect();
            Seen { acks, ended: ended.map(|_| took), start: None }
        }
    }
}

/// `run 7 of e from s: done`
fn done(stdout: &str) -> Ack {
    let line = stdout.lines().next().unwrap_or_default();
    let parsed = line.strip_prefix("run ").and_then(|rest| rest.split_once(" of e from s: "));
    let (run, outcome) = parsed.unwrap_or_else(|| panic!("a sync that ended well says: {stdout}"));
    Ack::Ended(RunId(run.parse().unwrap()), outcome.to_owned())
}

/// Asks a server for a sync and follows it.
struct Watch<'a> {
    program: &'a Program,
    began: Instant,
    acks: Vec<Ack>,
    start: Option<Duration>,
}

impl Watch<'_> {
    /// Ends so long after the run showed the phase, or when it has ended.
    async fn until_phase(&mut self, phase: &str, more: Duration) {
        self.program.serves().await;
        self.start = Some(self.began.elapsed());
        let Some((202, begun)) = self.program.ask("POST", "/v1/events/e/sync").await else {
            panic!("no sync was begun\n{}", self.program.stderr())
        };
        let run = RunId(begun["runs"][0]["run"].as_u64().unwrap());
        self.acks.push(Ack::Begun(run));
        let mut until = None;
        loop {
            let Some(seen) = self.program.get(&format!("/v1/runs/{run}")).await else {
                panic!("the server no longer answers\n{}", self.program.stderr())
            };
            if self.take(run, &seen) {
                return;
            }
            if until.is_none() && seen["progress"]["phase"] == phase {
                until = Some(Instant::now() + more);
            }
            match until {
                Some(until) if Instant::now() >= until => return,
                _ => sleep(Duration::from_millis(3)).await,
            }
        }
    }

    /// Takes down what an answer acknowledges. True when the run has ended.
    fn take(&mut self, run: RunId, seen: &Value) -> bool {
        if let Some(applied) = seen["progress"]["applied"].as_u64() {
            self.acks.push(Ack::Applied(run, applied));
        }
        let ended = seen["outcome"].as_str();
        self.acks.extend(ended.map(|outcome| Ack::Ended(run, outcome.to_owned())));
        ended.is_some()
    }
}
