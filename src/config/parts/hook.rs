//! `[source.<name>.hook]`: how the source says that somebody changed.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::auth::{read_prefix, read_secret};
use super::request::{Claims, read_request};
use super::source::request_templates;
use super::text::{check_header_name, expression, is_param_name, optional_expression};
use crate::config::read::{Item, Section};
use crate::config::secret::Secrets;
use crate::config::{
    CURSOR, HOOK_ID, HookEvent, HookProof, HookRecord, HookSpec, RequestSpec, SINCE, SignatureSpec, SignatureText,
};
use crate::limits;
use crate::mapping::Expression;

const TEXTS: [(&str, SignatureText); 2] = [("hex", SignatureText::Hex), ("base64", SignatureText::Base64)];

/// What else of the source a hook needs to know.
pub(super) struct Below<'a> {
    pub secrets: &'a Secrets<'a>,
    /// `None` when it is faulty.
    pub base_url: Option<Url>,
    /// The source's own; `None` when it is faulty.
    pub select: Option<&'a Expression>,
}

/// Reads it where it is there. What a preset says of hooks waits for the operator's secret.
pub(super) fn read_hook(mut section: Section<'_>, below: Below<'_>) -> Option<Option<Arc<HookSpec>>> {
    if !section.is_table() {
        section.finish();
        return Some(None);
    }
    let proof = read_proof(&mut section, below.secrets);
    let ids = optional_expression(&mut section, "ids");
    let event = read_hook_event(&mut section);
    let record = section.optional("record");
    let select = optional_expression(&mut section, "select");
    let record = match (record, select) {
        (Some(item), select) => read_record(item, select, &below).map(Some),
        (None, Some(None)) => Some(None),
        (None, _) => {
            say(&section, "select", "is of no use without record", "write how a record is asked for, or leave it out");
            None
        }
    };
    let mut duration = |key: &'static str, default, range| match section.optional(key) {
        Some(item) => item.duration(range),
        None => Some(default),
    };
    let min_interval = duration("min_interval", limits::HOOK_SYNC_EVERY, Duration::ZERO..=limits::HOOK_SYNC_EVERY_MAX);
    let remember = duration("remember", limits::HOOK_REMEMBERED, Duration::ZERO..=limits::HOOK_REMEMBERED);
    if let (Some(Some(_)), Some(None)) = (&ids, &record) {
        say(&section, "ids", "is of no use without record", "write how a record is asked for, or leave it out");
    }
    if let (Some(None), Some(Some(_))) = (&ids, &record) {
        say(&section, "record", "needs ids", r#"write where a hook names the records, e.g. ids = ".id""#);
    }
    section.finish();
    let (proof, ids, event, record) = (proof?, ids?, event?, record?);
    let Some(proof) = proof else { return Some(None) };
    let (min_interval, remember) = (min_interval?, remember?);
    Some(Some(Arc::new(HookSpec { proof, ids, event, record, min_interval, remember })))
}

fn say(section: &Section<'_>, key: &str, problem: &str, mend: &str) {
    let place = section.place().key(key, section.place().line);
    section.findings().fault(&place, problem, mend);
}

/// How a hook shows that it is the source's. `Some(None)`: there is no hook, or only what a preset says of one.
fn read_proof(section: &mut Section<'_>, secrets: &Secrets<'_>) -> Option<Option<HookProof>> {
    let secret = section.optional("secret");
    let path_secret = section.optional("path_secret");
    let signature = [
        section.optional("signature_header"),
        section.optional("timestamp_header"),
        section.optional("signature"),
        section.optional("prefix"),
    ];
    section.accept_words("signature", &TEXTS);
    match (secret, path_secret) {
        (Some(_), None) => read_signature(section, secrets, signature).map(|spec| Some(HookProof::Signature(spec))),
        (None, Some(item)) => {
            for item in signature.iter().flatten().filter(|item| item.place().preset.is_none()) {
                item.fault("is of no use without secret", "leave it out: the secret path is the proof");
            }
            read_path_secret(&item, secrets).map(|secret| Some(HookProof::Path(secret)))
        }
        (Some(_), Some(item)) => {
            let problem = "a hook is proved by its signature or by its path, not by both";
            item.fault(problem, "keep secret, if the source signs its hooks; else path_secret");
            None
        }
        (None, None) if section.place().preset.is_some() => Some(None),
        (None, None) => {
            let problem = "a hook needs a secret, or anybody could send one";
            let mend = "write secret, if the source signs its hooks, with signature_header; else path_secret";
            section.findings().fault(section.place(), problem, mend);
            None
        }
    }
}

