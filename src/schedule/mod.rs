//! When a feed is synced by itself: what is said of it, and what was, to the next time.
//!
//! The one rule: **a sync is due when a time of its schedule has passed since the last sync**. So a time that was missed runs once,
//! and one at which a sync of the feed went on anyway is that sync's.
//!
//! Invariant: pure. It is told what time it is, and since when the clock has not been set back.

mod next;
mod round;
mod times;

#[cfg(test)]
mod tests;

pub use next::{FinalState, History, Idle, Next, Why, final_state, fresh_until, next};
pub use round::{Candidate, Round, round};
pub use times::Times;
