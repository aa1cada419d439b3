//! What was decided by hand, as a frozen struct behind a person. Behind the others there is nothing, not even a byte.

use super::convert::{event_name, field_from_v1, field_to_v1, group_key, millis};
use super::seal::{CodecError, Kind};
use super::symbols::{SymbolKind, Symbols};
use super::v2;
use crate::model::{AttendanceByHand, ByHand, Decision, EventName, MembershipByHand, Override, Person, Protected};

/// `None` where nothing was decided.
pub fn by_hand_to_v2<'a>(symbols: &mut Symbols, person: &'a Person) -> Option<v2::ByHand<'a>> {
    let ByHand { attendances, memberships, protected } = &**person.by_hand.as_ref()?;
    let event = |symbols: &mut Symbols, name: &EventName| symbols.intern(SymbolKind::Event, name.as_str());
    let mut stored = v2::ByHand {
        attendances: Vec::with_capacity(attendances.len()),
        memberships: Vec::with_capacity(memberships.len()),
        protects_all: *protected == Protected::All,
        protected: Vec::new(),
    };
    for AttendanceByHand { event: of, set, decision } in attendances {
        let (event, at_ms) = (event(symbols, of), decision.at.as_millisecond());
        stored.attendances.push(v2::AttendanceByHand { event, set: override_to_v2(*set), by: &decision.by, at_ms });
    }
    for MembershipByHand { group, set, event: of, decision } in memberships {
        stored.memberships.push(v2::MembershipByHand {
            group: symbols.intern(SymbolKind::Group, group.as_str()),
            set: override_to_v2(*set),
            event: of.as_ref().map(|of| event(symbols, of)),
            by: &decision.by,
            at_ms: decision.at.as_millisecond(),
        });
    }
    if let Protected::Fields(fields) = protected {
        stored.protected = fields.iter().map(|field| field_to_v1(symbols, field)).collect();
    }
    Some(stored)
}

pub fn by_hand_from_v2(symbols: &Symbols, stored: &v2::ByHand<'_>) -> Result<ByHand, CodecError> {
    let decision = |by: &str, at_ms| Ok(Decision { by: by.into(), at: millis(Kind::Block, at_ms)? });
    let mut by_hand = ByHand::default();
    for v2::AttendanceByHand { event, set, by, at_ms } in &stored.attendances {
        let (event, set) = (event_name(symbols, *event)?, override_from_v2(*set));
        by_hand.attendances.push(AttendanceByHand { event, set, decision: decision(by, *at_ms)? });
    }
    for v2::MembershipByHand { group, set, event, by, at_ms } in &stored.memberships {
        by_hand.memberships.push(MembershipByHand {
            group: group_key(symbols, *group)?,
            set: override_from_v2(*set),
            event: event.map(|event| event_name(symbols, event)).transpose()?,
            decision: decision(by, *at_ms)?,
        });
    }
    let fields = stored.protected.iter().map(|field| field_from_v1(symbols, *field));
    by_hand.protected = match stored.protects_all {
        true => Protected::All,
        false => Protected::Fields(fields.collect::<Result<_, _>>()?),
    };
    Ok(by_hand)
}

const fn override_to_v2(set: Override) -> v2::Override {
    match set {
        Override::Added => v2::Override::Added,
        Override::Excluded => v2::Override::Excluded,
    }
}

pub const fn override_from_v2(set: v2::Override) -> Override {
    match set {
        v2::Override::Added => Override::Added,
        v2::Override::Excluded => Override::Excluded,
    }
}
