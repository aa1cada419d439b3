//! What must be in the store after a kill: what was there before, and of each journal exactly as many entries as its
//! run says are applied. Nothing less, nothing more, nothing by halves.

use std::collections::{BTreeMap, BTreeSet};

use rollcall::journal::{JournalReader, journal_path};
use rollcall::model::{Entry, Run, RunId, RunOutcome, UserNo};
use rollcall::store::Store;

use super::witness::Ack;
use crate::support::{People, check_indexes, check_indexes_amid_a_commit, everybody};

/// Everything a store should hold, kept by following its journals.
#[derive(Default)]
pub struct Expected {
    pub people: People,
    next_user: u32,
    /// Every run of history, as it was when last looked at.
    pub runs: BTreeMap<RunId, Run>,
}

impl Expected {
    /// The run whose commit was interrupted half-way.
    pub fn half_way(&self) -> Option<&Run> {
        self.runs.values().find(|run| run.ended_at.is_none() && run.applied > 0)
    }

    /// Follows what the store says was done since, and holds it to that.
    pub fn follow(&mut self, store: &Store) {
        // One feed: runs commit in their order.
        let mut runs = store.runs(None, usize::MAX, |_| true).unwrap();
        runs.reverse();
        for run in runs {
            let known = self.runs.get(&run.id);
            assert!(known.is_none_or(|known| known.ended_at.is_none() || *known == run), "history was rewritten");
            let from = known.map_or(0, |known| known.applied);
            assert!(from <= run.applied, "run {} went back from {from} to {}", run.id, run.applied);
            if from < run.applied {
                self.apply(store, &run, from);
            }
            if run.outcome == Some(RunOutcome::Done) {
                assert_eq!(Some(run.applied), run.planned, "run {} is done but not whole", run.id);
            }
            self.runs.insert(run.id, run);
        }
        let missing = self.runs.keys().filter(|run| store.run(**run).unwrap().is_none()).count();
        assert_eq!(missing, 0, "history lost runs");
        assert_same_people(&everybody(store), &self.people);
        if self.half_way().is_some() {
            check_indexes_amid_a_commit(store, &["e"]);
        } else {
            check_indexes(store, &["e"]);
        }
    }

    fn apply(&mut self, store: &Store, run: &Run, from: u64) {
        let journal = JournalReader::open(&journal_path(&store.runs_folder(), run.id)).unwrap();
        let entries = journal.map(Result::unwrap).zip(1..);
        for (entry, _) in entries.filter(|(_, number)| (from + 1..=run.applied).contains(number)) {
            let Entry::Person(change) = entry else { continue };
            let user = change.user.unwrap_or(UserNo(self.next_user));
            self.next_user = self.next_user.max(user.0 + 1);
            let before = match change.after {
                Some(person) => self.people.insert(user, person),
                None => self.people.remove(&user),
            };
            assert!(change.before.is_none() || change.before == before, "run {} planned upon something else", run.id);
        }
    }

    /// Whatever was acknowledged is there.
    pub fn honours(&self, acks: &[Ack]) {
        for ack in acks {
            let (Ack::Begun(id) | Ack::Applied(id, _) | Ack::Ended(id, _)) = ack;
            let run = self.runs.get(id).unwrap_or_else(|| panic!("{ack:?}, but there is no such run"));
            match ack {
                Ack::Begun(_) => {}
                Ack::Applied(_, applied) => assert!(run.applied >= *applied, "{ack:?}, but {}", run.applied),
                Ack::Ended(_, outcome) => assert_eq!(run.outcome.unwrap().as_str(), outcome, "{ack:?}"),
            }
        }
    }
}

/// Without printing everybody.
#[track_caller]
pub fn assert_same_people(found: &People, expected: &People) {
    let users: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let different: Vec<_> = users.into_iter().filter(|user| found.get(user) != expected.get(user)).collect();
    let describe = |people: &People, user: &UserNo| people.get(user).map(|person| format!("{person:?}"));
    if let Some(first) = different.first() {
        let (found, expected) = (describe(found, first), describe(expected, first));
        panic!("{} people differ: {different:?}\nfound    {found:?}\nexpected {expected:?}", different.len());
    }
}
