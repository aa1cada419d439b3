//! What somebody's profile may say of them when they sign in.

use crate::model::{Email, EmailKey, ExternalId, MappedRecord, RecordState, RejectReason, Rejection};

/// Who is known by a profile's subject already.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn<'a> {
    /// The user's.
    pub email: &'a Email,
    /// Something else that is not cancelled makes them a user, too: an attendee's registration, say.
    pub has_others: bool,
}

/// The record that a profile comes to. It brings nobody into an event. `subject`: whom the provider vouches for, where it
/// names them itself; `is_verified`: it vouches for the email, too.
///
/// An email that nobody vouches for makes nobody a user and joins nobody, or whoever writes another's into a profile would
/// be that other; who is known stays who they are. A new email that is good leads to the user who has it. Where nobody
/// has it, it becomes the user's own, unless a list says what that is.
///
/// # Errors
/// The email is not verified, and the subject is new.
pub fn admit(
    record: MappedRecord,
    subject: Option<&ExternalId>,
    is_verified: bool,
    known: Option<SignedIn<'_>>,
    is_taken: impl Fn(&EmailKey) -> bool,
) -> Result<MappedRecord, Rejection> {
    let external_id = subject.cloned().unwrap_or_else(|| record.external_id.clone());
    let email = match (record.email, known) {
        (Some(email), None) if !is_verified => {
            drop(email);
            let reason = RejectReason::EmailUnverified;
            return Err(Rejection { external_id: Some(external_id), reason, field: "email".into() });
        }
        (Some(new), Some(SignedIn { email, has_others })) if new.key() != email.key() => {
            let stays = !is_verified || has_others && !is_taken(&new.key());
            Some(if stays { email.clone() } else { new })
        }
        (email, _) => email,
    };
    Ok(MappedRecord { external_id, email, state: RecordState::NotAttending, ..record })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_counts_as_far_as_somebody_vouches_for_it() {
        let email = |text: &str| Email::parse(text).unwrap();
        for (what, email_of_profile, is_verified, known, after) in [
            ("new, verified", "a@x.org", true, None, Ok("a@x.org")),
            ("new, unverified", "a@x.org", false, None, Err(RejectReason::EmailUnverified)),
            ("new, unverified, of somebody else", "taken@x.org", false, None, Err(RejectReason::EmailUnverified)),
            ("new, verified, joins", "taken@x.org", true, None, Ok("taken@x.org")),
            ("known, as it was", "a@x.org", true, Some(("a@x.org", true)), Ok("a@x.org")),
            ("known, spelled anew", "A@x.org", false, Some(("a@x.org", true)), Ok("A@x.org")),
            ("known, unverified", "b@x.org", false, Some(("a@x.org", false)), Ok("a@x.org")),
            ("known, unverified, of somebody else", "taken@x.org", false, Some(("a@x.org", true)), Ok("a@x.org")),
            ("known by nothing else, verified", "b@x.org", true, Some(("a@x.org", false)), Ok("b@x.org")),
            ("a list says another one", "b@x.org", true, Some(("a@x.org", true)), Ok("a@x.org")),
            ("verified, of somebody else", "taken@x.org", true, Some(("a@x.org", false)), Ok("taken@x.org")),
            ("… whom a list has", "taken@x.org", true, Some(("a@x.org", true)), Ok("taken@x.org")),
        ] {
            let record = MappedRecord {
                external_id: ExternalId::new("mapped").unwrap(),
                state: RecordState::Attending,
                email: Some(email(email_of_profile)),
                updated_at: None,
                fields: Vec::new(),
                event_fields: Vec::new(),
                groups: Vec::new(),
            };
            let subject = ExternalId::new("sub");
            let before = known.map(|(text, has_others)| (email(text), has_others));
            let known = before.as_ref().map(|(email, has_others)| SignedIn { email, has_others: *has_others });
            let is_taken = |key: &EmailKey| *key == email("taken@x.org").key();
            let admitted = admit(record, subject.as_ref(), is_verified, known, is_taken);
            let shown = admitted.as_ref().map(|record| record.email.as_ref().unwrap().as_str());
            assert_eq!(shown.map_err(|rejection| rejection.reason), after, "{what}");
            if let Ok(record) = admitted {
                assert_eq!((record.external_id.as_str(), record.state), ("sub", RecordState::NotAttending), "{what}");
            }
        }
    }
}
