//! `[source.<name>.credential.<name>]`: what has to be entered before a source can be asked, and who enters it.

use super::text::{is_param_name, optional_expression};
use crate::config::read::{Item, Section};
use crate::config::{CredentialScope, CredentialSpec};
use crate::limits::{PARAM_BYTES_MAX, TITLE_BYTES_MAX};

#[derive(Clone, Copy)]
enum Scope {
    Event,
    PreSet,
    Secret,
}

const SCOPES: [(&str, Scope); 3] = [("event", Scope::Event), ("pre_set", Scope::PreSet), ("secret", Scope::Secret)];

pub(super) fn read_credentials(section: Section<'_>) -> Option<Vec<CredentialSpec>> {
    // Collected before `?`, so that every faulty one is reported.
    let credentials: Vec<_> = section.named().into_iter().map(|(name, item)| read_credential(name, item)).collect();
    credentials.into_iter().collect()
}

fn read_credential(name: &str, item: Item<'_>) -> Option<CredentialSpec> {
    if !is_param_name(name) {
        item.fault("no name of a credential", "use 1 to 64 letters, digits, '-' and '_'");
        return None;
    }
    let mut section = item.section();
    let scope = section.choice("scope", &SCOPES, Scope::Event);
    let mend = r#"write what it is, for whoever enters it, e.g. description = "the event's id""#;
    let description = section.required("description", mend).and_then(|item| short_text(&item, TITLE_BYTES_MAX));
    let value = section.optional("value");
    let valid_when = optional_expression(&mut section, "valid_when");
    let scope = read_scope(&section, scope?, value, valid_when?);
    section.finish();
    Some(CredentialSpec { name: name.to_owned(), description: description?, scope: scope? })
}

fn read_scope(
    section: &Section<'_>,
    scope: Scope,
    value: Option<Item<'_>>,
    valid_when: Option<crate::mapping::Expression>,
) -> Option<CredentialScope> {
    let fault = |key: &str, problem: &str, mend: &str| {
        section.findings().fault(&section.place().key(key, section.place().line), problem, mend);
    };
    if valid_when.is_some() && !matches!(scope, Scope::Event) {
        fault("valid_when", "is for what events enter", "leave it out");
        return None;
    }
    match (scope, value) {
        (Scope::Event, None) => Some(CredentialScope::Event { valid_when }),
        (Scope::Secret, None) => Some(CredentialScope::Secret),
        (Scope::PreSet, Some(item)) => {
            short_text(&item, PARAM_BYTES_MAX).map(|value| CredentialScope::PreSet { value })
        }
        (Scope::PreSet, None) => {
            fault("value", "missing", "write the value that every event has");
            None
        }
        (Scope::Event, Some(item)) => {
            item.fault("each event enters its own", r#"leave it out, or write scope = "pre_set""#);
            None
        }
        (Scope::Secret, Some(item)) => {
            item.fault("stands in auth, where it cannot print", "move it there");
            None
        }
    }
}

fn short_text(item: &Item<'_>, max: usize) -> Option<String> {
    let text = item.text()?;
    if text.len() > max || text.contains(char::is_control) {
        item.fault(format!("must be at most {max} bytes on one line"), "shorten it");
        return None;
    }
    Some(text.to_owned())
}
