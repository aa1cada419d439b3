//! A part of the community, by what its people are: whom a message is for, or which attendees are listed.

use serde::{Deserialize, Serialize};

use super::{EventField, EventName, Field, GroupKey, InvitationState, Person, Value};

/// Whoever meets all of `all`, one of `any` where it has any, and none of `none`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience {
    pub all: Vec<Condition>,
    pub any: Vec<Condition>,
    pub none: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Is in the group; with an event, as far as that is concerned.
    Group { group: GroupKey, event: Option<EventName> },
    /// Has a place in the event.
    Place(Place),
    /// As the profile has it, in any case of letters.
    Country(Folded),
    /// The app said that they have an account.
    Account(bool),
    /// Each of these words is in their email, name, job title or company.
    Words(Vec<Folded>),
}

/// A place in an event, as far as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub event: EventName,
    /// Attends, or no longer does.
    pub active: Option<bool>,
    pub invitation: Option<Invited>,
    /// The app said that they opened the event.
    pub accessed: Option<bool>,
    /// As the source spells it, in any case of letters.
    pub registration_type: Option<Folded>,
}

/// How far an invitation came, in the words that lists are asked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invited {
    /// Never invited.
    None,
    /// To be sent, or being sent.
    Queued,
    Sent,
    Failed,
    Bounced,
    Skipped,
}

impl Invited {
    pub const fn of(state: Option<InvitationState>) -> Self {
        match state {
            None => Self::None,
            Some(InvitationState::Queued | InvitationState::Sending) => Self::Queued,
            Some(InvitationState::Sent) => Self::Sent,
            Some(InvitationState::Failed) => Self::Failed,
            Some(InvitationState::Bounced) => Self::Bounced,
            Some(InvitationState::Skipped) => Self::Skipped,
        }
    }
}

/// A text as it is compared: trimmed and in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded(String);

impl Folded {
    pub fn of(text: &str) -> Self {
        Self(text.trim().to_lowercase())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn is(&self, value: Option<&Value>) -> bool {
        matches!(value, Some(Value::Text(text)) if Self::of(text) == *self)
    }

    fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }
}

impl Audience {
    /// How many conditions it has.
    pub fn len(&self) -> usize {
        self.all.len() + self.any.len() + self.none.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn has(&self, person: &Person) -> bool {
        let holds = |condition: &Condition| condition.holds(person);
        self.all.iter().all(holds)
            && (self.any.is_empty() || self.any.iter().any(holds))
            && !self.none.iter().any(holds)
    }
}

impl Condition {
    pub fn holds(&self, person: &Person) -> bool {
        match self {
            Self::Group { group, event: None } => person.grants().any(|(_, granted)| granted == group),
            Self::Group { group, event: Some(event) } => {
                let counts = |of: Option<&EventName>| of.is_none_or(|of| of == event);
                person.grants().any(|(of, granted)| granted == group && counts(of))
            }
            Self::Place(place) => place.holds(person),
            Self::Country(country) => country.is(person.value(&Field::Country)),
            Self::Account(has) => *has == person.journey.as_ref().is_some_and(|journey| journey.account_at.is_some()),
            Self::Words(words) => words.iter().all(|word| is_said_of(person, word)),
        }
    }
}

impl Place {
    /// A place in this event, of whatever kind.
    pub const fn of(event: EventName) -> Self {
        Self { event, active: None, invitation: None, accessed: None, registration_type: None }
    }

    fn holds(&self, person: &Person) -> bool {
        let Some(attendance) = person.attendance(&self.event) else { return false };
        let state = person.invitation(&self.event).map(|invitation| invitation.state);
        let invited = |wanted: Invited| Invited::of(state) == wanted;
        let came = || person.passage(&self.event).is_some_and(|passage| passage.first_access_at.is_some());
        let kind = || {
            let kind = attendance.fields.iter().find(|(field, _)| *field == EventField::RegistrationType);
            kind.map(|(_, value)| value)
        };
        self.active.is_none_or(|active| attendance.active == active)
            && self.invitation.is_none_or(invited)
            && self.accessed.is_none_or(|accessed| came() == accessed)
            && self.registration_type.as_ref().is_none_or(|wanted| wanted.is(kind()))
    }
}

fn is_said_of(person: &Person, word: &Folded) -> bool {
    const SEARCHED: [Field; 4] = [Field::FirstName, Field::LastName, Field::JobTitle, Field::Company];
    let says = |field: &Field| matches!(person.value(field), Some(Value::Text(text)) if word.is_in(text));
    word.is_in(person.email.as_str()) || SEARCHED.iter().any(says)
}
