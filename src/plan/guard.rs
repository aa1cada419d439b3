//! The guard: which plans wait for a person, and which are worth a look (DESIGN §7).

use std::collections::BTreeSet;

use super::invitation::invited;
use crate::limits::{
    DEGRADED_SHARED_EMAIL_PERCENT, DEGRADED_SHRUNK_PERCENT, GUARD_DELETED_PEOPLE, GUARD_REJECTED_PERCENT,
    GUARD_REMOVED_PEOPLE, GUARD_REMOVED_PERCENT,
};
use crate::model::{Doubt, DoubtKind, EventName, GuardSettings, Person, PersonChange, Registration};

/// What a plan may do unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub removed_percent: u64,
    pub deleted_people: u64,
    /// Of a whole list.
    pub expected_records: u64,
    pub rejected_percent: u64,
    /// Invitations that a plan queues.
    pub invited_people: u64,
}

impl Limits {
    /// The defaults where nothing is said. `max_invites`: what the event says.
    pub fn of(guard: &GuardSettings, max_invites: u32) -> Self {
        Self {
            removed_percent: guard.max_removed.unwrap_or(GUARD_REMOVED_PERCENT).into(),
            deleted_people: guard.max_deleted.unwrap_or(GUARD_DELETED_PEOPLE).into(),
            expected_records: guard.min_expected.unwrap_or(0).into(),
            rejected_percent: guard.max_rejected.unwrap_or(GUARD_REJECTED_PERCENT).into(),
            invited_people: max_invites.into(),
        }
    }

    /// Would such a loss exceed the share, were so many registrations active?
    pub fn is_exceeded_by(&self, losing: u64, active: u64) -> bool {
        losing > GUARD_REMOVED_PEOPLE && exceeds(losing, self.removed_percent, active)
    }
}

/// What a plan does, in figures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// The feed's registrations before the run that are not cancelled.
    pub active: u64,
    /// All of them.
    pub registered: u64,
    /// People who lose an event.
    pub losing_event: u64,
    /// People who lose a group, but no event.
    pub losing_group: u64,
    pub deleting: u64,
    /// People attending the event, before and after.
    pub attending_before: u64,
    pub attending_after: u64,
    /// Records read.
    pub records: u64,
    pub rejected: u64,
    /// Everything that the source has was asked for.
    pub whole: bool,
    /// Registrations that the last complete read of the list found.
    pub found_before: u64,
    /// Those of them that this complete read did not find.
    pub gone: u64,
    /// People with differing names under one email.
    pub shared_email: u64,
    /// Invitations to be queued.
    pub inviting: u64,
}

impl Figures {
    /// Everybody from whom something is taken, each once.
    pub const fn losing(&self) -> u64 {
        self.losing_event + self.losing_group + self.deleting
    }

    /// Counts what happens to one person.
    pub fn count(&mut self, event: &EventName, before: Option<&Person>, change: &PersonChange) {
        let attends = |person: Option<&Person>| u64::from(person.is_some_and(|person| person.attends(event)));
        let after = change.after.as_ref();
        // Whoever leaves was counted among those before.
        self.attending_after = (self.attending_after + attends(after)).saturating_sub(attends(before));
        self.inviting += after.map_or(0, |after| invited(before, after));
        match (before, after) {
            (Some(_), None) => self.deleting += 1,
            (Some(before), Some(after)) if loses_event(before, after) => self.losing_event += 1,
            (Some(before), Some(after)) if loses_group(before, after) => self.losing_group += 1,
            _ => {}
        }
    }
}

fn loses_event(before: &Person, after: &Person) -> bool {
    before.attendances.iter().any(|a| a.active && !after.attends(&a.event))
}

/// Of a group that is lost in one event and kept in another, the pages of the one are lost.
fn loses_group(before: &Person, after: &Person) -> bool {
    let grants = |r: &Registration| (r.is_cancelled(), r.feed.event.clone(), r.groups.clone());
    if before.registrations.iter().map(grants).eq(after.registrations.iter().map(grants)) {
        return false;
    }
    let kept: BTreeSet<_> = after.grants().collect();
    before.grants().any(|(event, group)| !kept.contains(&(event, group)) && !kept.contains(&(None, group)))
}

/// Is a part more than so many percent of the whole?
const fn exceeds(part: u64, percent: u64, whole: u64) -> bool {
    // Far below 2^64, in people and records.
    part.saturating_mul(100) > percent.saturating_mul(whole)
}

fn doubt(kind: DoubtKind, text: String) -> Doubt {
    Doubt { kind, text }
}

