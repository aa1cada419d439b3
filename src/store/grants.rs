//! Who is in which group, apart for each event: through a registration there, or by an organiser's hand.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Read, Write};

use roaring::RoaringBitmap;

use super::columns::{ColumnReader, ColumnWriter, unfit};

/// Stands where a symbol of an event would: a membership by hand that is for no event in particular counts in each.
const EVERYWHERE: u32 = u32::MAX;

/// Bitmaps of users by event and group. Events and groups are symbols.
#[derive(Default)]
pub struct Grants {
    of_event: HashMap<u32, HashMap<u32, RoaringBitmap>>,
}

impl Grants {
    /// Enters that a user has a group in an event, or in every event.
    pub fn insert(&mut self, event: Option<u32>, group: u32, user: u32) {
        let groups = self.of_event.entry(event.unwrap_or(EVERYWHERE)).or_default();
        groups.entry(group).or_default().insert(user);
    }

    /// Takes that out again.
    pub fn remove(&mut self, event: Option<u32>, group: u32, user: u32) {
        let Entry::Occupied(mut groups) = self.of_event.entry(event.unwrap_or(EVERYWHERE)) else { return };
        let Entry::Occupied(mut users) = groups.get_mut().entry(group) else { return };
        users.get_mut().remove(user);
        if users.get().is_empty() {
            users.remove();
        }
        if groups.get().is_empty() {
            groups.remove();
        }
    }

    /// Everybody who is in a group, through whatever event.
    pub fn members(&self, group: u32) -> Cow<'_, RoaringBitmap> {
        union(self.of_event.values().filter_map(|groups| groups.get(&group)))
    }

    /// Everybody who is in a group as far as one event is concerned; `None` is an event that nobody knows.
    pub fn members_in(&self, event: Option<u32>, group: u32) -> Cow<'_, RoaringBitmap> {
        union(self.counting_in(event).filter_map(|groups| groups.get(&group)))
    }

    /// The groups that somebody is in as far as one event is concerned, some twice.
    pub fn groups_of(&self, event: Option<u32>, user: u32) -> impl Iterator<Item = u32> {
        let groups = self.counting_in(event).flatten();
        groups.filter(move |(_, users)| users.contains(user)).map(|(group, _)| *group)
    }

    /// The events through which somebody is in a group, and how many.
    pub fn events_of(&self, group: u32) -> impl Iterator<Item = (u32, u64)> {
        let events = self.of_event.iter().filter(|(event, _)| **event != EVERYWHERE);
        events.filter_map(move |(event, groups)| Some((*event, groups.get(&group)?.len())))
    }

    fn counting_in(&self, event: Option<u32>) -> impl Iterator<Item = &HashMap<u32, RoaringBitmap>> {
        event.into_iter().chain([EVERYWHERE]).filter_map(|event| self.of_event.get(&event))
    }

    pub fn write<W: Write>(&self, to: &mut ColumnWriter<W>) -> io::Result<()> {
        let count = |count: usize| u32::try_from(count).map_err(|_| unfit("too many bitmaps"));
        to.number(count(self.of_event.values().map(HashMap::len).sum())?)?;
        for (event, groups) in &self.of_event {
            for (group, users) in groups {
                to.number(*event)?;
                to.number(*group)?;
                to.bitmap(users)?;
            }
        }
        Ok(())
    }

    /// Reads what [`Self::write`] wrote of these users, where there are so many events and groups.
    pub fn read<R: Read>(
        from: &mut ColumnReader<R>,
        users: &RoaringBitmap,
        events: u32,
        groups: u32,
    ) -> io::Result<Self> {
        let mut read = Self::default();
        for _ in 0..from.number()? {
            let (event, group, bitmap) = (from.number()?, from.number()?, from.bitmap()?);
            let is_known = (event < events || event == EVERYWHERE) && group < groups;
            if !is_known || bitmap.is_empty() || !bitmap.is_subset(users) {
                return Err(unfit("a group of nobody, of nothing or of no event"));
            }
            if read.of_event.entry(event).or_default().insert(group, bitmap).is_some() {
                return Err(unfit("a group of an event comes twice"));
            }
        }
        Ok(read)
    }
}

fn union<'a>(mut bitmaps: impl Iterator<Item = &'a RoaringBitmap>) -> Cow<'a, RoaringBitmap> {
    let Some(first) = bitmaps.next() else { return Cow::Owned(RoaringBitmap::new()) };
    bitmaps.fold(Cow::Borrowed(first), |mut all, more| {
        *all.to_mut() |= more;
        all
    })
}
