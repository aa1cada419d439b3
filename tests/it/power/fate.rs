//! What a power cut keeps of the changes that were not safe.

use std::ops::Range;

use crate::support::Dice;

/// The choices of one cut.
pub struct Fate {
    kind: Kind,
    dice: Dice,
    /// `Journal`: entries and lengths from this change on are lost.
    lost_from: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lost,
    Kept,
    /// What was written is there, in files that had a name.
    Nameless,
    /// Every file has its name and its length, and nothing in it.
    Hollow,
    /// Entries and lengths survive in order, as in a file system with a journal; data by chance.
    Journal,
    /// Everything by chance: what the standard allows.
    Any,
}

/// A disk writes so many bytes whole.
const SECTORS: [usize; 2] = [512, 4096];

impl Fate {
    /// Everything that was not safe is lost.
    pub fn lost() -> Self {
        Self::of(Kind::Lost, 0)
    }

    /// Nothing is lost.
    pub fn kept() -> Self {
        Self::of(Kind::Kept, 0)
    }

    /// Folders lose what was not safe, files keep everything.
    pub fn nameless() -> Self {
        Self::of(Kind::Nameless, 0)
    }

    /// Folders and lengths are kept; what was written reads as before, or as zeros.
    pub fn hollow() -> Self {
        Self::of(Kind::Hollow, 0)
    }

    /// Entries and lengths survive up to a moment, data by chance.
    pub fn journal(seed: u64) -> Self {
        Self::of(Kind::Journal, seed)
    }

    /// Everything by chance.
    pub fn any(seed: u64) -> Self {
        Self::of(Kind::Any, seed)
    }

    fn of(kind: Kind, seed: u64) -> Self {
        Self { kind, dice: Dice::new(seed), lost_from: 0 }
    }

    /// Told which changes are not safe, and the newest entry or length that is: a journal keeps those before it too.
    pub fn begin(&mut self, mut pending: Vec<u64>, committed: Option<u64>) {
        if self.kind == Kind::Journal {
            pending.sort_unstable();
            pending.push(u64::MAX);
            self.lost_from = pending[self.dice.below(pending.len())].max(committed.map_or(0, |order| order + 1));
        }
    }

    /// Is this change of a folder kept?
    pub fn keeps_entry(&mut self, order: u64) -> bool {
        self.kind != Kind::Nameless && self.keeps_length(order)
    }

    /// Is this change of a file's length kept?
    pub fn keeps_length(&mut self, order: u64) -> bool {
        match self.kind {
            Kind::Lost => false,
            Kind::Kept | Kind::Nameless | Kind::Hollow => true,
            Kind::Journal => order < self.lost_from,
            Kind::Any => self.dice.below(2) == 0,
        }
    }

    /// The parts of a write that are kept: all, nothing, or some sectors.
    pub fn pieces(&mut self, at: usize, length: usize) -> Vec<Range<usize>> {
        let whole = at..at + length;
        match self.kind {
            Kind::Lost | Kind::Hollow => Vec::new(),
            Kind::Kept | Kind::Nameless => vec![whole],
            Kind::Journal | Kind::Any => match self.dice.below(3) {
                0 => Vec::new(),
                1 => vec![whole],
                _ => self.torn(&whole),
            },
        }
    }

    fn torn(&mut self, whole: &Range<usize>) -> Vec<Range<usize>> {
        let sector = SECTORS[self.dice.below(SECTORS.len())];
        let sectors = whole.start / sector..whole.end.div_ceil(sector);
        let kept = sectors.filter(|_| self.dice.below(2) == 0);
        kept.map(|n| (n * sector).max(whole.start)..((n + 1) * sector).min(whole.end)).collect()
    }
}
