//! Which person each record concerns. Works on keyed hashes, so that a million records need no texts in memory.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;

use super::duplicates::Version;
use super::moves::Verdict;
use crate::model::{RecordState, SkipReason, UserNo};

/// A record that differs from the last time, as far as routing needs to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<E> {
    /// Feed and external id.
    pub key: E,
    /// `None` for a partial record.
    pub email: Option<E>,
    pub version: Version,
    pub state: RecordState,
}

/// The registration that a candidate's external id names, as it is before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<E> {
    pub user: UserNo,
    /// The user's email.
    pub email: E,
}

/// Whom a record concerns. Ordered so that users come first, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target<E> {
    User(UserNo),
    /// Nobody yet: who will bear this email.
    New(E),
}

/// What the record does to its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Makes or changes a registration.
    Arrive,
    /// Takes a registration away, to somebody else.
    Leave,
    /// Carries the delete flag.
    Delete,
}

/// One record's effect on one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task<E> {
    pub target: Target<E>,
    /// The candidate, in the caller's numbering.
    pub record: usize,
    pub role: Role,
}

/// What routing makes of one candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route<E> {
    Tasks(Vec<Task<E>>),
    Skip(SkipReason),
    /// Its new email stays another user's.
    EmailTaken,
}

/// Of candidates with the same external id, the ones that lose; ascending. `stored` is the version of a
/// candidate's registration where the same read also found it unchanged: that one competes too.
pub fn losers<E: Copy + Ord>(
    count: usize,
    candidate: impl Fn(usize) -> Candidate<E>,
    stored: impl Fn(usize) -> Option<Version>,
) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    // The winner comes first. Equal versions are equal records, so which one stays cannot matter.
    order.sort_unstable_by_key(|&at| (candidate(at).key, Reverse(candidate(at).version), at));
    let mut losers = Vec::new();
    let mut last = None;
    for at in order {
        let Candidate { key, version, .. } = candidate(at);
        if last == Some(key) || stored(at).is_some_and(|stored| stored >= version) {
            losers.push(at);
        }
        last = Some(key);
    }
    losers.sort_unstable();
    losers
}

/// Where the facts for routing come from.
pub struct Facts<'a, E> {
    /// Who bears an email before the run.
    pub owner: &'a dyn Fn(E) -> Option<UserNo>,
    /// New emails of users, from [`Verdict::Rename`].
    pub renamed: &'a HashMap<UserNo, E>,
}

impl<E: Copy + Eq + Hash> Facts<'_, E> {
    /// Who bears an email after the run.
    fn target(&self, email: E, gained: &HashMap<E, UserNo>) -> Target<E> {
        if let Some(user) = gained.get(&email) {
            return Target::User(*user);
        }
        match (self.owner)(email).filter(|user| !self.renamed.contains_key(user)) {
            Some(user) => Target::User(user),
            None => Target::New(email),
        }
    }
}

