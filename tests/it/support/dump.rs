//! Plans and stores as text, in an order that depends on nothing but what they hold.

use std::fmt::Write as _;

use rollcall::app::App;
use rollcall::journal::{JournalReader, journal_path};
use rollcall::model::{Entry, Level, Owner, Person, RecordNote, Registration, Run, Value, Verdict};
use rollcall::plan::{Detail, details};

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn owner(owner: Option<&Owner>) -> String {
    owner.map_or("local".into(), |owner| format!("{} run {}", owner.source, owner.run))
}

/// A run: how it ended, what it warns of, and its changes, sorted.
pub fn plan_text(app: &App, run: &Run) -> String {
    let mut text = format!(
        "outcome {}{}\n",
        run.outcome.map_or("none", |outcome| outcome.as_str()),
        if run.complete { ", complete read" } else { ", incomplete read" }
    );
    if let Some(error) = &run.error {
        writeln!(text, "error {}: {}", error.reason.as_str(), without_port(&error.message)).unwrap();
    }
    let counts = serde_json::to_value(run.counts).unwrap();
    let counts = counts.as_object().unwrap().iter().filter(|(_, count)| **count != 0);
    let counts: Vec<_> = counts.map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(text, "counts {}", counts.join(", ")).unwrap();
    for line in run.log.iter().filter(|line| line.level == Level::Warn) {
        writeln!(text, "warns {}", line.text).unwrap();
    }
    let mut blocks = entries(app, run);
    blocks.sort();
    text.extend(blocks);
    text
}

/// The list server has another port every time.
fn without_port(message: &str) -> String {
    let mut parts = message.split("127.0.0.1:");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str("HOST");
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    text
}

/// The journal's entries as text, in its order.
fn entries(app: &App, run: &Run) -> Vec<String> {
    match JournalReader::open(&journal_path(&app.store.runs_folder(), run.id)) {
        Ok(journal) => journal.map(|entry| entry_text(&entry.unwrap())).collect(),
        Err(error) if error.is_missing() => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

fn entry_text(entry: &Entry) -> String {
    match entry {
        Entry::Group(group) => format!("group {} \"{}\"\n", group.key, group.name),
        Entry::GroupGone(group) => format!("group {} \"{}\" gone\n", group.key, group.name),
        Entry::NotUndone(left) => format!("not undone: {}\n", left.parts.join(", ")),
        Entry::Record(note) => note_text(note),
        Entry::Person(change) => {
            let shown = change.after.as_ref().or(change.before.as_ref());
            let who = shown.map_or("(erased)".into(), |person| person.email.key().as_str().to_owned());
            let mut text = format!("{} {who}\n", change.action.as_str());
            for detail in details(change.before.as_ref(), change.after.as_ref()) {
                writeln!(text, "  {}", detail_text(&detail)).unwrap();
            }
            text
        }
    }
}

fn note_text(note: &RecordNote) -> String {
    let id = note.external_id.as_ref().map_or("?", |id| id.as_str());
    match &note.verdict {
        Verdict::Skip(reason) => format!("skip {id}: {}\n", reason.as_str()),
        Verdict::Reject { reason, field } => format!("reject {id}: {} {field}\n", reason.as_str()),
    }
}

fn detail_text(detail: &Detail) -> String {
    let change = |before: Option<String>, after: Option<String>| {
        format!("{} -> {}", before.unwrap_or("-".into()), after.unwrap_or("-".into()))
    };
    let values =
        |before: &Option<Value>, after: &Option<Value>| change(before.as_ref().map(json), after.as_ref().map(json));
    match detail {
        Detail::Email { before, after } => format!("email {}", change(before.clone(), after.clone())),
        Detail::Field { field, before, after } => format!("{field} {}", values(before, after)),
        Detail::Released { field } => format!("{field} released"),
        Detail::Attendance { event, after, .. } => format!("{} {event}", if *after { "joins" } else { "leaves" }),
        Detail::EventField { event, field, before, after } => format!("{event}.{field} {}", values(before, after)),
        Detail::Registration { feed, external_id, before, after } => {
            format!("registration {feed} {external_id} {}", change(before.map(|s| json(&s)), after.map(|s| json(&s))))
        }
        Detail::JoinedGroup { group } => format!("joins group {group}"),
        Detail::LeftGroup { group } => format!("leaves group {group}"),
        Detail::Invitation { event, before, after } => {
            let word = |state: &Option<rollcall::model::InvitationState>| state.map(|state| state.as_str().to_owned());
            format!("invitation to {event} {}", change(word(before), word(after)))
        }
    }
}

/// Everything the store holds of people and groups, sorted by email key. Without ids, which hang on the community's key.
pub fn store_text(app: &App) -> String {
    let mut people: Vec<Person> = app
        .store
        .users(None, usize::MAX)
        .into_iter()
        .map(|user| app.store.person(user).unwrap().expect("an indexed user is stored"))
        .collect();
    people.sort_by(|a, b| a.email.key().cmp(&b.email.key()).then(a.id.cmp(&b.id)));
    let mut text = String::new();
    for person in &people {
        person_text(&mut text, person);
    }
    for group in app.store.groups(None, usize::MAX) {
        writeln!(text, "group {} \"{}\" of {}", group.group.key, group.group.name, group.members).unwrap();
    }
    text
}

fn person_text(text: &mut String, person: &Person) {
    writeln!(text, "{} ({})", person.email.as_str(), owner(person.email_owner.as_ref())).unwrap();
    for field in &person.profile {
        writeln!(text, "  {} {} ({})", field.field, json(&field.value), owner(field.owner.as_ref())).unwrap();
    }
    for attendance in &person.attendances {
        let fields: String =
            attendance.fields.iter().map(|(field, value)| format!(" {field}={}", json(value))).collect();
        let state = if attendance.active { "attends" } else { "attended" };
        writeln!(text, "  {state} {}{fields}", attendance.event).unwrap();
    }
    for registration in &person.registrations {
        registration_text(text, person, registration);
    }
    for group in person.groups() {
        writeln!(text, "  in {group}").unwrap();
    }
    for passage in person.journey.iter().flat_map(|journey| &journey.events) {
        let state = passage.invitation.as_ref().map_or("never invited", |invitation| invitation.state.as_str());
        let came = if passage.first_access_at.is_some() { ", came" } else { "" };
        writeln!(text, "  to {}: {state}{came}", passage.event).unwrap();
    }
}

fn registration_text(text: &mut String, person: &Person, registration: &Registration) {
    write!(text, "  registration {} {} {}", registration.feed, registration.external_id, json(&registration.state))
        .unwrap();
    if let Some(read) = registration.absent_since {
        write!(text, " absent since read {read}").unwrap();
    }
    for (field, value) in &registration.fields {
        if person.value(field) != Some(value) {
            write!(text, " {field}={}", json(value)).unwrap();
        }
    }
    text.push('\n');
}

/// A store in words, its owners named without their run, whose number depends on what failed before.
pub fn without_runs(text: &str) -> String {
    let mut parts = text.split(" run ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    plain
}