/// Every reason to hold the plan; none lets it go.
pub fn reasons_to_hold(limits: &Limits, figures: &Figures) -> Vec<Doubt> {
    let mut reasons = list_reasons(limits, figures);
    let Figures { active, losing_event, losing_group, deleting, .. } = *figures;
    if limits.is_exceeded_by(figures.losing(), active) {
        let (losing, percent) = (figures.losing(), limits.removed_percent);
        let text = format!(
            "{losing} people would lose something ({losing_event} the event, {losing_group} a group, {deleting} deleted \
             permanently), more than {percent} % of the {active} active registrations (max_removed)"
        );
        reasons.push(doubt(DoubtKind::Removed, text));
    }
    if deleting > limits.deleted_people {
        let most = limits.deleted_people;
        let text = format!(
            "{deleting} people would be deleted permanently, which cannot be undone; {most} may be unasked (max_deleted)"
        );
        reasons.push(doubt(DoubtKind::Deleted, text));
    }
    if figures.attending_before > 0 && figures.attending_after == 0 {
        let text = format!("nobody of the {} attendees would remain", figures.attending_before);
        reasons.push(doubt(DoubtKind::NobodyLeft, text));
    }
    if figures.inviting > limits.invited_people {
        let (inviting, most) = (figures.inviting, limits.invited_people);
        let text = format!("{inviting} people would be invited by mail; {most} may be unasked (max_invites)");
        reasons.push(doubt(DoubtKind::Invites, text));
    }
    reasons
}

/// What is odd about the list itself.
fn list_reasons(limits: &Limits, figures: &Figures) -> Vec<Doubt> {
    let Figures { records, rejected, registered, found_before, gone, whole, .. } = *figures;
    let mut reasons = Vec::new();
    if whole && records == 0 && found_before > 0 {
        let text = format!("the list is empty; the last complete one had {found_before} registrations");
        reasons.push(doubt(DoubtKind::Empty, text));
    } else if limits.is_exceeded_by(gone, found_before) {
        let percent = limits.removed_percent;
        let text = format!(
            "the list lacks {gone} of the {found_before} registrations it had, more than {percent} % (max_removed)"
        );
        reasons.push(doubt(DoubtKind::Shrunk, text));
    }
    if whole && records < limits.expected_records {
        let text = format!("the list has {records} records, fewer than {} (min_expected)", limits.expected_records);
        reasons.push(doubt(DoubtKind::BelowExpected, text));
    }
    // A read of changes has few records, of which one bad one is a large share.
    let of = if whole { records } else { records.max(registered) };
    if exceeds(rejected, limits.rejected_percent, of) {
        let percent = limits.rejected_percent;
        let text = format!("{rejected} of {of} records cannot be used, more than {percent} % (max_rejected)");
        reasons.push(doubt(DoubtKind::Rejected, text));
    }
    reasons
}

