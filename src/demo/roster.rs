//! Which records the list has now, and how it changes.

use serde::Serialize;

use super::control::Change;
use super::dice::{Dice, Stream};
use super::record::{Defect, Record, Status, VEGETARIAN, VEGETARIAN_GROUP, World, external_id};

/// What the reader of one record should make of it, if it reads with [`super::config_toml`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    pub id: String,
    /// As the list spells it, broken or not.
    pub email: String,
    pub job_title: &'static str,
    pub state: ExpectedState,
    /// What the record and the rules grant, as spelled.
    pub groups: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedState {
    Attending,
    /// Not confirmed yet: known, but no attendee.
    NotAttending,
    Cancelled,
    /// Flagged for permanent deletion.
    Deleted,
    /// Broken: no last name, or no email address.
    Rejected,
}

/// A place in the list.
#[derive(Debug, Clone, Copy)]
struct Slot {
    number: u32,
    version: u32,
    /// Cancelled by a change, whatever the record said at first.
    cancelled: bool,
}

/// The list, in its order.
pub(super) struct Roster {
    world: World,
    /// Ascending by number.
    slots: Vec<Slot>,
    next_number: u32,
    /// How many changes there were; each chooses its records anew.
    changes: u64,
}

impl Roster {
    pub fn new(world: World, count: u32) -> Self {
        let mut roster = Self { world, slots: Vec::new(), next_number: 0, changes: 0 };
        roster.append(count);
        roster
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Appends the JSON of the records from `start`, at most `count`, with commas between them.
    pub fn write_json(&self, start: usize, count: usize, out: &mut Vec<u8>) {
        for (place, slot) in self.slots.iter().skip(start).take(count).enumerate() {
            if place > 0 {
                out.push(b',');
            }
            self.record(*slot).write_json(out);
        }
    }

    pub fn truth(&self) -> Vec<Expected> {
        self.slots.iter().map(|slot| expected(&self.record(*slot))).collect()
    }

    /// Changes the list and says which external ids it touched, in the list's order.
    pub fn apply(&mut self, change: Change) -> Vec<String> {
        self.changes += 1;
        let numbers = match change {
            Change::Churn { percent } => self.churn(percent),
            Change::Cancel { count } => self.cancel(count),
            Change::Remove { count } => self.remove(count),
            Change::Add { count } => self.append(count),
        };
        numbers.into_iter().map(external_id).collect()
    }

    fn record(&self, slot: Slot) -> Record {
        let mut record = self.world.record(slot.number, slot.version);
        if slot.cancelled {
            record.status = Status::Cancelled;
        }
        record
    }

    fn churn(&mut self, percent: f64) -> Vec<u32> {
        let count = part_of(self.slots.len(), percent);
        let chosen = self.choose(count, |_| true);
        self.touch(&chosen, |slot| slot.version += 1)
    }

    fn cancel(&mut self, count: u32) -> Vec<u32> {
        let chosen = self.choose(count as usize, |slot| {
            let record = self.record(slot);
            record.status != Status::Cancelled && !record.delete_flag
        });
        self.touch(&chosen, |slot| {
            slot.version += 1;
            slot.cancelled = true;
        })
    }

    fn remove(&mut self, count: u32) -> Vec<u32> {
        let chosen = self.choose(count as usize, |_| true);
        let numbers = self.touch(&chosen, |_| ());
        self.slots.retain(|slot| numbers.binary_search(&slot.number).is_err());
        numbers
    }

    fn append(&mut self, count: u32) -> Vec<u32> {
        let end = self.next_number.saturating_add(count);
        let numbers = self.next_number..end;
        self.slots.extend(numbers.clone().map(|number| Slot { number, version: 0, cancelled: false }));
        self.next_number = end;
        numbers.collect()
    }

    /// Changes the slots at these places; answers their numbers.
    fn touch(&mut self, places: &[usize], change: impl Fn(&mut Slot)) -> Vec<u32> {
        let touch = |place: &usize| {
            change(&mut self.slots[*place]);
            self.slots[*place].number
        };
        places.iter().map(touch).collect()
    }

    /// `count` of the eligible places, or all when there are fewer, ascending, each as likely as any other
    /// (selection sampling: Knuth, "The Art of Computer Programming" 3.4.2, algorithm S).
    fn choose(&self, count: usize, eligible: impl Fn(Slot) -> bool) -> Vec<usize> {
        let places: Vec<usize> = (0..self.slots.len()).filter(|place| eligible(self.slots[*place])).collect();
        let mut dice = Dice::new(self.world.seed, Stream::Touch, self.changes);
        let (mut wanted, mut left) = (count.min(places.len()), places.len());
        let mut chosen = Vec::with_capacity(wanted);
        for place in places {
            // The list never has more than `limits::DEMO_RECORDS_MAX` places.
            if (dice.roll(left as u32) as usize) < wanted {
                chosen.push(place);
                wanted -= 1;
            }
            left -= 1;
        }
        chosen
    }
}

/// That many percent of `whole`, rounded, but at least one of a list that has any when `percent` is above 0.
fn part_of(whole: usize, percent: f64) -> usize {
    if percent <= 0.0 || whole == 0 {
        return 0;
    }
    // Casts of floats saturate; a NaN becomes 0.
    let part = (whole as f64 * percent / 100.0).round() as usize;
    part.clamp(1, whole)
}

/// Judges in the order in which a mapping must: a deletion needs no more than its id, a cancellation neither.
fn expected(record: &Record) -> Expected {
    let state = if record.delete_flag {
        ExpectedState::Deleted
    } else if record.status == Status::Cancelled {
        ExpectedState::Cancelled
    } else if matches!(record.defect, Some(Defect::NoLastName | Defect::BrokenEmail)) {
        ExpectedState::Rejected
    } else if record.status == Status::Pending {
        ExpectedState::NotAttending
    } else {
        ExpectedState::Attending
    };
    let lunch = (record.diet == VEGETARIAN).then_some(VEGETARIAN_GROUP);
    Expected {
        id: external_id(record.number),
        email: record.email.clone(),
        job_title: record.job_title,
        state,
        groups: record.groups().chain(lunch).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORLD: World = World { seed: 1, bad_records: true };

    fn roster() -> Roster {
        Roster::new(WORLD, 1_000)
    }

    fn state_of(roster: &Roster, id: &str) -> Option<ExpectedState> {
        roster.truth().into_iter().find(|expected| expected.id == id).map(|expected| expected.state)
    }

    #[test]
    fn the_same_changes_make_the_same_list() {
        let history = || {
            let mut roster = roster();
            let mut touched = Vec::new();
            for change in [
                Change::Churn { percent: 5.0 },
                Change::Cancel { count: 3 },
                Change::Remove { count: 2 },
                Change::Add { count: 4 },
                Change::Churn { percent: 5.0 },
            ] {
                touched.push(roster.apply(change));
            }
            (touched, roster.truth())
        };
        let (touched, truth) = history();
        assert_eq!(history(), (touched.clone(), truth));
        assert_ne!(touched[0], touched[4], "each churn chooses anew");
    }

    #[test]
    fn churn_changes_exactly_the_records_it_names() {
        let mut roster = roster();
        let before = roster.truth();
        let touched = roster.apply(Change::Churn { percent: 1.0 });
        let changed = before.iter().zip(roster.truth()).filter(|(old, new)| *old != new).map(|(old, _)| old.id.clone());
        assert_eq!(changed.collect::<Vec<_>>(), touched);
        assert_eq!(touched.len(), 10);
    }

    #[test]
    fn cancelled_records_stay_listed_and_removed_ones_do_not() {
        let mut roster = roster();
        let cancelled = roster.apply(Change::Cancel { count: 5 });
        let removed = roster.apply(Change::Remove { count: 5 });
        assert_eq!((cancelled.len(), removed.len(), roster.len()), (5, 5, 995));
        for id in cancelled.iter().filter(|id| !removed.contains(id)) {
            assert_eq!(state_of(&roster, id), Some(ExpectedState::Cancelled));
        }
        for id in &removed {
            assert_eq!(state_of(&roster, id), None);
        }
    }

    #[test]
    fn added_records_are_new_even_after_removals() {
        let mut roster = roster();
        roster.apply(Change::Remove { count: 1_000 });
        assert_eq!(roster.len(), 0);
        assert_eq!(roster.apply(Change::Add { count: 2 }), ["reg_001000", "reg_001001"]);
    }

    #[test]
    fn more_than_there_is_means_all() {
        let mut roster = roster();
        let live = |roster: &Roster| {
            let still = |e: &Expected| !matches!(e.state, ExpectedState::Cancelled | ExpectedState::Deleted);
            roster.truth().iter().filter(|e| still(e)).count()
        };
        let before = live(&roster);
        assert_eq!(roster.apply(Change::Cancel { count: u32::MAX }).len(), before);
        assert_eq!(live(&roster), 0);
        assert_eq!(roster.apply(Change::Remove { count: u32::MAX }).len(), 1_000);
        assert_eq!(roster.apply(Change::Churn { percent: 100.0 }), [""; 0]);
    }

    #[test]
    fn percents_are_rounded_and_bounded() {
        for (whole, percent, part) in [
            (1_000, 1.0, 10),
            (1_000, 0.0001, 1),
            (1_000, 250.0, 1_000),
            (1_000, 0.0, 0),
            (1_000, -1.0, 0),
            (0, 50.0, 0),
            (3, 50.0, 2),
        ] {
            assert_eq!(part_of(whole, percent), part, "{percent} % of {whole}");
        }
    }

    #[test]
    fn the_truth_has_every_state() {
        let truth = Roster::new(WORLD, 10_000).truth();
        let count = |state| truth.iter().filter(|e| e.state == state).count();
        for (state, range) in [
            (ExpectedState::Attending, 9_000..9_500),
            (ExpectedState::NotAttending, 300..500),
            (ExpectedState::Cancelled, 200..400),
            (ExpectedState::Deleted, 10..40),
            (ExpectedState::Rejected, 15..50),
        ] {
            assert!(range.contains(&count(state)), "{state:?}: {}", count(state));
        }
        assert!(truth.iter().any(|e| e.groups.contains(&VEGETARIAN_GROUP)));
    }
}
