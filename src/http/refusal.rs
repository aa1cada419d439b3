//! What a client is told whose change by hand is refused.

use super::api::Api;
use super::problem::{FieldError, Kind, LockedValue, Problem};
use crate::limits::BY_HAND_TURN_WAIT_MAX;
use crate::model::{Field, Person, Registration, RejectReason};
use crate::plan::Locked;
use crate::store::StoreError;
use crate::sync::{Refusal, Uninvited};

impl Api {
    /// `operation` begins with `write`, for the log.
    pub fn refused(&self, operation: &'static str) -> impl FnOnce(Refusal) -> Problem + '_ {
        move |refusal| match refusal {
            Refusal::UnknownUser(id) => Problem::not_found(format!("there is no user {id}")),
            Refusal::UnknownGroup => Problem::not_found("there is no such group"),
            Refusal::UnknownEvent(event) => Problem::not_found(format!("there is no event '{event}'")),
            Refusal::Uninvited(why) => uninvited(why),
            Refusal::Locked(locked, person) => self.locked(&locked, &person),
            Refusal::Invalid(faults) => {
                let error = |(field, reason): &(Field, RejectReason)| FieldError {
                    field: field.to_string(),
                    detail: in_words(*reason).to_owned(),
                };
                Problem::of(Kind::Invalid, faults.iter().map(error).collect())
            }
            Refusal::EmailTaken => Problem::new(Kind::EmailTaken, "another user has this email")
                .hint("look that user up with POST /v1/users/lookup"),
            Refusal::GroupGranted(source) => Problem::conflict(format!("source '{source}' has people in this group"))
                .hint("exclude them one by one, or change the source's groups"),
            Refusal::TooMany(what, most) => Problem::conflict(format!("a user has at most {most} {what}")),
            Refusal::Busy => {
                let waited = BY_HAND_TURN_WAIT_MAX.as_secs();
                Problem::new(Kind::Busy, format!("a sync has been planning or committing for {waited} s"))
                    .hint("ask again; what was read can be changed when it has ended")
            }
            Refusal::Stopping => Problem::stopping(),
            Refusal::Store(StoreError::TooLarge(_)) => {
                Problem::new(Kind::Invalid, "the user would be too large to be kept").hint("shorten some of the values")
            }
            Refusal::Store(error) => self.store_failed(operation)(error),
        }
    }

    fn locked(&self, locked: &[Locked], person: &Person) -> Problem {
        let value = |Locked { field, owner }: &Locked| {
            let brings =
                |r: &&Registration| field.as_ref().is_none_or(|field| r.fields.iter().any(|(known, _)| known == field));
            let mut of_source = person.registrations.iter().filter(|r| r.feed.source == owner.source);
            let registration = of_source.clone().find(brings).or_else(|| of_source.next());
            LockedValue {
                field: field.as_ref().map_or_else(|| "email".to_owned(), ToString::to_string),
                source: owner.source.to_string(),
                edit_url: registration.and_then(|registration| self.app.runner.edit_url(registration)),
            }
        };
        Problem::locked(locked.iter().map(value).collect())
    }
}

fn uninvited(why: Uninvited) -> Problem {
    match why {
        Uninvited::NoTemplate => Problem::conflict("invitations cannot be enabled without a template")
            .hint("send a template with a subject and a text along"),
        Uninvited::ExistingUnsaid => {
            let detail = "must say what becomes of those who attend already: \"invite\" or \"skip\"".to_owned();
            Problem::of(Kind::Invalid, vec![FieldError { field: "existing".to_owned(), detail }])
        }
        Uninvited::Never => Problem::not_found("the user was never invited to this event"),
        Uninvited::State(state) => Problem::conflict(format!("the invitation is {}", state.as_str())),
        Uninvited::Gone => Problem::conflict("the user no longer attends the event"),
    }
}

const fn in_words(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::MissingField => "nobody is without one",
        RejectReason::FieldTooLong => "too long",
        RejectReason::NulCharacter => "must not hold a NUL character",
        RejectReason::WrongType => "must be a text, a number, a boolean or a list of these; a standard field is a text",
        _ => "not valid",
    }
}