/// Routes every candidate that did not lose. `known`, `verdict` and `flagged` answer by candidate: the
/// registration it names, what was decided on its changed email, and the users a delete flag reaches.
pub fn route<E: Copy + Eq + Hash>(
    candidates: impl Iterator<Item = (usize, Candidate<E>)>,
    facts: &Facts<'_, E>,
    known: impl Fn(usize) -> Option<Known<E>>,
    verdict: impl Fn(usize) -> Option<Verdict>,
    flagged: impl Fn(usize) -> Vec<UserNo>,
    mut visit: impl FnMut(usize, Route<E>),
) {
    let gained: HashMap<E, UserNo> = facts.renamed.iter().map(|(user, email)| (*email, *user)).collect();
    for (record, candidate) in candidates {
        let task = |target, role| Task { target, record, role };
        let arrive = |target| Route::Tasks(vec![task(target, Role::Arrive)]);
        if candidate.state == RecordState::Deleted {
            let tasks: Vec<_> =
                flagged(record).into_iter().map(|user| task(Target::User(user), Role::Delete)).collect();
            let nobody = tasks.is_empty();
            visit(record, if nobody { Route::Skip(SkipReason::UnknownDeleted) } else { Route::Tasks(tasks) });
            continue;
        }
        visit(
            record,
            match (candidate.email, known(record), verdict(record)) {
                (Some(_), _, Some(Verdict::Taken)) => Route::EmailTaken,
                (Some(_), _, Some(Verdict::Rename(user))) => arrive(Target::User(user)),
                (Some(email), _, Some(Verdict::Leave(user))) => Route::Tasks(vec![
                    task(Target::User(user), Role::Leave),
                    task(facts.target(email, &gained), Role::Arrive),
                ]),
                (_, Some(known), None) => arrive(Target::User(known.user)),
                (Some(email), None, None) => arrive(facts.target(email, &gained)),
                (None, None, _) => Route::Skip(SkipReason::UnknownCancelled),
                (None, Some(known), Some(_)) => arrive(Target::User(known.user)),
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    fn candidate(key: u8, email: Option<u8>, mapped: u128, state: RecordState) -> Candidate<u8> {
        Candidate { key, email, version: Version { updated_at: None, mapped: Digest(mapped) }, state }
    }

    #[test]
    fn of_duplicates_the_greatest_version_stays_whatever_the_order() {
        let one = |mapped| candidate(1, Some(1), mapped, RecordState::Attending);
        let losers = |versions: &[u128], stored: Option<u128>| {
            let stored = stored.map(|mapped| Version { updated_at: None, mapped: Digest(mapped) });
            losers(versions.len(), |at| one(versions[at]), |_| stored)
        };
        assert_eq!(losers(&[1, 3, 2], None), [0, 2]);
        assert_eq!(losers(&[3, 2, 1], None), [1, 2]);
        assert_eq!(losers(&[2, 2], None), [1]);
        assert_eq!(losers(&[1, 2], Some(2)), [0, 1], "what is stored already wins over both");
        assert_eq!(losers(&[1, 3], Some(2)), [0]);
    }

    fn routes(
        candidates: &[Candidate<u8>],
        known: &[(usize, u32, u8)],
        verdicts: &[(usize, Verdict)],
    ) -> Vec<Route<u8>> {
        let renames = verdicts.iter().filter_map(|(record, verdict)| match verdict {
            Verdict::Rename(user) => Some((*user, candidates[*record].email?)),
            _ => None,
        });
        let renamed: HashMap<UserNo, u8> = renames.collect();
        // User n bears email n, for n up to 3.
        let owner = |email: u8| (1..=3).contains(&email).then_some(UserNo(u32::from(email)));
        let mut routes = Vec::new();
        route(
            candidates.iter().copied().enumerate(),
            &Facts { owner: &owner, renamed: &renamed },
            |at| {
                let hit = known.iter().find(|(record, ..)| *record == at);
                hit.map(|(_, user, email)| Known { user: UserNo(*user), email: *email })
            },
            |at| verdicts.iter().find(|(record, _)| *record == at).map(|(_, verdict)| *verdict),
            |at| if at == 0 { vec![UserNo(2)] } else { Vec::new() },
            |_, route| routes.push(route),
        );
        routes
    }

    #[test]
    fn records_find_their_people() {
        use RecordState::{Attending, Cancelled, Deleted};
        let arrive = |target, record| Route::Tasks(vec![Task { target, record, role: Role::Arrive }]);
        let user = |n| Target::User(UserNo(n));
        let new = candidate(9, Some(7), 0, Attending);
        assert_eq!(routes(&[new], &[], &[]), [arrive(Target::New(7), 0)], "nobody bears the email");
        let joins = candidate(9, Some(2), 0, Attending);
        assert_eq!(routes(&[joins], &[], &[]), [arrive(user(2), 0)], "the email is known");
        let partial = candidate(9, None, 0, Cancelled);
        assert_eq!(routes(&[partial], &[], &[]), [Route::Skip(SkipReason::UnknownCancelled)]);
        assert_eq!(routes(&[partial], &[(0, 3, 3)], &[]), [arrive(user(3), 0)], "a partial record stays with its user");
        let flagged = candidate(9, None, 0, Deleted);
        let delete = Route::Tasks(vec![Task { target: user(2), record: 0, role: Role::Delete }]);
        assert_eq!(routes(&[flagged, flagged], &[], &[]), [delete, Route::Skip(SkipReason::UnknownDeleted)]);
    }

    #[test]
    fn a_renamed_user_frees_one_email_and_holds_another() {
        let rename = candidate(1, Some(7), 0, RecordState::Attending);
        let to_old = candidate(2, Some(1), 0, RecordState::Attending);
        let to_new = candidate(3, Some(7), 0, RecordState::Attending);
        let routes = routes(&[rename, to_old, to_new], &[(0, 1, 1)], &[(0, Verdict::Rename(UserNo(1)))]);
        let targets: Vec<_> = routes
            .iter()
            .map(|route| match route {
                Route::Tasks(tasks) => tasks[0].target,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(targets, [Target::User(UserNo(1)), Target::New(1), Target::User(UserNo(1))]);
    }
}
