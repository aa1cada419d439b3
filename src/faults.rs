//! What the program does to the disk, as named steps between which a test can stop time or break the disk.
//!
//! Production code passes [`Faults::none`]: a step then costs one comparison. The store and the journal announce
//! each step before it begins and after it is done.

use std::fmt;
use std::io;
use std::sync::Arc;

/// One kind of change to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A run's spool comes into being.
    SpoolCreate,
    /// What was spooled reaches the file.
    SpoolFlush,
    /// The spool is no longer needed.
    SpoolRemove,
    JournalCreate,
    /// The journal reaches the file with its trailer.
    JournalFlush,
    JournalSync,
    /// The journal gets its final name.
    JournalRename,
    /// The journal's name reaches the disk.
    JournalFolderSync,
    /// A batch goes to the engine.
    Batch,
    /// The engine writes its buffers.
    Flush,
    /// The engine's files reach the disk.
    Sync,
    /// The anchor follows the engine.
    Anchor,
    /// A snapshot of the indexes is written, or told that it still holds.
    IndexWrite,
    /// The snapshot gets its final name.
    IndexRename,
    /// The copy of the store that a compaction made is whole.
    CompactMade,
    /// The old store goes aside.
    CompactAside,
    /// The copy takes its place.
    CompactSwap,
    /// The old store is removed.
    CompactRemove,
}

impl Step {
    pub const ALL: [Self; 18] = [
        Self::SpoolCreate,
        Self::SpoolFlush,
        Self::SpoolRemove,
        Self::JournalCreate,
        Self::JournalFlush,
        Self::JournalSync,
        Self::JournalRename,
        Self::JournalFolderSync,
        Self::Batch,
        Self::Flush,
        Self::Sync,
        Self::Anchor,
        Self::IndexWrite,
        Self::IndexRename,
        Self::CompactMade,
        Self::CompactAside,
        Self::CompactSwap,
        Self::CompactRemove,
    ];
}

/// Before a step has touched anything, or after it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Before,
    After,
}

type Hook = dyn Fn(Step, Side) -> io::Result<()> + Send + Sync;

/// Who is told of each step, and may make it fail. Cloning shares it.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Hook>>);

impl Faults {
    /// Nobody is told; every step is left to the disk.
    pub const fn none() -> Self {
        Self(None)
    }

    /// Tells `hook` of every step. Its error is the step's.
    pub fn with(hook: impl Fn(Step, Side) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Does one step. `failed` makes the hook's error one of the caller's.
    pub fn step<T, E>(
        &self,
        step: Step,
        failed: impl Fn(io::Error) -> E,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(hook) = &self.0 else { return work() };
        hook(step, Side::Before).map_err(&failed)?;
        let done = work()?;
        hook(step, Side::After).map_err(&failed)?;
        Ok(done)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Faults(on)" } else { "Faults(none)" })
    }
}
