//! Changed emails. All moves of a run are resolved together, so that chains and swaps work (DESIGN §4).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;

use crate::model::{ExternalId, UserNo};

/// A known registration whose record now bears another email than its user. A cancelled one never moves: it stays
/// with whom it cancels, or a cancellation under another's email would be refused and keep its person in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival<E> {
    /// Which record, in the caller's own numbering.
    pub record: usize,
    pub email: E,
    pub external_id: ExternalId,
}

/// A user with such registrations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mover<E> {
    pub user: UserNo,
    /// What the user bears before the run.
    pub email: E,
    /// In order of precedence: where they disagree, the first decides the user's email.
    pub arrivals: Vec<Arrival<E>>,
    /// Another registration that is not cancelled stays with the present email.
    pub stays: bool,
}

/// What becomes of one arriving record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The user's email changes; the registration stays with the user.
    Rename(UserNo),
    /// Only this registration moves, to whoever bears the new email after the run, new if need be.
    Leave(UserNo),
    /// The new email stays another user's: rejected, never merged silently.
    Taken,
}

/// Decides every arriving record: pairs of the caller's record number and verdict, ascending by record.
///
/// `owner` tells who bears an email before the run, and `joined` whether a new registration that is not cancelled
/// comes under it. A user is renamed when no other registration holds them to the present email and the new one
/// is free, or is freed in the same run. Of two users who want the same email, the one whose registration comes
/// first gets it, by external id. A user who may not be renamed but whom another registration
/// joins in the same run has then another one that is active, so that the arriving record moves after all: were
/// it refused now, the next run of the same list would move it.
pub fn resolve<E: Copy + Eq + Hash>(
    movers: &[Mover<E>],
    owner: impl Fn(E) -> Option<UserNo>,
    joined: impl Fn(E) -> bool,
) -> Vec<(usize, Verdict)> {
    let granted = grant(movers, owner);
    let parted = part(movers, &granted, joined);
    let mut verdicts: Vec<_> = movers
        .iter()
        .flat_map(|mover| mover.arrivals.iter().map(move |arrival| (mover, arrival)))
        .map(|(mover, arrival)| {
            let verdict = match granted.get(&mover.user) {
                Some(email) if *email == arrival.email => Verdict::Rename(mover.user),
                None if mover.wish() == Some(arrival.email) && !parted.contains(&mover.user) => Verdict::Taken,
                // The user goes elsewhere, or stays for another registration's sake: this one parts from them.
                _ => Verdict::Leave(mover.user),
            };
            (arrival.record, verdict)
        })
        .collect();
    verdicts.sort_unstable_by_key(|(record, _)| *record);
    verdicts
}

impl<E: Copy + Eq + Hash> Mover<E> {
    /// The email that the user would change to.
    fn wish(&self) -> Option<E> {
        self.arrivals.first().filter(|_| !self.stays).map(|arrival| arrival.email)
    }

    /// Sorts before another's where both want one email. Says nothing of when the users were made, for that hangs
    /// on the order of some list.
    fn claim(&self) -> Option<&ExternalId> {
        self.arrivals.first().map(|arrival| &arrival.external_id)
    }
}

/// The wishes that can all be granted at once: none wants what stays another's, no two want the same.
fn grant<E: Copy + Eq + Hash>(movers: &[Mover<E>], owner: impl Fn(E) -> Option<UserNo>) -> BTreeMap<UserNo, E> {
    let mut first: HashMap<E, &Mover<E>> = HashMap::new();
    for mover in movers {
        let Some(email) = mover.wish() else { continue };
        let best = first.entry(email).or_insert(mover);
        if mover.claim() < best.claim() {
            *best = mover;
        }
    }
    let mut wishes: BTreeMap<UserNo, E> = first.into_iter().map(|(email, mover)| (mover.user, email)).collect();
    // Whoever is refused keeps their email, which may refuse the next: at most one more each time round.
    loop {
        let stuck = |(user, email): (&UserNo, &E)| {
            let blocked = owner(*email).is_some_and(|holder| holder != *user && !wishes.contains_key(&holder));
            blocked.then_some(*user)
        };
        let refused: Vec<UserNo> = wishes.iter().filter_map(stuck).collect();
        if refused.is_empty() {
            return wishes;
        }
        for user in refused {
            wishes.remove(&user);
        }
    }
}

