//! May somebody enter?

use crate::model::{Access, AccessReason, Admission, Page, Standing};

/// Decides about an event, or about one of its pages.
pub fn access(access: &Access, page: Option<&Page>, standing: &Standing) -> AccessReason {
    let entry = entry(access.admission, standing);
    match page.and_then(|page| page.groups.as_ref()) {
        Some(opening) if entry.allows() => {
            if standing.groups.iter().any(|group| opening.contains(group)) {
                AccessReason::Group
            } else if standing.user.is_none() {
                AccessReason::UnknownPerson
            } else {
                AccessReason::NoGroup
            }
        }
        _ => entry,
    }
}

fn entry(admission: Admission, standing: &Standing) -> AccessReason {
    match admission {
        _ if standing.excluded => AccessReason::Excluded,
        Admission::Open => AccessReason::Open,
        Admission::Restricted if standing.attends => AccessReason::Attendee,
        Admission::Restricted if standing.user.is_none() => AccessReason::UnknownPerson,
        Admission::Restricted => AccessReason::NotAttending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{GroupKey, UserId};

    fn keys(groups: &[&str]) -> Vec<GroupKey> {
        groups.iter().map(|group| GroupKey::of(group).unwrap()).collect()
    }

    /// Somebody known, who attends or not, in these groups.
    fn known(attends: bool, groups: &[&str]) -> Standing {
        Standing { user: Some(UserId::from_u128(1)), attends, groups: keys(groups), ..Standing::default() }
    }

    #[test]
    fn every_reason_has_its_case() {
        use AccessReason::{Attendee, Excluded, Group, NoGroup, NotAttending, Open, UnknownPerson};
        let (open, restricted) = (Admission::Open, Admission::Restricted);
        let stranger = Standing::default();
        let out = |standing| Standing { excluded: true, ..standing };
        let everybody = Page::default();
        let vip = Page { groups: Some(keys(&["press", "vip"]).into_iter().collect()) };
        for (admission, page, standing, expected) in [
            (open, None, stranger.clone(), Open),
            (open, None, known(false, &[]), Open),
            (open, None, out(known(true, &["vip"])), Excluded),
            (open, Some(&everybody), stranger.clone(), Open),
            (open, Some(&vip), stranger.clone(), UnknownPerson),
            (open, Some(&vip), known(true, &["staff"]), NoGroup),
            (open, Some(&vip), known(false, &["vip"]), Group),
            (open, Some(&vip), out(known(true, &["vip"])), Excluded),
            (restricted, None, stranger.clone(), UnknownPerson),
            (restricted, None, known(false, &["vip"]), NotAttending),
            (restricted, None, known(true, &[]), Attendee),
            (restricted, None, out(known(false, &[])), Excluded),
            (restricted, Some(&everybody), known(true, &[]), Attendee),
            (restricted, Some(&everybody), known(false, &[]), NotAttending),
            (restricted, Some(&vip), stranger, UnknownPerson),
            (restricted, Some(&vip), known(false, &["vip"]), NotAttending),
            (restricted, Some(&vip), known(true, &["staff"]), NoGroup),
            (restricted, Some(&vip), known(true, &["staff", "vip"]), Group),
        ] {
            let settings = Access { admission, ..Access::default() };
            let reason = access(&settings, page, &standing);
            assert_eq!(reason, expected, "{admission:?} {page:?} {standing:?}");
            assert_eq!(reason.allows(), matches!(expected, Open | Attendee | Group));
        }
    }
}
