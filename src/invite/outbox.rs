//! Which mail goes next. Holds no more than who waits and since when; what is to be written stands in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use roaring::RoaringBitmap;

use crate::limits::{MAIL_RETRY_MAX, MAIL_RETRY_MIN};
use crate::model::{EventName, UserNo};

/// How long after so many attempts the next one comes: doubling from a minute up to a day.
pub fn backoff(attempts: u32) -> Duration {
    let doubled = 2u32.saturating_pow(attempts.saturating_sub(1).min(30));
    MAIL_RETRY_MIN.saturating_mul(doubled).min(MAIL_RETRY_MAX)
}

/// Since when an invitation waits, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub queued_at: Timestamp,
    pub next_try_at: Option<Timestamp>,
}

impl Waiting {
    fn ready_at(&self) -> Timestamp {
        self.next_try_at.unwrap_or(self.queued_at)
    }
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Outbox {
    events: BTreeMap<EventName, BTreeMap<u32, Waiting>>,
    /// By the time from which on it may be sent.
    order: BTreeSet<(Timestamp, EventName, u32)>,
    /// Nothing is sent before.
    paused_until: Option<Timestamp>,
    /// Times in a row that the server could not be reached.
    unreachable: u32,
}

impl Outbox {
    /// Of those who wait in an event now, the ones that are new here. Who does not wait any more is forgotten.
    pub fn meet(&mut self, event: &EventName, waiting: &RoaringBitmap) -> Vec<UserNo> {
        let known = self.events.entry(event.clone()).or_default();
        let gone: Vec<u32> = known.keys().copied().filter(|user| !waiting.contains(*user)).collect();
        for user in gone {
            if let Some(entry) = known.remove(&user) {
                self.order.remove(&(entry.ready_at(), event.clone(), user));
            }
        }
        waiting.iter().filter(|user| !known.contains_key(user)).map(UserNo).collect()
    }

    /// Forgets the events that are not among these.
    pub fn keep(&mut self, events: &BTreeSet<EventName>) {
        self.events.retain(|event, _| events.contains(event));
        self.order.retain(|(_, event, _)| events.contains(event));
    }

    pub fn put(&mut self, event: &EventName, UserNo(user): UserNo, waiting: Waiting) {
        self.drop(event, UserNo(user));
        self.events.entry(event.clone()).or_default().insert(user, waiting);
        self.order.insert((waiting.ready_at(), event.clone(), user));
    }

    pub fn drop(&mut self, event: &EventName, UserNo(user): UserNo) {
        if let Some(known) = self.events.get_mut(event).and_then(|of_event| of_event.remove(&user)) {
            self.order.remove(&(known.ready_at(), event.clone(), user));
        }
    }

    /// The one that has been ready for longest.
    pub fn next(&self, now: Timestamp) -> Option<(EventName, UserNo)> {
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        let (ready_at, event, user) = self.order.first()?;
        (*ready_at <= now).then(|| (event.clone(), UserNo(*user)))
    }

    /// The server cannot be reached: no other mail need try for a while.
    pub fn pause(&mut self, now: Timestamp) {
        self.unreachable = self.unreachable.saturating_add(1);
        let pause = backoff(self.unreachable).min(MAIL_PAUSE_MAX);
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::from_mins(1));
        self.paused_until = now.checked_add(pause).ok();
    }

    /// The server answers.
    pub fn resume(&mut self) {
        (self.paused_until, self.unreachable) = (None, 0);
    }

    /// When the one was queued that waits longest.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.events.values().flat_map(BTreeMap::values).map(|waiting| waiting.queued_at).min()
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// A server that is back is noticed so soon.
const MAIL_PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(60 * minute).unwrap()
    }

    fn event(name: &str) -> EventName {
        EventName::parse(name).unwrap()
    }

    #[test]
    fn pauses_double_from_a_minute_to_a_day() {
        let minutes = [1, 2, 3, 11, 12, 4_000_000_000].map(|attempts| backoff(attempts).as_secs() / 60);
        assert_eq!(minutes, [1, 2, 4, 1024, 1440, 1440]);
    }

    #[test]
    fn the_first_in_the_queue_goes_first_and_who_is_to_be_tried_later_waits() {
        let mut outbox = Outbox::default();
        let (e, f) = (event("e"), event("f"));
        assert_eq!(outbox.meet(&e, &RoaringBitmap::from_iter([1, 2])), [UserNo(1), UserNo(2)]);
        outbox.put(&e, UserNo(1), Waiting { queued_at: at(5), next_try_at: None });
        outbox.put(&e, UserNo(2), Waiting { queued_at: at(1), next_try_at: Some(at(9)) });
        outbox.put(&f, UserNo(1), Waiting { queued_at: at(4), next_try_at: None });
        assert_eq!((outbox.len(), outbox.oldest()), (3, Some(at(1))));
        assert_eq!(outbox.next(at(3)), None);
        assert_eq!(outbox.next(at(8)), Some((f.clone(), UserNo(1))));
        outbox.drop(&f, UserNo(1));
        assert_eq!(outbox.next(at(8)), Some((e.clone(), UserNo(1))));
        outbox.put(&e, UserNo(1), Waiting { queued_at: at(5), next_try_at: Some(at(10)) });
        assert_eq!((outbox.next(at(8)), outbox.next(at(9))), (None, Some((e.clone(), UserNo(2)))));
        assert!(outbox.meet(&e, &RoaringBitmap::from_iter([1])).is_empty(), "known already");
        assert_eq!(outbox.next(at(11)), Some((e.clone(), UserNo(1))));
        outbox.keep(&BTreeSet::from([f]));
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_server_that_is_away_is_asked_less_and_less() {
        let mut outbox = Outbox::default();
        outbox.put(&event("e"), UserNo(1), Waiting { queued_at: at(0), next_try_at: None });
        let mut now = at(0);
        for minutes in [1, 2, 4, 8, 15, 15] {
            outbox.pause(now);
            let back = now + SignedDuration::from_mins(minutes);
            assert_eq!(outbox.next(back - SignedDuration::from_secs(1)), None);
            assert!(outbox.next(back).is_some());
            now = back;
        }
        outbox.pause(now);
        outbox.resume();
        assert!(outbox.next(now).is_some());
    }
}
