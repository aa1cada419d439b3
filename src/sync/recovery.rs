//! What a process left behind when it ended: an interrupted commit goes on from its journal, an interrupted read is
//! entered as failed, spools and half-written journals are swept, old journals go.
//! Invariant: nothing is planned before this is through, for a plan must rest on whole commits.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::committing::{Committed, resume};
use super::holding::Holding;
use super::run::drop_unused_plan;
use super::stopping::Stopping;
use super::unfinished::Unfinished;
use crate::clock::Clock;
use crate::limits::RESUME_WITHIN;
use crate::model::{Run, RunId};
use crate::observe::Observer;
use crate::store::{Store, StoreError};

/// How many of the newest runs may be open or held: one of each kind for each feed at most, so this is ample.
const OPEN_RUNS_MAX: usize = 10_000;

/// Ends every run that is open in history, and takes up those that are held, unless the process is to end first.
pub fn recover(
    store: &Store,
    clock: &Clock,
    observer: &Observer,
    stopping: &Stopping,
    unfinished: &Unfinished,
    holding: &Holding,
) -> Result<(), StoreError> {
    let folder = store.runs_folder();
    sweep(&folder, &["spool", "part"]);
    let mut open = store.runs(None, OPEN_RUNS_MAX, |run| run.ended_at.is_none() || run.is_held())?;
    open.reverse();
    let (held, open): (Vec<_>, Vec<_>) = open.into_iter().partition(Run::is_held);
    held.into_iter().for_each(|run| holding.enter(run));
    for mut run in open {
        match resume(store, clock, holding, &mut run, stopping) {
            Ok(Committed::Whole) => observer.run_ended(&run),
            Ok(Committed::Paused) => observer.run_paused(&run),
            Err(failure) => {
                if !unfinished.end_failed(&mut run, &failure) {
                    drop_unused_plan(&folder, &run);
                }
            }
        }
    }
    // What was made ready for an approval is in its place by now, or that approval was never given.
    sweep(&folder, &["approved"]);
    Ok(())
}

/// Removes what no run reads any more: files of these kinds. What cannot be removed is tried again at the next start.
fn sweep(folder: &Path, kinds: &[&str]) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = path.extension().and_then(|extension| extension.to_str());
        let left_over = kind.is_some_and(|kind| kinds.contains(&kind));
        if left_over {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// For how long things are kept: journals and the audit log in days.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub journals: u32,
    pub audit: u32,
    /// For how long the store's files may keep the bytes of who was erased.
    pub erased: Duration,
}

impl Kept {
    /// Drops what is older, and reads that nobody takes up any more. Blocks.
    pub fn drop_older(self, store: &Store, observer: &Observer, now: Timestamp) {
        if let Some(oldest) = days_before(now, self.journals) {
            drop_old_journals(store, oldest, now);
        }
        let forgotten = days_before(now, self.audit).map_or(Ok(()), |oldest| store.forget_audit_before(oldest));
        if let Err(error) = forgotten {
            observer.store_failed("write what the audit log forgets", &error.to_string());
        }
    }
}

fn days_before(now: Timestamp, days: u32) -> Option<Timestamp> {
    now.saturating_sub(SignedDuration::from_hours(i64::from(days) * 24)).ok()
}

/// Removes journals older than that, and reads that nobody takes up any more; the runs stay in history without their
/// changes. Whatever the clock says, a run that has not ended keeps its journal, for it may have to go on from it, and so
/// does one that is held.
fn drop_old_journals(store: &Store, oldest: Timestamp, now: Timestamp) {
    // What nobody takes up any more holds personal data for nothing.
    let is_too_old_to_go_on =
        |modified| SignedDuration::try_from(RESUME_WITHIN).is_ok_and(|most| now.duration_since(modified) >= most);
    let is_open =
        |run| store.run(run).map_or(true, |run| run.is_some_and(|run| run.ended_at.is_none() || run.is_held()));
    for entry in std::fs::read_dir(store.runs_folder()).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        let modified = modified.and_then(|modified| Timestamp::try_from(modified).ok());
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "read") && modified.is_some_and(is_too_old_to_go_on) {
            let _ = std::fs::remove_file(&path);
        }
        let is_journal = path.extension().is_some_and(|extension| extension == "journal");
        if is_journal && modified.is_some_and(|modified| modified < oldest) && !run_of(&path).is_some_and(is_open) {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn run_of(journal: &Path) -> Option<RunId> {
    journal.file_stem()?.to_str()?.parse().ok().map(RunId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Actor, AuditAction, AuditEntry};
    use crate::store::ChangeSet;

    fn days(days: i64) -> SignedDuration {
        SignedDuration::from_hours(24 * days)
    }

    #[test]
    fn what_is_older_is_dropped_each_after_its_own_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let now = Timestamp::now();
        let entry = |age: i64| AuditEntry {
            at: now - days(age),
            actor: Actor::CommandLine,
            action: AuditAction::RunCancelled,
            subject: age.to_string(),
            note: String::new(),
        };
        let audit = [400, 366, 364, 1].map(entry).to_vec();
        store.commit(ChangeSet { audit, ..ChangeSet::default() }).unwrap();
        let journal = |name: &str, age: i64| {
            let path = store.runs_folder().join(name);
            std::fs::write(&path, "").unwrap();
            let written = std::fs::File::options().write(true).open(path).unwrap();
            written.set_modified((now - days(age)).into()).unwrap();
        };
        for (name, age) in [("1.journal", 31), ("2.journal", 29), ("e@s.read", 8), ("f@s.read", 6), ("notes", 400)] {
            journal(name, age);
        }
        Kept { journals: 30, audit: 365, erased: Duration::ZERO }.drop_older(&store, &Observer::default(), now);
        let mut left: Vec<_> =
            std::fs::read_dir(store.runs_folder()).unwrap().map(|f| f.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["2.journal", "f@s.read", "notes"]);
        let kept = store.audit(None, 10, |_| true).unwrap();
        assert_eq!(kept.iter().map(|(_, entry)| entry.subject.as_str()).collect::<Vec<_>>(), ["1", "364"]);
    }
}
