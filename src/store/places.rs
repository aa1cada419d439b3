//! Bitmaps of users: who is where, and how far they came. A part of the indexes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read, Write};

use roaring::RoaringBitmap;

use super::columns::{ColumnReader, ColumnWriter, unfit};
use super::grants::Grants;
use super::index::Known;
use crate::codec::{Glance, SymbolKind, Symbols};
use crate::model::{EventName, GroupKey, InvitationState, Override, Person, UserNo};

/// Users by the symbol of an event.
type Bitmaps = HashMap<u32, RoaringBitmap>;

#[derive(Default)]
pub struct Places {
    /// By event: those who attend, and those whose attendance ended.
    active: Bitmaps,
    inactive: Bitmaps,
    grants: Grants,
    /// By event: those whom an organiser added, and those whom one excluded.
    added: Bitmaps,
    excluded: Bitmaps,
    /// By event: those who came.
    accessed: Bitmaps,
    /// By event, one for each of [`InvitationState::ALL`].
    invited: [Bitmaps; STATES],
    accounts: RoaringBitmap,
}

const STATES: usize = InvitationState::ALL.len();

impl Places {
    pub fn attendees(&self, symbols: &Symbols, event: &EventName, active: bool) -> Option<&RoaringBitmap> {
        of_event(symbols, event, if active { &self.active } else { &self.inactive })
    }

