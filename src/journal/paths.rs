//! Where a run's files lie.

use std::path::{Path, PathBuf};

use crate::model::{FeedId, RunId};

/// Where a run's journal lies in the runs' folder.
pub fn journal_path(folder: &Path, run: RunId) -> PathBuf {
    folder.join(format!("{run}.journal"))
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
