//! Two records with one external id in one read: the newest wins.

use jiff::Timestamp;

use crate::model::Digest;

/// What decides between records with the same external id, ordered: the greatest wins.
///
/// The newest `updated_at` first, a record with one before a record without; then the higher digest of the mapped
/// record. Neither depends on where the records stood (DESIGN §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub updated_at: Option<Timestamp>,
    pub mapped: Digest,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_wins_then_the_higher_digest() {
        let at = |second: i64| Some(Timestamp::from_second(second).unwrap());
        let version = |updated_at, mapped| Version { updated_at, mapped: Digest(mapped) };
        for (loser, winner) in [
            (version(at(1), 9), version(at(2), 1)),
            (version(None, 9), version(at(1), 1)),
            (version(at(1), 1), version(at(1), 2)),
            (version(None, 1), version(None, 2)),
        ] {
            assert!(winner > loser, "{winner:?} over {loser:?}");
        }
    }
}
