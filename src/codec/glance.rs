//! A person as far as the index needs it, borrowed from the stored bytes: everything else is passed over, and nothing
//! is looked up. Reading every person of a store is several times faster so.

use std::marker::PhantomData;
use std::ops::Deref;

use bincode::BorrowDecode;
use bincode::de::{BorrowDecoder, Decode};
use bincode::error::DecodeError;

use super::block::Behind;
use super::by_hand::override_from_v2;
use super::convert::digest;
use super::journey::state_from_v3;
use super::seal::{self, CodecError, Kind};
use super::symbols::{SymbolKind, Symbols};
use super::{v1, v2};
use crate::model::{Digest, InvitationState, Override, UserId};

/// A stored person; see [`crate::model::Person`].
pub struct Glance<'a> {
    person: PersonGlance<'a>,
    behind: Behind<'a>,
}

/// How far a person came in one event.
pub struct PassageGlance {
    /// A symbol.
    pub event: u32,
    pub invitation: Option<InvitationState>,
    pub accessed: bool,
}

/// The fields of `v1::Person`, in their order.
#[derive(BorrowDecode)]
pub struct PersonGlance<'a> {
    id: [u8; 16],
    pub email: &'a str,
    _email_owner: u8,
    _created_at_ms: i64,
    _owners: Passed<v1::Owner>,
    _profile: Passed<(v1::Field, u8, PassedValue<'a>)>,
    pub registrations: Vec<RegistrationGlance<'a>>,
    pub attendances: Vec<AttendanceGlance<'a>>,
}

/// The fields of `v1::Registration`.
#[derive(BorrowDecode)]
pub struct RegistrationGlance<'a> {
    /// A symbol.
    pub event: u32,
    /// A symbol.
    pub source: u32,
    pub external_id: &'a str,
    _email: Option<&'a [u8]>,
    state: v1::RegistrationState,
    absent_since: Option<u32>,
    _updated_at_us: Option<i64>,
    raw: [u8; 16],
    mapped: [u8; 16],
    _fields: Passed<(v1::Field, Option<PassedValue<'a>>)>,
    _event_fields: Passed<(v1::EventField, Option<PassedValue<'a>>)>,
    groups: Vec<u32>,
}

/// The fields of `v1::Attendance`.
#[derive(BorrowDecode)]
pub struct AttendanceGlance<'a> {
    /// A symbol.
    pub event: u32,
    pub active: bool,
    _changed_at_ms: i64,
    _fields: Passed<(v1::EventField, PassedValue<'a>)>,
}

/// The variants of `v1::Value`, in their order. Texts are not looked into.
#[derive(BorrowDecode)]
#[expect(dead_code, reason = "only passed over")]
enum PassedValue<'a> {
    Text(&'a [u8]),
    Number(&'a [u8]),
    Bool(bool),
    List(Passed<&'a [u8]>),
}

/// A list that is read and not kept.
struct Passed<T>(PhantomData<T>);

impl<'de, C, T: BorrowDecode<'de, C>> BorrowDecode<'de, C> for Passed<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        // Every item takes a byte at least, so that a length made up ends with the bytes.
        for _ in 0..u64::decode(decoder)? {
            T::borrow_decode(decoder)?;
        }
        Ok(Self(PhantomData))
    }
}

impl<'a> Glance<'a> {
    /// Looks at one slot of a block.
    pub fn at(slot: &'a [u8]) -> Result<Self, CodecError> {
        let (person, rest) = seal::split_payload(Kind::Block, slot)?;
        Ok(Self { person, behind: Behind::of(rest)? })
    }

    pub fn id(&self) -> UserId {
        UserId::from_u128(u128::from_le_bytes(self.id))
    }

    fn memberships(&self, set: v2::Override) -> impl Iterator<Item = &v2::MembershipByHand<'a>> {
        let memberships = self.behind.by_hand.iter().flat_map(|by_hand| &by_hand.memberships);
        memberships.filter(move |membership| membership.set == set)
    }

    /// The symbols of the events to which an organiser added the person, or from which one excluded them.
    pub fn decided(&self) -> impl Iterator<Item = (u32, Override)> {
        let attendances = self.behind.by_hand.iter().flat_map(|by_hand| &by_hand.attendances);
        attendances.map(|decided| (decided.event, override_from_v2(decided.set)))
    }

    pub fn has_account(&self) -> bool {
        self.behind.journey.as_ref().is_some_and(|journey| journey.account_at_ms.is_some())
    }

    pub fn passages(&self) -> impl Iterator<Item = PassageGlance> {
        let passages = self.behind.journey.iter().flat_map(|journey| &journey.events);
        passages.map(|passage| PassageGlance {
            event: passage.event,
            invitation: passage.invitation.as_ref().map(|invitation| state_from_v3(invitation.state)),
            accessed: passage.first_access_at_ms.is_some(),
        })
    }

    /// Does the store have every name that the index takes from it?
    pub fn check_names(&self, symbols: &Symbols) -> Result<(), CodecError> {
        let check = |kind, number: u32| {
            let is_known = (number as usize) < symbols.len(kind);
            if is_known { Ok(()) } else { Err(CodecError::UnknownSymbol { kind: Kind::Block, number }) }
        };
        for registration in &self.registrations {
            check(SymbolKind::Event, registration.event)?;
            check(SymbolKind::Source, registration.source)?;
        }
        self.attendances.iter().try_for_each(|attendance| check(SymbolKind::Event, attendance.event))?;
        self.decided().try_for_each(|(event, _)| check(SymbolKind::Event, event))?;
        self.passages().try_for_each(|passage| check(SymbolKind::Event, passage.event))?;
        self.grants().try_for_each(|(event, group)| {
            event.map_or(Ok(()), |event| check(SymbolKind::Event, event))?;
            check(SymbolKind::Group, group)
        })
    }

    /// What puts the person in groups, as symbols of event and group; see [`crate::model::Person::grants`].
    pub fn grants(&self) -> impl Iterator<Item = (Option<u32>, u32)> {
        let live = self.registrations.iter().filter(|r| !r.is_cancelled());
        let granted = live.flat_map(|r| r.groups.iter().map(|group| (Some(r.event), *group)));
        let all = granted.chain(self.memberships(v2::Override::Added).map(|m| (m.event, m.group)));
        let is_out = |group| self.memberships(v2::Override::Excluded).any(|out| out.group == group);
        all.filter(move |(_, group)| self.behind.by_hand.is_none() || !is_out(*group))
    }
}

impl<'a> Deref for Glance<'a> {
    type Target = PersonGlance<'a>;

    fn deref(&self) -> &PersonGlance<'a> {
        &self.person
    }
}

impl RegistrationGlance<'_> {
    const fn is_cancelled(&self) -> bool {
        matches!(self.state, v1::RegistrationState::Cancelled)
    }

    pub const fn is_absent(&self) -> bool {
        self.absent_since.is_some()
    }

    pub fn raw(&self) -> Digest {
        digest(self.raw)
    }

    pub fn mapped(&self) -> Digest {
        digest(self.mapped)
    }
}