fn read_signature(
    section: &mut Section<'_>,
    secrets: &Secrets<'_>,
    [header, timestamp, text, prefix]: [Option<Item<'_>>; 4],
) -> Option<SignatureSpec> {
    let secret = read_secret(section, "secret", secrets, false);
    if header.is_none() {
        let mend = r#"write where the signature stands, e.g. signature_header = "X-Signature""#;
        say(section, "signature_header", "missing", mend);
    }
    let name = |item: &Item<'_>| {
        let name = item.text()?;
        check_header_name(item, name)?;
        Some(name.to_owned())
    };
    let header = header.and_then(|item| name(&item));
    let timestamp_header = timestamp.map_or(Some(None), |item| name(&item).map(Some));
    let text = text.map_or(Some(SignatureText::Hex), |item| item.choice(&TEXTS));
    let prefix = prefix.map_or(Some(String::new()), |item| read_prefix(&item, true));
    Some(SignatureSpec {
        secret: secret?,
        header: header?,
        timestamp_header: timestamp_header?,
        text: text?,
        prefix: prefix?,
    })
}

/// It stands in a URL as it is (RFC 3986 §2.3), and nobody guesses it.
fn read_path_secret(item: &Item<'_>, secrets: &Secrets<'_>) -> Option<SecretString> {
    let secret = secrets.read(item.clone())?;
    let text = secret.expose_secret();
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let lengths = limits::HOOK_PATH_SECRET_BYTES_MIN..=limits::HOOK_PATH_SECRET_BYTES_MAX;
    if plain && lengths.contains(&text.len()) {
        return Some(secret);
    }
    let (min, max) = (lengths.start(), lengths.end());
    let problem = format!("the secret must be {min} to {max} letters, digits, '-', '.', '_' and '~'");
    item.fault(problem, "make one with `openssl rand -hex 32`");
    None
}

/// Which feeds a hook is for; `Some(None)`: all of the source.
fn read_hook_event(section: &mut Section<'_>) -> Option<Option<HookEvent>> {
    let param = section.optional("event_param");
    match (section.optional("event"), param) {
        (None, None) => Some(None),
        (Some(value), Some(param)) => {
            let name = read_param_name(&param);
            Some(Some(HookEvent { value: expression(&value)?, param: name? }))
        }
        (Some(item), None) => {
            let mend = r#"write which param of the feeds it is, e.g. event_param = "event""#;
            item.fault("needs event_param", mend);
            None
        }
        (None, Some(item)) => {
            let mend = r#"write where a hook says it, e.g. event = ".event", or leave it out"#;
            item.fault("is of no use without event", mend);
            None
        }
    }
}

fn read_param_name(item: &Item<'_>) -> Option<String> {
    let name = item.text()?;
    if !is_param_name(name) {
        item.fault("no name of a param", "use 1 to 64 letters, digits, '-' and '_'");
        return None;
    }
    Some(name.to_owned())
}

fn read_record(item: Item<'_>, select: Option<Option<Expression>>, below: &Below<'_>) -> Option<HookRecord> {
    let place = item.place().clone();
    let section = item.section_as("source.<name>.request");
    let findings = section.findings();
    let request = read_request(section, below.base_url.clone(), &mut Claims::default())?;
    let says = |name: &str| says(&request, name);
    let mut sound = true;
    let mut fault = |problem: String, mend: &str| {
        sound = false;
        findings.fault(&place, problem, mend);
    };
    if !says(HOOK_ID) {
        fault("no part of the request says {hook.id}".into(), r#"write e.g. path = "attendees/{hook.id}""#);
    }
    for name in [CURSOR, SINCE].into_iter().filter(|name| says(name)) {
        fault(format!("the request of one record cannot say {{{name}}}"), "leave it out: there is one page");
    }
    let names = request_templates(&request).into_iter().flat_map(|template| template.placeholders());
    if names.into_iter().any(|name| name.starts_with("parent.")) {
        let mend = "leave record out, so that a hook starts a sync";
        fault("a hook does not say which parent a record has".into(), mend);
    }
    // Where its select is faulty, nobody knows what the source's would be taken for.
    let select = select?.or_else(|| below.select.cloned())?;
    sound.then_some(HookRecord { request, select })
}

/// Does any part of the request say this?
pub(super) fn says(request: &RequestSpec, name: &str) -> bool {
    request_templates(request).iter().any(|template| template.uses(name))
}
