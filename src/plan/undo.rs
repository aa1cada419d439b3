//! A change taken back: from the person as a run left them to the person as it found them, for the person as they are
//! now.

use std::fmt;

use super::invitation::{carried, invite};
use super::person::visible;
use super::rebase::{Conflict, Derivation, rebase};
use crate::model::{Person, PersonChange, ProfileField};

/// What taking a change back makes of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// Nothing: they are already as the run found them.
    AsBefore,
    /// They become this; what was done since to other parts of them stays.
    Becomes(Box<Person>),
    /// They go, for the run made them and nothing else holds them here.
    Goes,
    /// They come back, whom an undo took away.
    ComesBack(Box<Person>),
}

/// Why somebody stays as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The run deleted them permanently, so nothing of them is kept.
    Erased,
    /// They are no longer in the community.
    NotHere,
    /// They came back by another way.
    HereAgain,
    /// The run made them, and something was entered about them since.
    Since,
    /// A part that the run changed is another by now.
    Changed(Conflict),
    /// An email or a registration that they would get back is somebody else's.
    Taken,
    /// They would exchange an email or a registration with somebody who stays as they are.
    Entangled,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Erased => f.write_str("deleted permanently"),
            Self::NotHere => f.write_str("no longer here"),
            Self::HereAgain => f.write_str("here again"),
            Self::Since => f.write_str("entered by hand"),
            Self::Changed(conflict) => conflict.fmt(f),
            Self::Taken => f.write_str("taken by somebody else"),
            Self::Entangled => f.write_str("exchanged with somebody who stays"),
        }
    }
}

/// Takes a change back. `now`: whoever has the id of its person.
///
/// # Errors
/// Everything that is in the way; at least one.
pub fn undo(change: &PersonChange, now: Option<&Person>, by: &Derivation<'_>) -> Result<Undone, Vec<Obstacle>> {
    match (&change.before, &change.after, now) {
        (None, None, _) => Err(vec![Obstacle::Erased]),
        (None, Some(_), None) => Ok(Undone::AsBefore),
        (None, Some(made), Some(now)) => unmake(made, now, by),
        (Some(before), None, None) => {
            let mut back = before.clone();
            invite(None, &mut back, by.invites, by.stamp.at);
            Ok(Undone::ComesBack(Box::new(back)))
        }
        (Some(before), None, Some(now)) if visible(before) == visible(now) => Ok(Undone::AsBefore),
        (Some(_), None, Some(_)) => Err(vec![Obstacle::HereAgain]),
        (Some(_), Some(_), None) => Err(vec![Obstacle::NotHere]),
        (Some(before), Some(after), Some(now)) => {
            let person = rebase(after, before, now, by).map_err(changed)?;
            Ok(if person == *now { Undone::AsBefore } else { Undone::Becomes(Box::new(person)) })
        }
    }
}

/// Takes back that somebody was made.
fn unmake(made: &Person, now: &Person, by: &Derivation<'_>) -> Result<Undone, Vec<Obstacle>> {
    // Whoever was invited or came is not forgotten, or would be invited again.
    let came = carried(made, None, now).is_some();
    if visible(made) == visible(now) && !came {
        return Ok(Undone::Goes);
    }
    let nothing = Person {
        email_owner: None,
        profile: if came { disowned(made) } else { Vec::new() },
        registrations: Vec::new(),
        attendances: Vec::new(),
        ..made.clone()
    };
    let rest = rebase(made, &nothing, now, by).map_err(changed)?;
    let is_held = !rest.registrations.is_empty() || rest.is_added_by_hand() || came;
    if is_held { Ok(Undone::Becomes(Box::new(rest))) } else { Err(vec![Obstacle::Since]) }
}

/// The values as they are, and nobody's.
fn disowned(person: &Person) -> Vec<ProfileField> {
    person.profile.iter().map(|field| ProfileField { owner: None, ..field.clone() }).collect()
}

fn changed(conflicts: Vec<Conflict>) -> Vec<Obstacle> {
    conflicts.into_iter().map(Obstacle::Changed).collect()
}
