//! Looks whether the badges of an event's attendees are where their URLs say, within the budgets of the sources that brought them.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::feed::SourceEntry;
use super::runner::Runner;
use crate::limits::{BADGES_AT_ONCE, BADGES_PER_PIECE};
use crate::model::{
    Audience, BadgeFound, BadgeLook, Condition, EventField, EventName, Person, Place, SourceName, UserNo,
};
use crate::source::{Badges, SourceError};
use crate::store::{Found, Store, StoreError};

/// Goes through the active attendees of an event, some at a time. Nothing of it is kept.
pub struct BadgeLooks {
    store: Store,
    event: EventName,
    audience: Audience,
    sources: BTreeMap<SourceName, Badges>,
    /// After whom to go on; `None`: everybody was looked at.
    after: Option<Option<UserNo>>,
}

impl Runner {
    /// # Errors
    /// As for [`crate::source::Source::badges`].
    pub fn look_at_badges(&self, event: &EventName) -> Result<BadgeLooks, SourceError> {
        let begun = |(name, entry): (&SourceName, &SourceEntry)| Ok((name.clone(), entry.source.badges()?));
        let place = Place { active: Some(true), ..Place::of(event.clone()) };
        Ok(BadgeLooks {
            store: self.inner.store.clone(),
            event: event.clone(),
            audience: Audience { all: vec![Condition::Place(place)], any: Vec::new(), none: Vec::new() },
            sources: self.sources().iter().map(begun).collect::<Result<_, _>>()?,
            after: Some(None),
        })
    }
}

impl BadgeLooks {
    /// What was found of the next attendees who have a badge, in the order of users. `None`: there are no more.
    pub async fn next(&mut self) -> Option<Result<Vec<BadgeLook>, StoreError>> {
        let after = self.after.take()?;
        let (store, audience, most) = (self.store.clone(), self.audience.clone(), BADGES_PER_PIECE);
        let found = tokio::task::spawn_blocking(move || store.find(&audience, after, most, most)).await;
        let Found { people, next } = match found.unwrap_or(Err(StoreError::Panicked)) {
            Ok(found) => found,
            Err(error) => return Some(Err(error)),
        };
        self.after = next.map(Some);
        let looks: Vec<_> = people.iter().filter_map(|(_, person)| self.look(person)).collect();
        Some(Ok(stream::iter(looks).buffered(BADGES_AT_ONCE).collect().await))
    }

    fn look(&self, person: &Person) -> Option<impl Future<Output = BadgeLook> + use<>> {
        let attendance = person.attendances.iter().find(|attendance| attendance.event == self.event)?;
        let (_, badge) = attendance.fields.iter().find(|(field, _)| *field == EventField::BadgeUrl)?;
        let url = badge.as_text()?.to_owned();
        let brings = |fields: &[(EventField, _)]| fields.iter().any(|(field, _)| *field == EventField::BadgeUrl);
        let mut registrations = person.registrations.iter().filter(|of| of.feed.event == self.event);
        let source = registrations.find(|of| brings(&of.event_fields)).map(|of| &of.feed.source);
        let (user, badges) = (person.id, source.and_then(|source| self.sources.get(source)).cloned());
        Some(async move {
            let found = match badges {
                Some(badges) => badges.look(&url).await,
                None => BadgeFound::NotAsked,
            };
            BadgeLook { user, found }
        })
    }
}
