//! `[event.<name>.invitations]`, and the rules that invitations of the file and of the API share.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::text::needed;
use crate::config::fault::Fault;
use crate::config::read::{Findings, Item, Place, Section};
use crate::letter;
use crate::limits::{LETTER_HTML_BYTES_MAX, LETTER_TEXT_BYTES_MAX, MAX_INVITES_MAX};
use crate::model::{Event, Existing, InvitationTemplate, Invitations};

/// Something that must be mended, and below which key of the invitations.
type Objection = (&'static str, String, String);

/// Holds invitations that come over the API against the rules. `customs`: the custom fields that there are. Paths are
/// relative to the invitations, e.g. `template.text`.
///
/// # Errors
/// Every fault: enabled without a template, a number out of bounds, a template that names what is not there.
pub fn validate_invitations(event: &Event, customs: &BTreeSet<Arc<str>>) -> Result<(), Vec<Fault>> {
    let fault = |(key, problem, mend): Objection| Fault {
        path: key.to_owned(),
        line: None,
        problem,
        mend,
        detail: String::new(),
    };
    let faults: Vec<_> = objections(event, customs).into_iter().map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// The rules.
fn objections(event: &Event, customs: &BTreeSet<Arc<str>>) -> Vec<Objection> {
    let Invitations { enabled, max_invites, template, .. } = &event.invitations;
    let mut objections = Vec::new();
    if *enabled && template.is_none() {
        objections.push(("template", "missing".into(), "invitations need a template with a subject and a text".into()));
    }
    if max_invites.is_some_and(|most| most > MAX_INVITES_MAX) {
        objections.push((
            "max_invites",
            format!("must be at most {MAX_INVITES_MAX}"),
            "choose a smaller number".into(),
        ));
    }
    for fault in template.iter().flat_map(|template| letter::check(template, event, customs)) {
        let key = match fault.part {
            "subject" => "template.subject",
            "html" => "template.html",
            _ => "template.text",
        };
        objections.push((key, fault.problem, fault.mend));
    }
    objections
}

/// Invitations of the file, where their keys stand, and whether they say that they are there.
pub(super) struct ReadInvitations {
    pub invitations: Invitations,
    place: Place,
    template: Option<Place>,
}

/// `None` after a fault. Files are taken from the configuration's folder.
pub(super) fn read_invitations(mut section: Section<'_>, folder: &Path) -> Option<ReadInvitations> {
    let place = section.place().clone();
    let is_there = section.is_table();
    let enabled = section.optional("enabled").map_or(Some(is_there), |item| item.boolean());
    let options = [("invite", Existing::Invite), ("skip", Existing::Skip)];
    section.accept_words("existing", &options);
    let mend = r#"say what becomes of those who attend already: existing = "invite" or existing = "skip""#;
    let existing = if is_there && enabled == Some(true) {
        section.required("existing", mend).map(|item| item.choice(&options))
    } else {
        Some(section.optional("existing").and_then(|item| item.choice(&options)))
    };
    let max_invites = match section.optional("max_invites") {
        Some(item) => item.integer(0..=MAX_INVITES_MAX).map(Some),
        None => Some(None),
    };
    let template_item = section.optional("template");
    let template_place = template_item.as_ref().map(|item| item.place().clone());
    let template = match template_item {
        Some(item) => read_template(item.section(), folder).map(Some),
        None => {
            // So that the keys are known where nobody writes them.
            let _ = read_template(section.section("template"), folder);
            Some(None)
        }
    };
    section.finish();
    let invitations = Invitations {
        enabled: enabled?,
        existing: existing?,
        max_invites: max_invites?,
        template: template?.map(Arc::new),
    };
    Some(ReadInvitations { invitations, place, template: template_place })
}

fn read_template(mut section: Section<'_>, folder: &Path) -> Option<InvitationTemplate> {
    let mut part = |key: &'static str, is_needed: bool, bytes_max: usize| {
        let mend = "write what the mail is to say";
        let item = if is_needed { needed(&mut section, key, mend) } else { section.optional(key) };
        match item {
            Some(item) => read_part(item, folder, bytes_max).map(Some),
            None => Some(None),
        }
    };
    let subject = part("subject", true, LETTER_TEXT_BYTES_MAX);
    let text = part("text", true, LETTER_TEXT_BYTES_MAX);
    let html = part("html", false, LETTER_HTML_BYTES_MAX);
    section.finish();
    Some(InvitationTemplate { subject: subject??, text: text??, html: html? })
}

/// The text itself, or a file that holds it.
fn read_part(item: Item<'_>, folder: &Path, bytes_max: usize) -> Option<String> {
    if item.is_text() {
        return item.text().map(ToOwned::to_owned);
    }
    let mut section = item.section();
    let file = section.required("file", "write the text, or { file = \"path\" }");
    section.finish();
    let file = file?;
    let path = folder.join(file.text()?);
    let mut text = String::new();
    let read = File::open(&path).and_then(|opened| opened.take(bytes_max as u64 + 1).read_to_string(&mut text));
    if let Err(error) = read {
        let mend = "check the path, and that rollcall's user may read it";
        file.fault(format!("cannot read {}: {error}", path.display()), mend);
        return None;
    }
    Some(text)
}

impl ReadInvitations {
    /// Reports what the rules object to; true when there is nothing.
    pub fn report(&self, event: &Event, customs: &BTreeSet<Arc<str>>, findings: &Findings) -> bool {
        let objections = objections(event, customs);
        for (key, problem, mend) in &objections {
            let template = self.template.as_ref().filter(|_| key.starts_with("template"));
            let place = match (template, key.strip_prefix("template.")) {
                (Some(template), Some(part)) => template.key(part, template.line),
                (Some(template), None) => template.clone(),
                (None, _) => self.place.key(key, self.place.line),
            };
            findings.fault(&place, problem.clone(), mend.clone());
        }
        objections.is_empty()
    }
}
