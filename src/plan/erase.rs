//! What a deletion takes from a person who lives on through other registrations.

use crate::model::{Attendance, Person, ProfileField, Registration};

/// The person's profile without the values that the erased registrations brought and their source owns.
pub fn profile(person: &Person, erased: &[&Registration]) -> Vec<ProfileField> {
    let brought = |field: &&ProfileField| {
        let owner = field.owner.as_ref().map(|owner| &owner.source);
        let holds = |r: &&&Registration| r.fields.iter().any(|(f, value)| *f == field.field && *value == field.value);
        erased.iter().filter(|r| owner == Some(&r.feed.source)).any(|r| holds(&r))
    };
    person.profile.iter().filter(|field| !brought(field)).cloned().collect()
}

/// The person's attendances without the values of events in which a registration was erased; what other
/// registrations bring there is put back when the person is assembled.
pub fn attendances(person: &Person, erased: &[&Registration]) -> Vec<Attendance> {
    let emptied = |attendance: &Attendance| match erased.iter().any(|r| r.feed.event == attendance.event) {
        true => Attendance { fields: Vec::new(), ..attendance.clone() },
        false => attendance.clone(),
    };
    person.attendances.iter().map(emptied).collect()
}