    /// Everybody who is in a group, through whatever event.
    pub fn members(&self, symbols: &Symbols, group: &GroupKey) -> Cow<'_, RoaringBitmap> {
        let group = symbols.number(SymbolKind::Group, group.as_str());
        group.map(|group| self.grants.members(group)).unwrap_or_default()
    }

    /// Everybody who is in a group as far as one event is concerned.
    pub fn members_in(&self, symbols: &Symbols, event: &EventName, group: &GroupKey) -> Cow<'_, RoaringBitmap> {
        let event = symbols.number(SymbolKind::Event, event.as_str());
        let group = symbols.number(SymbolKind::Group, group.as_str());
        group.map(|group| self.grants.members_in(event, group)).unwrap_or_default()
    }

    /// The groups that somebody is in as far as one event is concerned, some twice.
    pub fn groups_in(
        &self,
        symbols: &Symbols,
        event: &EventName,
        UserNo(user): UserNo,
    ) -> impl Iterator<Item = GroupKey> {
        let event = symbols.number(SymbolKind::Event, event.as_str());
        let groups = self.grants.groups_of(event, user);
        groups.filter_map(|group| Some(GroupKey::from_stored(symbols.get(SymbolKind::Group, group)?)))
    }

    /// The events through which people are in a group, and how many in each.
    pub fn events_of(&self, symbols: &Symbols, group: &GroupKey) -> impl Iterator<Item = (EventName, u64)> {
        let group = symbols.number(SymbolKind::Group, group.as_str());
        let events = group.into_iter().flat_map(|group| self.grants.events_of(group));
        events.filter_map(|(event, members)| {
            Some((EventName::from_stored(symbols.get(SymbolKind::Event, event)?), members))
        })
    }

    pub fn added(&self, symbols: &Symbols, event: &EventName) -> Option<&RoaringBitmap> {
        of_event(symbols, event, &self.added)
    }

    pub fn excluded(&self, symbols: &Symbols, event: &EventName) -> Option<&RoaringBitmap> {
        of_event(symbols, event, &self.excluded)
    }

    pub fn accessed(&self, symbols: &Symbols, event: &EventName) -> Option<&RoaringBitmap> {
        of_event(symbols, event, &self.accessed)
    }

    pub fn invited(&self, symbols: &Symbols, event: &EventName, state: InvitationState) -> Option<&RoaringBitmap> {
        of_event(symbols, event, &self.invited[state as usize])
    }

    pub const fn accounts(&self) -> &RoaringBitmap {
        &self.accounts
    }

    /// Enters a person, or takes it out.
    pub fn mark(&mut self, symbols: &Symbols, user: u32, person: &Person, present: bool) {
        let put = |bitmap: &mut RoaringBitmap| if present { bitmap.insert(user) } else { bitmap.remove(user) };
        let event = |name: &EventName| symbols.number(SymbolKind::Event, name.as_str());
        for attendance in &person.attendances {
            let Some(event) = event(&attendance.event) else { continue };
            let of_event = if attendance.active { &mut self.active } else { &mut self.inactive };
            put(of_event.entry(event).or_default());
        }
        for (of, group) in person.grants() {
            let Some(group) = symbols.number(SymbolKind::Group, group.as_str()) else { continue };
            let Some(of) = of.map_or(Some(None), |of| event(of).map(Some)) else { continue };
            if present {
                self.grants.insert(of, group, user);
            } else {
                self.grants.remove(of, group, user);
            }
        }
        for decided in person.by_hand.iter().flat_map(|by_hand| &by_hand.attendances) {
            let Some(event) = event(&decided.event) else { continue };
            put(self.decided(decided.set).entry(event).or_default());
        }
        let Some(journey) = &person.journey else { return };
        if journey.account_at.is_some() {
            put(&mut self.accounts);
        }
        for passage in &journey.events {
            let Some(event) = event(&passage.event) else { continue };
            if let Some(invitation) = &passage.invitation {
                put(self.invited[invitation.state as usize].entry(event).or_default());
            }
            if passage.first_access_at.is_some() {
                put(self.accessed.entry(event).or_default());
            }
        }
    }

    /// Enters a person as it is stored. `community`: the symbol that stands for no event.
    pub fn mark_glance(&mut self, user: u32, person: &Glance<'_>, community: Option<u32>) {
        for attendance in &person.attendances {
            let of_event = if attendance.active { &mut self.active } else { &mut self.inactive };
            of_event.entry(attendance.event).or_default().insert(user);
        }
        for (event, group) in person.grants() {
            self.grants.insert(event.filter(|event| community != Some(*event)), group, user);
        }
        for (event, set) in person.decided() {
            self.decided(set).entry(event).or_default().insert(user);
        }
        if person.has_account() {
            self.accounts.insert(user);
        }
        for passage in person.passages() {
            if let Some(state) = passage.invitation {
                self.invited[state as usize].entry(passage.event).or_default().insert(user);
            }
            if passage.accessed {
                self.accessed.entry(passage.event).or_default().insert(user);
            }
        }
    }

    const fn decided(&mut self, set: Override) -> &mut Bitmaps {
        match set {
            Override::Added => &mut self.added,
            Override::Excluded => &mut self.excluded,
        }
    }

    pub fn write<W: Write>(&self, to: &mut ColumnWriter<W>) -> io::Result<()> {
        let Self { active, inactive, grants, added, excluded, accessed, invited, accounts } = self;
        let of_events = [active, inactive, added, excluded, accessed].into_iter().chain(invited);
        of_events.into_iter().try_for_each(|bitmaps| write_bitmaps(to, bitmaps))?;
        grants.write(to)?;
        to.bitmap(accounts)
    }

    /// Reads what [`Self::write`] wrote; refuses what names users, events or groups that there are not.
    pub fn read<R: Read>(from: &mut ColumnReader<R>, users: &RoaringBitmap, known: &Known) -> io::Result<Self> {
        let mut read = Self::default();
        let Self { active, inactive, grants, added, excluded, accessed, invited, accounts } = &mut read;
        let events = known.symbols_of(SymbolKind::Event);
        for of_event in [active, inactive, added, excluded, accessed].into_iter().chain(invited) {
            *of_event = read_bitmaps(from, users, events)?;
        }
        *grants = Grants::read(from, users, events, known.symbols_of(SymbolKind::Group))?;
        *accounts = from.bitmap()?;
        if accounts.is_subset(users) { Ok(read) } else { Err(unfit("an account of nobody")) }
    }
}

fn of_event<'b>(symbols: &Symbols, event: &EventName, bitmaps: &'b Bitmaps) -> Option<&'b RoaringBitmap> {
    bitmaps.get(&symbols.number(SymbolKind::Event, event.as_str())?)
}

fn write_bitmaps<W: Write>(to: &mut ColumnWriter<W>, bitmaps: &Bitmaps) -> io::Result<()> {
    to.number(u32::try_from(bitmaps.len()).map_err(|_| unfit("too many bitmaps"))?)?;
    for (symbol, bitmap) in bitmaps {
        to.number(*symbol)?;
        to.bitmap(bitmap)?;
    }
    Ok(())
}

/// Bitmaps of users under symbols, of which there are so many.
fn read_bitmaps<R: Read>(from: &mut ColumnReader<R>, users: &RoaringBitmap, symbols: u32) -> io::Result<Bitmaps> {
    let mut bitmaps = HashMap::new();
    for _ in 0..from.number()? {
        let (symbol, bitmap) = (from.number()?, from.bitmap()?);
        if symbol >= symbols || !bitmap.is_subset(users) || bitmaps.insert(symbol, bitmap).is_some() {
            return Err(unfit("a bitmap of nobody or of nothing, or one that comes twice"));
        }
    }
    Ok(bitmaps)
}