/// What is worth a look though it may be right: a run with such a doubt is done, but never without a word.
pub fn reasons_to_look(figures: &Figures) -> Vec<Doubt> {
    let Figures { records, found_before, gone, whole, shared_email, .. } = *figures;
    let mut reasons = Vec::new();
    if whole && records == 0 {
        reasons.push(doubt(DoubtKind::Empty, "the list is empty".to_owned()));
    }
    // One who left a small list is no sign of anything.
    if gone > 1 && exceeds(gone, DEGRADED_SHRUNK_PERCENT, found_before) {
        let text = format!("the list lacks {gone} of the {found_before} registrations it had");
        reasons.push(doubt(DoubtKind::Shrunk, text));
    }
    if exceeds(shared_email, DEGRADED_SHARED_EMAIL_PERCENT, records) {
        let text =
            format!("{shared_email} people bear differing names under one email; is the mapped email the buyer's?");
        reasons.push(doubt(DoubtKind::SharedEmail, text));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ByHand, Decision, Digest, Email, ExternalId, FeedId, GroupKey, MembershipByHand, Override, RegistrationState,
        SourceName, UserId,
    };

    /// 100 people, all of whom are listed and stay.
    const CALM: Figures = Figures {
        active: 100,
        registered: 100,
        losing_event: 0,
        losing_group: 0,
        deleting: 0,
        attending_before: 100,
        attending_after: 100,
        records: 100,
        rejected: 0,
        whole: true,
        found_before: 100,
        gone: 0,
        shared_email: 0,
        inviting: 0,
    };

    fn kinds(doubts: &[Doubt]) -> Vec<DoubtKind> {
        doubts.iter().map(|doubt| doubt.kind).collect()
    }

    #[test]
    fn each_limit_holds_beyond_its_edge_and_not_at_it() {
        use DoubtKind::{BelowExpected, Deleted, Empty, Invites, NobodyLeft, Rejected, Removed, Shrunk};
        let limits = Limits { expected_records: 100, ..Limits::of(&GuardSettings::default(), 10) };
        let small = Figures { active: 20, found_before: 20, ..CALM };
        for (what, figures, expected) in [
            ("nothing", CALM, &[][..]),
            ("20 % removed", Figures { losing_event: 20, ..CALM }, &[]),
            ("21 %", Figures { losing_event: 21, ..CALM }, &[Removed]),
            (
                "removals, groups and deletions count together",
                Figures { losing_event: 9, losing_group: 9, deleting: 3, ..CALM },
                &[Removed],
            ),
            ("half, but 10 people", Figures { losing_event: 10, ..small }, &[]),
            ("half, and 11 people", Figures { losing_group: 11, ..small }, &[Removed]),
            ("5 deleted", Figures { deleting: 5, ..CALM }, &[]),
            ("6 deleted", Figures { deleting: 6, ..CALM }, &[Deleted]),
            ("one left", Figures { attending_after: 1, ..CALM }, &[]),
            ("nobody left", Figures { attending_after: 0, ..CALM }, &[NobodyLeft]),
            ("nobody before", Figures { attending_before: 0, attending_after: 0, ..CALM }, &[]),
            ("fewer than expected", Figures { records: 99, ..CALM }, &[BelowExpected]),
            ("fewer, of changes alone", Figures { records: 9, whole: false, ..CALM }, &[]),
            ("an empty list", Figures { records: 0, gone: 100, ..CALM }, &[Empty, BelowExpected]),
            ("an empty list of changes", Figures { records: 0, whole: false, ..CALM }, &[]),
            ("20 % of the list gone", Figures { gone: 20, ..CALM }, &[]),
            ("21 % of the list gone", Figures { gone: 21, ..CALM }, &[Shrunk]),
            ("10 of 20 gone", Figures { gone: 10, ..small }, &[]),
            ("5 % rejected", Figures { rejected: 5, ..CALM }, &[]),
            ("6 % rejected", Figures { rejected: 6, ..CALM }, &[Rejected]),
            ("10 invited", Figures { inviting: 10, ..CALM }, &[]),
            ("11 invited", Figures { inviting: 11, ..CALM }, &[Invites]),
            ("1 of 2 changes rejected", Figures { records: 2, rejected: 1, whole: false, ..CALM }, &[]),
        ] {
            assert_eq!(kinds(&reasons_to_hold(&limits, &figures)), expected, "{what}");
        }
    }

    /// Somebody with a registration in each of these events that grants `vip`, and perhaps the same by hand.
    fn vip_in(events: &[&str], by_hand: Option<Option<&str>>) -> Person {
        let at = jiff::Timestamp::UNIX_EPOCH;
        let email = Email::parse("ada@x.org").unwrap();
        let event = |name: &str| EventName::parse(name).unwrap();
        let group = GroupKey::of("vip").unwrap();
        let registration = |name: &&str| Registration {
            feed: FeedId { event: event(name), source: SourceName::parse("crm").unwrap() },
            external_id: ExternalId::new("1").unwrap(),
            email: email.clone(),
            state: RegistrationState::Attending,
            absent_since: None,
            updated_at: None,
            raw: Digest(1),
            mapped: Digest(1),
            fields: Vec::new(),
            event_fields: Vec::new(),
            groups: vec![group.clone()],
        };
        let membership = |of: Option<&str>| MembershipByHand {
            group: group.clone(),
            set: Override::Added,
            event: of.map(event),
            decision: Decision { by: "desk".into(), at },
        };
        let by_hand = by_hand.map(|of| ByHand { memberships: vec![membership(of)], ..ByHand::default() });
        Person {
            id: UserId::from_u128(1),
            email: email.clone(),
            email_owner: None,
            profile: Vec::new(),
            registrations: events.iter().map(registration).collect(),
            attendances: Vec::new(),
            created_at: at,
            by_hand: by_hand.map(Box::new),
            journey: None,
        }
    }

    #[test]
    fn a_group_is_lost_in_the_event_that_no_longer_grants_it() {
        for (before, after, lost) in [
            ((&["a"][..], None), (&["a"][..], None), false),
            ((&["a"], None), (&[], None), true),
            ((&["a", "b"], None), (&["a"], None), true),
            ((&["a"], None), (&["a", "b"], None), false),
            ((&["a"], Some(None)), (&[], Some(None)), false),
            ((&["a"], Some(Some("a"))), (&[], Some(Some("a"))), false),
            ((&["a"], Some(Some("b"))), (&[], Some(Some("b"))), true),
        ] {
            let [old, new] = [before, after].map(|(events, by_hand)| vip_in(events, by_hand));
            assert_eq!(loses_group(&old, &new), lost, "{before:?} {after:?}");
        }
    }

    #[test]
    fn limits_can_be_set() {
        let guard =
            GuardSettings { max_removed: Some(0), max_deleted: Some(0), max_rejected: Some(100), ..Default::default() };
        let limits = Limits::of(&guard, 10);
        let figures = Figures { losing_event: 10, deleting: 1, rejected: 100, ..CALM };
        assert_eq!(kinds(&reasons_to_hold(&limits, &figures)), [DoubtKind::Removed, DoubtKind::Deleted]);
    }

    #[test]
    fn what_is_not_held_is_looked_at() {
        use DoubtKind::{Empty, SharedEmail, Shrunk};
        for (figures, expected) in [
            (CALM, &[][..]),
            (Figures { records: 0, ..CALM }, &[Empty]),
            (Figures { records: 0, whole: false, ..CALM }, &[]),
            (Figures { gone: 10, ..CALM }, &[]),
            (Figures { gone: 11, ..CALM }, &[Shrunk]),
            (Figures { gone: 1, found_before: 2, ..CALM }, &[]),
            (Figures { shared_email: 10, ..CALM }, &[]),
            (Figures { shared_email: 11, ..CALM }, &[SharedEmail]),
        ] {
            assert_eq!(kinds(&reasons_to_look(&figures)), expected, "{figures:?}");
        }
    }
}
