//! What a process left behind when it ended: an interrupted commit goes on from its journal, an interrupted read is
//! entered as failed, spools and half-written journals are swept, old journals go.
//! Invariant: nothing is planned before this is through, for a plan must rest on whole commits.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::committing::{Committed, resume};
use super::run::drop_unused_plan;
use super::stopping::Stopping;
use super::unfinished::Unfinished;
use crate::clock::Clock;
use crate::limits::RESUME_WITHIN;
use crate::model::RunId;
use crate::observe::Observer;
use crate::store::{Store, StoreError};

/// How many of the newest runs may be open: one for each feed at most, so this is ample.
const OPEN_RUNS_MAX: usize = 10_000;

/// Ends every run that is open in history, unless the process is to end first.
pub fn recover(
    store: &Store,
    clock: &Clock,
    observer: &Observer,
    stopping: &Stopping,
    unfinished: &Unfinished,
) -> Result<(), StoreError> {
    let folder = store.runs_folder();
    sweep(&folder);
    let mut open = store.runs(None, OPEN_RUNS_MAX, |run| run.ended_at.is_none())?;
    open.reverse();
    for mut run in open {
        match resume(store, clock, &mut run, stopping) {
            Ok(Committed::Whole) => observer.run_ended(&run),
            Ok(Committed::Paused) => observer.run_paused(&run),
            Err(failure) => {
                unfinished.end_failed(&mut run, &failure);
                drop_unused_plan(&folder, &run);
            }
        }
    }
    Ok(())
}

/// Removes what no run reads any more. What cannot be removed is tried again at the next start.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let left_over = path.extension().is_some_and(|extension| extension == "spool" || extension == "part");
        if left_over {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes journals older than `days`, and reads that nobody takes up any more; the runs stay in history without their
/// changes. Whatever the clock says, a
/// run that has not ended keeps its journal: it may have to go on from it.
pub fn drop_old_journals(store: &Store, days: u32, now: Timestamp) {
    let oldest = now.saturating_sub(SignedDuration::from_hours(i64::from(days) * 24));
    let Ok(oldest) = oldest else { return };
    // What nobody takes up any more holds personal data for nothing.
    let is_too_old_to_go_on =
        |modified| SignedDuration::try_from(RESUME_WITHIN).is_ok_and(|most| now.duration_since(modified) >= most);
    let is_open = |run| store.run(run).map_or(true, |run| run.is_some_and(|run| run.ended_at.is_none()));
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
