//! Templates of minijinja, filled in and bounded.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

use super::values::{names, sample, values};
use crate::limits::{
    LETTER_BYTES_MAX, LETTER_FUEL, LETTER_HTML_BYTES_MAX, LETTER_SUBJECT_BYTES_MAX, LETTER_TEXT_BYTES_MAX,
};
use crate::model::{Event, InvitationTemplate, Person};

/// A mail's content for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: Option<String>,
}

/// What is wrong with a template. Holds no value of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterFault {
    /// `subject`, `text` or `html`.
    pub part: &'static str,
    pub problem: String,
    pub mend: String,
}

/// The names of the parts are also the names of the templates, by which it is decided what is escaped.
const HTML: &str = "html";

fn parts(template: &InvitationTemplate) -> impl Iterator<Item = (&'static str, &str, usize)> {
    let html = template.html.as_deref().map(|html| (HTML, html, LETTER_HTML_BYTES_MAX));
    let texts = [
        ("subject", template.subject.as_str(), LETTER_SUBJECT_BYTES_MAX),
        ("text", template.text.as_str(), LETTER_TEXT_BYTES_MAX),
    ];
    texts.into_iter().chain(html)
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| if name == HTML { AutoEscape::Html } else { AutoEscape::None });
    environment.set_fuel(Some(LETTER_FUEL));
    environment.add_filter("date", date);
    environment
}

/// `event.starts_at | date("%d.%m.%Y")`, in the conversions of strftime.
fn date(time: &str, format: &str) -> Result<String, Error> {
    if time.is_empty() {
        return Ok(String::new());
    }
    let invalid = |_| Error::new(ErrorKind::InvalidOperation, "date takes a time of the event and a format");
    let time: jiff::civil::DateTime = time.parse().map_err(invalid)?;
    jiff::fmt::strtime::format(format, time).map_err(invalid)
}

/// Everything that is wrong with a template: its length, its syntax, names that nobody knows, what fails when it is filled
/// in for somebody who has everything.
pub fn check(template: &InvitationTemplate, event: &Event, customs: &BTreeSet<Arc<str>>) -> Vec<LetterFault> {
    let mut faults = Vec::new();
    let known = names(customs);
    let somebody = sample(&event.name, customs);
    for (part, source, bytes_max) in parts(template) {
        let fault = |problem: String, mend: &str| LetterFault { part, problem, mend: mend.to_owned() };
        if source.trim().is_empty() || source.len() > bytes_max {
            faults.push(fault(format!("must be 1 to {bytes_max} bytes"), "write what the mail is to say"));
            continue;
        }
        let unknown = unknown_names(part, source, &known);
        match unknown {
            Err(error) => faults.push(fault(told(&error), "see docs/invitations.md for the syntax")),
            Ok(unknown) if !unknown.is_empty() => {
                let problem = format!("no such name: {}", unknown.join(", "));
                faults.push(fault(problem, "docs/invitations.md lists the names; a custom field is custom.<name>"));
            }
            Ok(_) => {
                let filled = fill(part, source, &somebody, event, customs);
                faults.extend(filled.err().map(|error| fault(told(&error), "see docs/invitations.md for the syntax")));
            }
        }
    }
    faults
}

/// Also those in branches that are not taken.
fn unknown_names(part: &str, source: &str, known: &BTreeSet<String>) -> Result<Vec<String>, Error> {
    let environment = environment();
    let template = environment.template_from_named_str(part, source)?;
    let is_unknown = |name: &String| {
        // A part of a value, such as `first_name.x`, fails when it is filled in.
        !known.contains(name) && name != "custom" && !environment.globals().any(|(global, _)| global == name)
    };
    let mut unknown: Vec<String> = template.undeclared_variables(true).into_iter().filter(is_unknown).collect();
    unknown.sort_unstable();
    Ok(unknown)
}

/// The custom fields that a template names.
fn customs_of(template: &InvitationTemplate) -> BTreeSet<Arc<str>> {
    let environment = environment();
    let mut customs = BTreeSet::new();
    for (part, source, _) in parts(template) {
        let Ok(template) = environment.template_from_named_str(part, source) else { continue };
        let names = template.undeclared_variables(true);
        customs.extend(names.iter().filter_map(|name| name.strip_prefix("custom.")).map(Arc::from));
    }
    customs
}

/// Fills in a template.
///
/// # Errors
/// The first part that cannot be filled in, which [`check`] leaves hardly a way for.
pub fn render(template: &InvitationTemplate, person: &Person, event: &Event) -> Result<Letter, LetterFault> {
    let customs = customs_of(template);
    let mut filled = Vec::with_capacity(3);
    for (part, source, _) in parts(template) {
        let text = fill(part, source, person, event, &customs);
        let fault = |error: Error| LetterFault { part, problem: told(&error), mend: "mend the template".into() };
        filled.push(text.map_err(fault)?);
    }
    let mut filled = filled.into_iter();
    let mut next = || filled.next().unwrap_or_default();
    // A line break in a value would begin another header.
    let subject = next().split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned();
    Ok(Letter { subject, text: next(), html: template.html.is_some().then(next) })
}