/// The users who were refused a wish but whom an active registration joins, so that their arrivals part from them.
/// Those may in turn join another who was refused.
fn part<E: Copy + Eq + Hash>(
    movers: &[Mover<E>],
    granted: &BTreeMap<UserNo, E>,
    joined: impl Fn(E) -> bool,
) -> HashSet<UserNo> {
    let refused = |mover: &&Mover<E>| mover.wish().is_some() && !granted.contains_key(&mover.user);
    let mut refused: Vec<&Mover<E>> = movers.iter().filter(refused).collect();
    let leaves = |mover: &Mover<E>, arrival: &Arrival<E>| {
        let stays = granted.get(&mover.user).copied().or(mover.wish());
        stays != Some(arrival.email)
    };
    let arrivals = movers.iter().flat_map(|mover| mover.arrivals.iter().map(move |arrival| (mover, arrival)));
    let mut landing: HashSet<E> =
        arrivals.filter(|(mover, arrival)| leaves(mover, arrival)).map(|(_, arrival)| arrival.email).collect();
    let mut parted = HashSet::new();
    loop {
        let met = |mover: &&Mover<E>| joined(mover.email) || landing.contains(&mover.email);
        let (parting, left): (Vec<_>, Vec<_>) = refused.into_iter().partition(met);
        if parting.is_empty() {
            return parted;
        }
        for mover in parting {
            parted.insert(mover.user);
            landing.extend(mover.arrivals.iter().map(|arrival| arrival.email));
        }
        refused = left;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users 1, 2, 3 bear emails `a`, `b`, `c`.
    fn owner(email: char) -> Option<UserNo> {
        "_abc".chars().position(|known| known == email).filter(|at| *at > 0).map(|at| UserNo(at as u32))
    }

    /// The external ids are in the order of the users.
    fn mover(user: u32, emails: &str, stays: bool) -> Mover<char> {
        let arrival = |(n, email): (usize, char)| {
            let record = user as usize * 10 + n;
            let external_id = ExternalId::new(&record.to_string()).unwrap();
            Arrival { record, email, external_id }
        };
        let email = "_abc".chars().nth(user as usize).unwrap();
        Mover { user: UserNo(user), email, arrivals: emails.chars().enumerate().map(arrival).collect(), stays }
    }

    fn verdicts(movers: &[Mover<char>], joined: &str) -> Vec<Verdict> {
        resolve(movers, owner, |email| joined.contains(email)).into_iter().map(|(_, verdict)| verdict).collect()
    }

    #[test]
    fn moves_are_resolved_together() {
        use Verdict::{Leave, Rename, Taken};
        let (one, two, three) = (UserNo(1), UserNo(2), UserNo(3));
        for (what, movers, expected) in [
            ("to a free email", vec![mover(1, "x", false)], vec![Rename(one)]),
            ("to a taken email", vec![mover(1, "b", false)], vec![Taken]),
            ("another registration stays", vec![mover(1, "x", true)], vec![Leave(one)]),
            ("another stays, the new email is known", vec![mover(1, "b", true)], vec![Leave(one)]),
            ("a swap", vec![mover(1, "b", false), mover(2, "a", false)], vec![Rename(one), Rename(two)]),
            (
                "a ring of three",
                vec![mover(1, "b", false), mover(2, "c", false), mover(3, "a", false)],
                vec![Rename(one), Rename(two), Rename(three)],
            ),
            ("a chain", vec![mover(1, "b", false), mover(2, "x", false)], vec![Rename(one), Rename(two)]),
            ("a chain that is blocked", vec![mover(1, "b", false), mover(2, "c", false)], vec![Taken, Taken]),
            (
                "a swap with one who stays",
                vec![mover(1, "b", false), mover(2, "a", true)],
                vec![Leave(one), Leave(two)],
            ),
            ("two want one", vec![mover(1, "x", false), mover(2, "x", false)], vec![Rename(one), Taken]),
            ("all registrations move to one email", vec![mover(1, "xx", false)], vec![Rename(one), Rename(one)]),
            ("the one that may not move stays, the other parts", vec![mover(1, "by", false)], vec![Taken, Leave(one)]),
            ("registrations part ways", vec![mover(1, "xy", false)], vec![Rename(one), Leave(one)]),
            (
                "the one who is joined parts, and so does the one they join",
                vec![mover(1, "b", false), mover(2, "c", false), mover(3, "a", true)],
                vec![Leave(one), Leave(two), Leave(three)],
            ),
        ] {
            assert_eq!(verdicts(&movers, ""), expected, "{what}");
        }
    }

    #[test]
    fn a_new_registration_keeps_the_user_and_lets_the_other_go() {
        use Verdict::{Leave, Rename, Taken};
        let (one, blocked, free) = (UserNo(1), mover(1, "b", false), mover(1, "x", false));
        assert_eq!(verdicts(std::slice::from_ref(&blocked), "a"), [Leave(one)]);
        assert_eq!(verdicts(&[blocked], "b"), [Taken], "it joins the other");
        assert_eq!(verdicts(&[free], "a"), [Rename(one)], "the new one finds the email free");
    }

    #[test]
    fn of_two_claims_the_lower_id_goes_first() {
        let (mut one, two) = (mover(1, "x", false), mover(2, "x", false));
        one.arrivals[0].external_id = ExternalId::new("9").unwrap();
        assert_eq!(verdicts(&[one.clone(), two.clone()], ""), [Verdict::Taken, Verdict::Rename(UserNo(2))]);
        one.arrivals[0].external_id = ExternalId::new("1").unwrap();
        assert_eq!(verdicts(&[one, two], ""), [Verdict::Rename(UserNo(1)), Verdict::Taken]);
    }

    #[test]
    fn the_order_of_movers_does_not_matter() {
        let mut movers = vec![mover(1, "b", false), mover(2, "c", false), mover(3, "x", false)];
        let forward = resolve(&movers, owner, |_| false);
        movers.reverse();
        assert_eq!(resolve(&movers, owner, |_| false), forward);
    }
}
