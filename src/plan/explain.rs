//! Why somebody is, or is not, in an event: the way of a record from the source's list to a place, question by question.
//! It is decided from what is here and what the runs wrote down; the source itself may know better by now.

use jiff::Timestamp;

use super::review::Matter;
use crate::model::{
    Action, ErrorReason, ExternalId, FeedId, Override, Person, PersonChange, RecordNote, Registration,
    RegistrationState, RunId, SkipReason, Verdict,
};

/// What is known of one person, or of one record, in one feed.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    pub feed: &'a FeedId,
    /// The external ids that are asked for, or that the person has in this feed.
    pub external_ids: &'a [ExternalId],
    pub person: Option<&'a Person>,
    /// The newest run that did its work.
    pub last_done: Option<LastDone>,
    /// The newest run, where it failed.
    pub failed: Option<(RunId, ErrorReason)>,
    /// What a run noted of such a record, if that came after the last change.
    pub note: Option<(RunId, &'a RecordNote)>,
    /// The last change that concerns them, and its run.
    pub change: Option<(RunId, &'a PersonChange)>,
    /// What a run that is held would do to them.
    pub pending: Option<(RunId, &'a PersonChange)>,
}

/// The newest run that did its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastDone {
    pub run: RunId,
    pub at: Timestamp,
    /// It read the whole list.
    pub complete: bool,
}

/// What is asked on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// Was the source read?
    Read,
    /// Did its list have the record?
    Listed,
    /// Did no filter take it out, and no other record win?
    Selected,
    /// Could it be used?
    Mapped,
    /// Is it a person's?
    Matched,
    /// Did a sync change the person?
    Decided,
    /// Do they attend?
    Attends,
}

impl Question {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Listed => "listed",
            Self::Selected => "selected",
            Self::Mapped => "mapped",
            Self::Matched => "matched",
            Self::Decided => "decided",
            Self::Attends => "attends",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    Yes,
    No,
    Unknown,
}

impl Answer {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

/// One question with its answer in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub question: Question,
    pub answer: Answer,
    pub text: String,
}

/// Answers every question in order, up to the first that ends the way.
pub fn explain(evidence: &Evidence<'_>) -> Vec<Step> {
    let registrations: Vec<_> = evidence.registrations().collect();
    let mut steps = vec![evidence.read()];
    if let (Some((run, note)), true) = (evidence.note, registrations.is_empty()) {
        steps.extend(noted(run, note));
    } else if registrations.is_empty() {
        steps.push(evidence.unlisted());
    } else {
        steps.extend(registrations.iter().map(|registration| listed(registration)));
        // The record that is here was used; another one with its id, or its newest form, was not.
        match evidence.note {
            Some((run, note)) => steps.extend(noted(run, note).into_iter().skip(1)),
            None => steps.push(step(Question::Mapped, Answer::Yes, "the record could be used".into())),
        }
    }
    steps.extend(evidence.matched());
    steps.push(evidence.decided());
    steps.extend(evidence.awaited());
    steps.push(evidence.attends());
    steps
}

const fn step(question: Question, answer: Answer, text: String) -> Step {
    Step { question, answer, text }
}

