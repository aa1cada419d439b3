//! What a read asks for: everything, or what changed since the last time; and what is remembered of it afterwards.
//! Invariant: pure.

use jiff::Timestamp;

use crate::config::IncrementalSpec;
use crate::model::{FeedPosition, Validators};
use crate::source::End;

/// What a run is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// Of the settings.
    pub seed: u64,
    pub began: Timestamp,
    /// From where on changes are asked for; `None`: everything is.
    pub since: Option<FeedPosition>,
    /// The list is asked for only if it is no longer what these say.
    pub unless: Validators,
}

impl Beginning {
    /// `position` is what the last run left behind. It counts only under the settings that it was left under; `full`
    /// makes it count for nothing.
    pub fn new(
        incremental: Option<&IncrementalSpec>,
        position: Option<&FeedPosition>,
        seed: u64,
        full: bool,
        now: Timestamp,
    ) -> Self {
        let position = position.filter(|position| position.seed == seed && !full);
        let since = incremental.and_then(|spec| {
            let position = position.filter(|position| !position.watermarks.is_empty())?;
            // A clock that was set back does not put the whole read off.
            let age = now.duration_since(position.read_whole_at?);
            (!age.is_negative() && age.unsigned_abs() < spec.full_every).then(|| position.clone())
        });
        let unless = position.map(|position| position.validators.clone()).unwrap_or_default();
        Self { seed, began: now, since, unless }
    }

    /// When the whole list was read last, if this read is not of it.
    pub fn read_whole_at(&self) -> Option<Timestamp> {
        self.since.as_ref().and_then(|position| position.read_whole_at)
    }

    /// How far the source was read after a read that ended well. `None` leaves what was: the source says that nothing
    /// changed, or what was read is not everything that it has.
    pub fn after(&self, end: &End) -> Option<FeedPosition> {
        (end.reconciles && !end.not_modified).then(|| FeedPosition {
            seed: self.seed,
            read_whole_at: Some(self.read_whole_at().unwrap_or(self.began)),
            watermarks: end.watermarks.clone(),
            validators: end.validators.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use jiff::tz::TimeZone;

    use super::*;
    use crate::config::{TimeFormat, WatermarkSpec};
    use crate::model::Digest;

    const HOUR: i64 = 3600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn spec() -> IncrementalSpec {
        IncrementalSpec {
            watermark: WatermarkSpec::RunStart,
            format: TimeFormat::Rfc3339(TimeZone::UTC),
            lookback: Duration::ZERO,
            full_every: Duration::from_secs(3600),
        }
    }

    fn position() -> FeedPosition {
        FeedPosition {
            seed: 7,
            read_whole_at: Some(at(0)),
            watermarks: BTreeMap::from([(Digest(0), at(5))]),
            validators: Validators { etag: Some("e".into()), last_modified: None },
        }
    }

    #[test]
    fn changes_are_asked_for_only_where_they_are_all_that_is_missing() {
        let (spec, left) = (spec(), position());
        let fresh = FeedPosition { watermarks: BTreeMap::new(), ..position() };
        let never = FeedPosition { read_whole_at: None, ..position() };
        for (what, position, seed, full, now, expected) in [
            ("as it was left", Some(&left), 7, false, HOUR - 1, true),
            ("too long ago", Some(&left), 7, false, HOUR, false),
            ("a clock set back", Some(&left), 7, false, -1, false),
            ("other settings", Some(&left), 8, false, 1, false),
            ("a full run", Some(&left), 7, true, 1, false),
            ("a first run", None, 7, false, 1, false),
            ("no watermark", Some(&fresh), 7, false, 1, false),
            ("never read whole", Some(&never), 7, false, 1, false),
        ] {
            let beginning = Beginning::new(Some(&spec), position, seed, full, at(now));
            assert_eq!(beginning.since.is_some(), expected, "{what}");
        }
        assert_eq!(Beginning::new(None, Some(&left), 7, false, at(1)).since, None);
    }

    #[test]
    fn a_condition_holds_under_the_same_settings_only() {
        for (seed, full, expected) in [(7, false, Some("e")), (8, false, None), (7, true, None)] {
            let beginning = Beginning::new(None, Some(&position()), seed, full, at(1));
            assert_eq!(beginning.unless.etag.as_deref(), expected, "{seed} {full}");
        }
    }

    #[test]
    fn the_position_moves_only_after_a_read_of_everything_that_was_asked_for() {
        let watermarks = BTreeMap::from([(Digest(0), at(60))]);
        let end = || End { reconciles: true, watermarks: watermarks.clone(), ..End::default() };
        let (whole, changes) = (
            Beginning::new(Some(&spec()), None, 7, false, at(50)),
            Beginning::new(Some(&spec()), Some(&position()), 7, false, at(50)),
        );
        let after = whole.after(&end()).unwrap();
        assert_eq!((after.seed, after.read_whole_at, &after.watermarks), (7, Some(at(50)), &watermarks));
        assert_eq!(changes.after(&end()).unwrap().read_whole_at, Some(at(0)));
        assert_eq!(whole.after(&End { reconciles: false, ..end() }), None);
        assert_eq!(whole.after(&End { not_modified: true, ..end() }), None);
    }
}
