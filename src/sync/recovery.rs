//! What a killed process left behind: an interrupted commit goes on from its journal, an interrupted read is
//! entered as failed, spools and half-written journals are swept, old journals go.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::committing::commit;
use super::failure::Failure;
use super::progress::{Lines, Progress, Stop};
use super::run::{end_failed, succeed};
use crate::clock::Clock;
use crate::journal::{JournalReader, journal_path};
use crate::model::Run;
use crate::observe::Observer;
use crate::store::{Store, StoreError};

/// How many of the newest runs may be open: one for each feed at most, so this is ample.
const OPEN_RUNS_MAX: usize = 10_000;

/// Ends every run that is open in history.
pub fn recover(store: &Store, clock: &Clock, observer: &Observer) -> Result<(), StoreError> {
    let folder = store.runs_folder();
    sweep(&folder);
    let mut open = store.runs(None, OPEN_RUNS_MAX, |run| run.ended_at.is_none())?;
    open.reverse();
    for mut run in open {
        match resume(store, clock, &folder, &mut run) {
            Ok(()) => observer.run_ended(&run),
            Err(failure) => end_failed(store, observer, clock.now(), &mut run, &failure),
        }
    }
    Ok(())
}

/// Goes on with a commit that had begun. One that had not changed nobody: its sync starts again.
fn resume(store: &Store, clock: &Clock, folder: &Path, run: &mut Run) -> Result<(), Failure> {
    if run.applied == 0 {
        return Err(Failure::Stopped);
    }
    let journal = JournalReader::open(&journal_path(folder, run.id))?;
    let before = store.feed_state(&run.feed);
    let (_keep, stop) = watch::channel(Stop::No);
    let lines = Lines { progress: watch::Sender::new(Progress::START), stop };
    commit(store, journal, run, &lines, |run| succeed(run, &before, clock))
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

/// Removes journals older than `days`; the runs stay in history without their changes.
pub fn drop_old_journals(folder: &Path, days: u32, now: Timestamp) {
    let oldest = now.saturating_sub(SignedDuration::from_hours(i64::from(days) * 24));
    let Ok(oldest) = oldest else { return };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        let modified = modified.and_then(|modified| Timestamp::try_from(modified).ok());
        let is_journal = entry.path().extension().is_some_and(|extension| extension == "journal");
        if is_journal && modified.is_some_and(|modified| modified < oldest) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
