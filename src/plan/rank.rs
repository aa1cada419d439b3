//! Precedence among the registrations of one user: who decides where they disagree.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use crate::model::Registration;

/// What a feed's registrations rank by: the source's priority, then the later event start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    pub priority: i32,
    pub starts_at: Option<Timestamp>,
}

/// Registrations in order of precedence, the one that decides first: those that are not cancelled, by rank, then
/// those that the last complete read found (of a reissued ticket the new one decides), then by external id. The feed
/// comes last only so that the order is total.
pub fn compare(a: (&Registration, Rank), b: (&Registration, Rank)) -> Ordering {
    let key = |(r, rank): (&Registration, Rank)| (r.is_cancelled(), Reverse(rank), r.absent_since.is_some());
    key(a).cmp(&key(b)).then_with(|| a.0.external_id.cmp(&b.0.external_id)).then_with(|| a.0.feed.cmp(&b.0.feed))
}
