//! Where a run's files lie.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::JournalError;
use crate::model::{FeedId, RunId};

/// Where a run's journal lies in the runs' folder.
pub fn journal_path(folder: &Path, run: RunId) -> PathBuf {
    folder.join(format!("{run}.journal"))
}

/// Where the journal of a held run lies that was made ready to be committed, until its approval is in history.
pub fn approved_path(folder: &Path, run: RunId) -> PathBuf {
    folder.join(format!("{run}.approved"))
}

/// Puts a journal that was made ready into the place of the one that was held, unless that is done.
pub fn adopt_approved(folder: &Path, run: RunId) -> Result<(), JournalError> {
    let approved = approved_path(folder, run);
    match std::fs::rename(&approved, journal_path(folder, run)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(JournalError::io("rename", &approved)(error)),
        _ => Ok(()),
    }
}

/// Where a run's spool lies while it is read and planned.
pub fn spool_path(folder: &Path, run: RunId) -> PathBuf {
    folder.join(format!("{run}.spool"))
}

/// Where the spool of a feed lies whose read can be taken up later. Names hold no '@', so it parts them.
pub fn read_path(folder: &Path, feed: &FeedId) -> PathBuf {
    folder.join(format!("{}@{}.read", feed.event, feed.source))
}

/// Where the spool and the journal of a preview lie while it is made. Whatever is left of them goes at the next start,
/// as every file of these two kinds does.
pub fn preview_paths(folder: &Path, number: u64) -> (PathBuf, PathBuf) {
    (folder.join(format!("preview-{number}.spool")), folder.join(format!("preview-{number}.plan.part")))
}
