//! Where a run's files lie.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::JournalError;
use crate::model::{EventName, FeedId, RunId, SourceName};

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

/// A file of the runs' that outlives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunFile {
    Journal(RunId),
    /// What an interrupted read left to go on from.
    Read(FeedId),
}

impl RunFile {
    fn of(path: &Path) -> Option<Self> {
        let stem = path.file_stem()?.to_str()?;
        match path.extension()?.to_str()? {
            "journal" => stem.parse().ok().map(|run| Self::Journal(RunId(run))),
            "read" => {
                let (event, source) = stem.split_once('@')?;
                let (event, source) = (EventName::parse(event).ok()?, SourceName::parse(source).ok()?);
                Some(Self::Read(FeedId { event, source }))
            }
            _ => None,
        }
    }
}

/// What lies in the runs' folder: journals, oldest first, then interrupted reads.
pub fn run_files(folder: &Path) -> Result<Vec<(PathBuf, RunFile)>, JournalError> {
    let failed = JournalError::io("list", folder);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(&failed)? {
        let path = entry.map_err(&failed)?.path();
        files.extend(RunFile::of(&path).map(|file| (path, file)));
    }
    files.sort_by_cached_key(|(path, file)| match file {
        RunFile::Journal(run) => (run.0, PathBuf::new()),
        RunFile::Read(_) => (u64::MAX, path.clone()),
    });
    Ok(files)
}
