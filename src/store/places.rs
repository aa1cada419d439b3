//! Bitmaps of users: who is where, and how far they came. A part of the indexes.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use roaring::RoaringBitmap;

use super::columns::{ColumnReader, ColumnWriter, unfit};
use super::index::Known;
use crate::codec::{Glance, SymbolKind, Symbols};
use crate::model::{EventName, GroupKey, InvitationState, Override, Person};

/// Users by the symbol of an event or a group.
type Bitmaps = HashMap<u32, RoaringBitmap>;

#[derive(Default)]
pub struct Places {
    /// By event: those who attend, and those whose attendance ended.
    active: Bitmaps,
    inactive: Bitmaps,
    groups: Bitmaps,
    /// By event: those whom an organiser added.
    added: Bitmaps,
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

    pub fn members(&self, symbols: &Symbols, group: &GroupKey) -> Option<&RoaringBitmap> {
        self.groups.get(&symbols.number(SymbolKind::Group, group.as_str())?)
    }

    pub fn added(&self, symbols: &Symbols, event: &EventName) -> Option<&RoaringBitmap> {
        of_event(symbols, event, &self.added)
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
        for group in person.groups() {
            let Some(group) = symbols.number(SymbolKind::Group, group.as_str()) else { continue };
            put(self.groups.entry(group).or_default());
        }
        let decided = person.by_hand.iter().flat_map(|by_hand| &by_hand.attendances);
        for event in decided.filter(|decided| decided.set == Override::Added).filter_map(|added| event(&added.event)) {
            put(self.added.entry(event).or_default());
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

    /// Enters a person as it is stored.
    pub fn mark_glance(&mut self, user: u32, person: &Glance<'_>) {
        for attendance in &person.attendances {
            let of_event = if attendance.active { &mut self.active } else { &mut self.inactive };
            of_event.entry(attendance.event).or_default().insert(user);
        }
        for group in person.groups() {
            self.groups.entry(group).or_default().insert(user);
        }
        for event in person.added_to() {
            self.added.entry(event).or_default().insert(user);
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

    pub fn write<W: Write>(&self, to: &mut ColumnWriter<W>) -> io::Result<()> {
        let Self { active, inactive, groups, added, accessed, invited, accounts } = self;
        let of_events = [active, inactive, added, accessed].into_iter().chain(invited);
        of_events.chain([groups]).try_for_each(|bitmaps| write_bitmaps(to, bitmaps))?;
        to.bitmap(accounts)
    }

    /// Reads what [`Self::write`] wrote; refuses what names users, events or groups that there are not.
    pub fn read<R: Read>(from: &mut ColumnReader<R>, users: &RoaringBitmap, known: &Known) -> io::Result<Self> {
        let mut read = Self::default();
        let Self { active, inactive, groups, added, accessed, invited, accounts } = &mut read;
        let events = known.symbols_of(SymbolKind::Event);
        for of_event in [active, inactive, added, accessed].into_iter().chain(invited) {
            *of_event = read_bitmaps(from, users, events)?;
        }
        *groups = read_bitmaps(from, users, known.symbols_of(SymbolKind::Group))?;
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