fn fill(
    part: &str,
    source: &str,
    person: &Person,
    event: &Event,
    customs: &BTreeSet<Arc<str>>,
) -> Result<String, Error> {
    let environment = environment();
    let template = environment.template_from_named_str(part, source)?;
    let mut bounded = Bounded(Vec::new());
    template.render_captured_to(values(person, event, customs), &mut bounded)?;
    String::from_utf8(bounded.0).map_err(|_| Error::new(ErrorKind::WriteFailure, "not UTF-8"))
}

/// What minijinja says, on one line, without what a template was filled in with.
fn told(error: &Error) -> String {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    let detail = match error.kind() {
        ErrorKind::SyntaxError | ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest => {
            error.detail().map(|detail| format!(": {detail}")).unwrap_or_default()
        }
        _ => String::new(),
    };
    format!("{}{line}{detail}", error.kind())
}

struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LETTER_BYTES_MAX {
            return Err(io::Error::other("the letter is too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventName, Field, Invitations, Value};

    fn event() -> Event {
        Event {
            name: EventName::parse("summit").unwrap(),
            title: "Summit <2026>".into(),
            starts_at: Some("2026-05-04T07:00:00Z".parse().unwrap()),
            ends_at: None,
            zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
            schedule: None,
            access: Default::default(),
            feeds: Vec::new(),
            invitations: Invitations::default(),
            links: None,
        }
    }

    fn template(subject: &str, text: &str, html: Option<&str>) -> InvitationTemplate {
        InvitationTemplate { subject: subject.into(), text: text.into(), html: html.map(str::to_owned) }
    }

    fn customs() -> BTreeSet<Arc<str>> {
        BTreeSet::from(["diet".into()])
    }

    #[test]
    fn a_letter_is_filled_in_for_a_person_and_escaped_in_html_alone() {
        let person = sample(&event().name, &BTreeSet::new());
        let all = "{{ first_name }} of {{ company }} at {{ event.title }}, {{ event.starts_at }} {{ event.zone }}, diet {{ custom.diet }}.{{ event.ends_on }}";
        let letter = render(&template("Hi {{ first_name }}", all, Some(all)), &person, &event()).unwrap();
        assert_eq!(letter.subject, "Hi Ada");
        let text = "Ada of Engines & Söhne at Summit <2026>, 2026-05-04 09:00 Europe/Berlin, diet .";
        assert_eq!(letter.text, text);
        assert_eq!(
            letter.html.unwrap(),
            text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('/', "&#x2f;")
        );
        let dated =
            render(&template("S", "{{ event.starts_at | date('%d.%m.%Y') }}", None), &person, &event()).unwrap();
        assert_eq!(dated.text, "04.05.2026");
    }

    #[test]
    fn a_line_break_in_a_value_makes_no_header() {
        let mut person = sample(&event().name, &BTreeSet::new());
        let first = person.profile.iter_mut().find(|field| field.field == Field::FirstName).unwrap();
        first.value = Value::Text("Ada\r\nBcc: all@x.org".into());
        let letter = render(&template("Hi {{ first_name }}", "x", None), &person, &event()).unwrap();
        assert_eq!(letter.subject, "Hi Ada  Bcc: all@x.org");
    }

    #[test]
    fn what_is_wrong_is_told_when_it_is_saved() {
        for (text, words) in [
            ("{{ frist_name }}", "no such name: frist_name"),
            ("{% if company %}a{% else %}{{ event.titel }}{% endif %}", "no such name: event.titel"),
            ("{{ custom.shoe }}", "no such name: custom.shoe"),
            ("{{ event }}", "no such name: event"),
            ("{{ first_name.x }}", "no such name: first_name.x"),
            ("{{ first_name", "syntax error in line 1"),
            ("{{ first_name | shout }}", "unknown filter"),
            ("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", "out of fuel"),
            ("{% for a in range(900) %}{{ 'x' * 9000 }}{% endfor %}", "write"),
            ("{% include 'x' %}", ""),
            (" ", "must be 1 to"),
        ] {
            let faults = check(&template("S", text, None), &event(), &customs());
            assert_eq!(faults.len(), 1, "{text}");
            assert!(faults[0].part == "text" && faults[0].problem.contains(words), "{text}: {faults:?}");
        }
        let good = "{{ custom.diet | upper }} {% for group in groups %}{{ group }}{% endfor %} {{ badge_url }}";
        assert_eq!(check(&template("S", good, Some(good)), &event(), &customs()), []);
    }
}
