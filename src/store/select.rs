//! Parts of the community: by the indexes as far as they tell, and by looking at people for the rest.

use std::ops::ControlFlow;

use roaring::RoaringBitmap;

use super::read::{Store, View};
use super::{StoreError, keys};
use crate::codec::{Unpacked, decode_person};
use crate::model::{
    Audience, Condition, EmailKey, EventName, InvitationState, Invited, Person, Place, Standing, UserId, UserNo,
};

/// Somebody who is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    Email(EmailKey),
    User(UserId),
}

/// What the indexes tell of an audience.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Nobody else can be in it.
    pub users: RoaringBitmap,
    /// All of these are in it; else each must be looked at.
    pub exact: bool,
}

/// A part of an audience.
#[derive(Debug)]
pub struct Found {
    pub people: Vec<(UserNo, Person)>,
    /// After whom to go on; `None`: there is nobody more.
    pub next: Option<UserNo>,
}

impl Store {
    /// What is known of somebody at the door of an event. From memory: no block is read.
    pub fn standing(&self, event: &EventName, who: &Who) -> Standing {
        let view = self.view();
        let (index, symbols) = (view.index(), view.symbols());
        let user = match who {
            Who::Email(email) => index.user_by_email_hash(index.email_hash(email)),
            Who::User(id) => index.user_by_id(*id),
        };
        let Some(user) = user else { return Standing::default() };
        let places = index.places();
        let has = |users: Option<&RoaringBitmap>| users.is_some_and(|users| users.contains(user.0));
        let mut groups: Vec<_> = places.groups_in(symbols, event, user).collect();
        groups.sort_unstable();
        groups.dedup();
        Standing {
            user: index.user_id(user),
            attends: has(places.attendees(symbols, event, true)),
            excluded: has(places.excluded(symbols, event)),
            groups,
            came: has(places.accessed(symbols, event)),
        }
    }

    /// Who may be in an audience, by the indexes.
    pub fn select(&self, audience: &Audience) -> Selection {
        let view = self.view();
        let mut all = Selection { users: view.index().users().clone(), exact: true };
        for condition in &audience.all {
            let Selection { users, exact } = view.meeting(condition);
            all.users &= users;
            all.exact &= exact;
        }
        if !audience.any.is_empty() {
            let mut any = RoaringBitmap::new();
            for condition in &audience.any {
                let Selection { users, exact } = view.meeting(condition);
                any |= users;
                all.exact &= exact;
            }
            all.users &= any;
        }
        for condition in &audience.none {
            match view.meeting(condition) {
                Selection { users, exact: true } => all.users -= users,
                Selection { exact: false, .. } => all.exact = false,
            }
        }
        all
    }

    /// One page of an audience, ascending, from after a number. At most so many people are read for it.
    pub fn find(
        &self,
        audience: &Audience,
        after: Option<UserNo>,
        limit: usize,
        read_max: usize,
    ) -> Result<Found, StoreError> {
        let mut found = Found { people: Vec::new(), next: None };
        let Some(from) = after.map_or(Some(0), |UserNo(user)| user.checked_add(1)) else { return Ok(found) };
        let Selection { users, exact } = self.select(audience);
        let mut read = 0;
        let mut passed = None;
        self.look_at(users.range(from..), |user, person| {
            let is_in = exact || audience.has(&person);
            // Whoever comes next is for the next page.
            if read == read_max || (is_in && found.people.len() == limit) {
                found.next = passed;
                return ControlFlow::Break(());
            }
            read += 1;
            passed = Some(user);
            if is_in {
                found.people.push((user, person));
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// How many people are in an audience. Reads all who may be where the indexes do not tell. Blocks.
    pub fn count(&self, audience: &Audience) -> Result<u64, StoreError> {
        let Selection { users, exact } = self.select(audience);
        if exact {
            return Ok(users.len());
        }
        let mut count = 0;
        self.look_at(users, |_, person| {
            count += u64::from(audience.has(&person));
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// Reads these people, ascending, each block once, and does not keep them in the cache. Those who are gone since
    /// are passed over.
    pub fn look_at(
        &self,
        users: impl IntoIterator<Item = u32>,
        mut look: impl FnMut(UserNo, Person) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut users = users.into_iter().peekable();
        while let Some(first) = users.peek().copied() {
            let number = keys::block_of(UserNo(first));
            let of_block = std::iter::from_fn(|| users.next_if(|user| keys::block_of(UserNo(*user)) == number));
            if self.look_at_block(number, of_block, &mut look)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn look_at_block(
        &self,
        number: u32,
        users: impl Iterator<Item = u32>,
        look: &mut impl FnMut(UserNo, Person) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, StoreError> {
        let failed = |source| StoreError::Codec { what: format!("block {number}"), source };
        let sealed = self.with_engine(|engine| {
            let sealed = engine.get(&keys::block(number));
            engine.pass(&keys::block(number));
            sealed
        })?;
        let block = sealed.as_ref().map(|sealed| Unpacked::open(sealed)).transpose().map_err(failed)?;
        for user in users.map(UserNo) {
            let stored = block.as_ref().map(|block| block.person(keys::slot_of(user))).transpose().map_err(failed)?;
            let person = match stored.flatten() {
                Some(stored) => Some(decode_person(self.view().symbols(), stored).map_err(failed)?),
                // Gone since, or damage, which this tells apart.
                None => self.person(user)?,
            };
            if person.is_some_and(|person| look(user, person).is_break()) {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl View<'_> {
    /// Who may meet a condition.
    fn meeting(&self, condition: &Condition) -> Selection {
        let (places, symbols) = (self.index().places(), self.symbols());
        let everybody = || self.index().users();
        let (users, exact) = match condition {
            Condition::Group { group, event: None } => (places.members(symbols, group).into_owned(), true),
            Condition::Group { group, event: Some(event) } => {
                (places.members_in(symbols, event, group).into_owned(), true)
            }
            Condition::Place(place) => (self.in_place(place), place.registration_type.is_none()),
            Condition::Account(true) => (places.accounts().clone(), true),
            Condition::Account(false) => (everybody() - places.accounts(), true),
            Condition::Country(_) | Condition::Words(_) => (everybody().clone(), false),
        };
        Selection { users, exact }
    }

    /// Who has such a place, whatever the registration's type.
    fn in_place(&self, place: &Place) -> RoaringBitmap {
        let (places, symbols, event) = (self.index().places(), self.symbols(), &place.event);
        let of = |active| places.attendees(symbols, event, active).cloned().unwrap_or_default();
        let mut users = match place.active {
            Some(active) => of(active),
            None => of(true) | of(false),
        };
        let mut keep = |bitmap: Option<&RoaringBitmap>, inside: bool| match bitmap {
            Some(bitmap) if inside => users &= bitmap,
            Some(bitmap) => users -= bitmap,
            None if inside => users.clear(),
            None => {}
        };
        if let Some(accessed) = place.accessed {
            keep(places.accessed(symbols, event), accessed);
        }
        if let Some(invited) = place.invitation {
            let never = invited == Invited::None;
            let states = InvitationState::ALL.into_iter().filter(|state| never || Invited::of(Some(*state)) == invited);
            let mut reached = RoaringBitmap::new();
            states.filter_map(|state| places.invited(symbols, event, state)).for_each(|users| reached |= users);
            keep(Some(&reached), !never);
        }
        users
    }
}
