//! What the app tells of people: that they have an account, and that they opened an event. The first time counts.
//!
//! An access check is answered from memory and waits for nothing; what it tells of an arrival is written soon after, many
//! at once. A process that is killed before forgets it, until the app asks about the person again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::by_hand::{Desk, Refusal, change};
use super::runner::Runner;
use crate::limits::{ARRIVALS_PER_BATCH, ARRIVALS_WAITING_MAX};
use crate::model::{Actor, EventName, UserId};
use crate::store::ChangeSet;

/// That somebody came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    pub user: UserId,
    /// `None`: to the app, where they have an account now.
    pub event: Option<EventName>,
}

/// Who came and of whom it is not written yet.
#[derive(Default)]
pub struct Arrivals(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    since: BTreeMap<Arrival, Timestamp>,
    /// A task is there that writes them.
    is_written: bool,
}

impl Arrivals {
    /// Takes one up. True where nobody is there yet who writes it.
    fn add(&self, arrival: Arrival, at: Timestamp) -> bool {
        let mut waiting = self.0.lock();
        if waiting.since.len() < ARRIVALS_WAITING_MAX {
            waiting.since.entry(arrival).or_insert(at);
        }
        !std::mem::replace(&mut waiting.is_written, true)
    }

    /// Some of them; after `None` whoever writes them is gone.
    fn take(&self) -> Option<BTreeMap<Arrival, Timestamp>> {
        let mut waiting = self.0.lock();
        waiting.is_written = !waiting.since.is_empty();
        let rest = waiting.since.keys().nth(ARRIVALS_PER_BATCH).cloned();
        let rest = rest.map(|first| waiting.since.split_off(&first)).unwrap_or_default();
        let taken = std::mem::replace(&mut waiting.since, rest);
        waiting.is_written.then_some(taken)
    }
}

impl Runner {
    /// Has it written soon that somebody came. Waits for nothing. Where very many wait already, it is forgotten until it
    /// is said again.
    pub fn note_arrival(&self, arrival: Arrival) {
        if !self.inner.stopping.is_said() && self.inner.arrivals.add(arrival, self.inner.clock.now()) {
            tokio::spawn(self.clone().write_arrivals());
        }
    }

    async fn write_arrivals(self) {
        while let Some(came) = self.inner.arrivals.take() {
            loop {
                let came = came.clone();
                match self.by_hand(Actor::CommandLine, move |desk| desk.arrive(&came)).await {
                    // Whoever syncs for long is waited for.
                    Err(Refusal::Busy) => {}
                    Err(Refusal::Store(error)) => {
                        self.inner.observer.store_failed("write who came", &error.to_string());
                        break;
                    }
                    _ => break,
                }
            }
        }
    }
}

impl Desk<'_> {
    /// Writes now that somebody came.
    pub fn note_arrival(&self, arrival: Arrival) -> Result<(), Refusal> {
        let id = arrival.user;
        self.store.user_by_id(id).ok_or(Refusal::UnknownUser(id))?;
        self.arrive(&BTreeMap::from([(arrival, self.now)]))
    }

    /// The same of many; those who are gone are passed over. It is no decision of anybody's, so no audit tells of it.
    fn arrive(&self, came: &BTreeMap<Arrival, Timestamp>) -> Result<(), Refusal> {
        let mut people = BTreeMap::new();
        for (Arrival { user: id, event }, at) in came {
            let Some(user) = self.store.user_by_id(*id) else { continue };
            let at = Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(*at);
            let (_, after) = match people.entry(user) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let Some(person) = self.store.person(user)? else { continue };
                    place.insert((person.clone(), person))
                }
            };
            match event {
                Some(event) => after.pass(event, |passage| {
                    passage.first_access_at.get_or_insert(at);
                }),
                None => after.travel(|journey| {
                    journey.account_at.get_or_insert(at);
                }),
            }
        }
        people.retain(|_, (before, after)| before != after);
        if people.is_empty() {
            return Ok(());
        }
        let people = people.into_iter().map(|(user, (before, after))| change(user, before, after)).collect();
        self.store.commit(ChangeSet { people, ..ChangeSet::default() })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(user: u128, event: Option<&str>) -> Arrival {
        Arrival { user: UserId::from_u128(user), event: event.map(|event| EventName::parse(event).unwrap()) }
    }

    #[test]
    fn one_writer_takes_them_all_and_the_first_time_counts() {
        let (arrivals, at) = (Arrivals::default(), |second| Timestamp::from_second(second).unwrap());
        assert!(arrivals.add(arrival(1, Some("e")), at(1)), "the first brings the writer");
        assert!(!arrivals.add(arrival(1, Some("e")), at(2)) && !arrivals.add(arrival(1, None), at(3)));
        let taken = arrivals.take().unwrap();
        assert_eq!(taken, BTreeMap::from([(arrival(1, Some("e")), at(1)), (arrival(1, None), at(3))]));
        assert!(!arrivals.add(arrival(2, None), at(4)), "the writer is there still");
        assert_eq!(arrivals.take().unwrap().len(), 1);
        assert_eq!(arrivals.take(), None);
        assert!(arrivals.add(arrival(3, None), at(5)), "it was gone");
    }

    #[test]
    fn batches_and_the_queue_are_bounded() {
        let (arrivals, at) = (Arrivals::default(), Timestamp::UNIX_EPOCH);
        for user in 0..=ARRIVALS_WAITING_MAX as u128 {
            arrivals.add(arrival(user, None), at);
        }
        let mut sizes = Vec::new();
        while let Some(taken) = arrivals.take() {
            sizes.push(taken.len());
        }
        assert!(sizes.iter().all(|size| *size == ARRIVALS_PER_BATCH), "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), ARRIVALS_WAITING_MAX);
    }
}