impl<'a> Evidence<'a> {
    fn registrations(&self) -> impl Iterator<Item = &'a Registration> {
        let (feed, ids) = (self.feed, self.external_ids);
        let all = self.person.into_iter().flat_map(|person| &person.registrations);
        all.filter(move |r| r.feed == *feed && ids.contains(&r.external_id))
    }

    fn read(&self) -> Step {
        let failed = self.failed.map(|(run, reason)| format!("; run {run} after it failed: {}", reason.as_str()));
        let (answer, text) = match self.last_done {
            Some(LastDone { run, at, complete: true }) => {
                (Answer::Yes, format!("run {run} read the whole list at {at}"))
            }
            Some(LastDone { run, at, complete: false }) => {
                (Answer::Yes, format!("run {run} read a part of the list at {at}, what had changed or could be read"))
            }
            None => (Answer::No, "no sync of this source has come to its end yet".to_owned()),
        };
        step(Question::Read, answer, text + failed.as_deref().unwrap_or_default())
    }

    fn unlisted(&self) -> Step {
        let (answer, text) = match (self.last_done, self.external_ids) {
            (_, []) => (
                Answer::Unknown,
                "what the runs noted names records by their external id only: ask by it, or look \
                into the source itself"
                    .to_owned(),
            ),
            (Some(LastDone { run, complete: true, .. }), _) => {
                (Answer::No, format!("run {run} read the whole list, and no record had this id"))
            }
            _ => (Answer::Unknown, "no run whose plan is kept met such a record".to_owned()),
        };
        step(Question::Listed, answer, text)
    }

    fn matched(&self) -> Option<Step> {
        let person = self.person?;
        let here = person.registrations.iter().filter(|r| r.feed == *self.feed).count();
        let elsewhere = person.registrations.len() - here;
        let text = format!("user {}, with {here} records of this feed and {elsewhere} of others", person.id);
        Some(step(Question::Matched, Answer::Yes, text))
    }

    fn decided(&self) -> Step {
        let Some((run, change)) = self.change else {
            let text = "no plan that is kept changes them".to_owned();
            return step(Question::Decided, Answer::Unknown, text);
        };
        let what = match change.action {
            Action::Create => "made them, or brought them into the event",
            Action::Update => "changed them",
            Action::Remove => "took them out of the event",
            Action::Delete => "deleted them permanently, as the source asked",
            Action::Touch => "found nothing that anybody would see changed",
        };
        step(Question::Decided, Answer::Yes, format!("run {run} {what}"))
    }

    fn awaited(&self) -> Option<Step> {
        let (run, change) = self.pending?;
        let what = match change.action {
            Action::Create => "make them, or bring them into the event",
            Action::Update => "change them",
            Action::Remove => "take them out of the event",
            Action::Delete => "delete them permanently, as the source asks",
            Action::Touch => return None,
        };
        let text = format!("run {run} would {what}; it is held, and waits for somebody to decide");
        Some(step(Question::Decided, Answer::No, text))
    }

    fn attends(&self) -> Step {
        let event = &self.feed.event;
        let Some(person) = self.person else {
            return step(
                Question::Attends,
                Answer::No,
                format!("nobody here is known by that; {event} does not have them"),
            );
        };
        match person.attendance_by_hand(event) {
            Some(Override::Added) => {
                return step(Question::Attends, Answer::Yes, format!("an organiser added them to {event} by hand"));
            }
            Some(Override::Excluded) => {
                return step(Question::Attends, Answer::No, format!("an organiser took them out of {event} by hand"));
            }
            None => {}
        }
        match person.attendance(event) {
            Some(attendance) if attendance.active => {
                step(Question::Attends, Answer::Yes, format!("they attend {event} since {}", attendance.changed_at))
            }
            Some(attendance) => step(
                Question::Attends,
                Answer::No,
                format!("they no longer attend {event} since {}", attendance.changed_at),
            ),
            None => {
                let text = format!("they have no place in {event}{}", signed_in(person));
                step(Question::Attends, Answer::No, text)
            }
        }
    }
}

/// With what somebody signed in who has no place, for they may wonder.
fn signed_in(person: &Person) -> String {
    let of_logins = person.registrations.iter().filter(|r| r.feed.is_of_logins());
    let mut sources: Vec<&str> = of_logins.map(|r| r.feed.source.as_str()).collect();
    sources.dedup();
    if sources.is_empty() {
        return String::new();
    }
    format!("; they signed in with {}, which brings nobody into an event", sources.join(" and "))
}

/// What a registration that is here says of its record.
fn listed(registration: &Registration) -> Step {
    let id = &registration.external_id;
    let state = match registration.state {
        RegistrationState::Attending => "attending",
        RegistrationState::NotAttending => "not attending (`attendee_when`)",
        RegistrationState::Cancelled => "cancelled (`removed_when`)",
    };
    match registration.absent_since {
        None => {
            step(Question::Listed, Answer::Yes, format!("record {id} was in the list when it was last read: {state}"))
        }
        Some(_) => {
            let text = format!("the last complete read did not find record {id} any more; before, it was {state}");
            step(Question::Listed, Answer::No, text)
        }
    }
}

/// What a run noted of a record that changed nobody.
fn noted(run: RunId, note: &RecordNote) -> Vec<Step> {
    let id = note.external_id.as_ref().map_or_else(|| "without an id".to_owned(), ToString::to_string);
    let place = format!("page {}, record {}", note.position.page, note.position.index);
    let listed = step(Question::Listed, Answer::Yes, format!("run {run} found record {id} on {place}"));
    let taken_out = |text: &str| step(Question::Selected, Answer::No, text.to_owned());
    let why = match &note.verdict {
        Verdict::Skip(SkipReason::Filtered) => taken_out("`skip_when` took the record out"),
        Verdict::Skip(SkipReason::Duplicate) => taken_out("another record with the same id won"),
        Verdict::Skip(SkipReason::Erased) => taken_out("the person was erased, and is kept out until that is lifted"),
        Verdict::Skip(SkipReason::UnknownDeleted) => taken_out("it asks to delete somebody who is not here"),
        Verdict::Skip(SkipReason::UnknownCancelled) => {
            taken_out("it cancels a record that is not here, and holds too little to make one")
        }
        Verdict::Reject { reason, field } => {
            let field = if field.is_empty() { String::new() } else { format!(" ({field})") };
            let mend = Matter::Rejected { reason: *reason, field: "".into() }.mend();
            step(Question::Mapped, Answer::No, format!("it was rejected: {}{field}; {mend}", reason.as_str()))
        }
    };
    vec![listed, why]
}
