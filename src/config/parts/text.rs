//! Values that several sections have: expressions, templates, names of headers and params.

use std::fmt::Display;

use jiff::tz::TimeZone;

use crate::config::Template;
use crate::config::read::{Item, Section, shown};
use crate::config::template::{CURSOR, HOOK_ID, SINCE};
use crate::mapping::Expression;

/// Longest name of a param.
const PARAM_NAME_CHARS_MAX: usize = 64;

/// Headers that belong to the connection (RFC 9110 §7.6.1) or that the client itself must write.
const RESERVED_HEADERS: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Which placeholders a template may hold.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholders {
    /// Those of a request. Whether there is a cursor, a time, a hook or such a parent is checked where these are read.
    ParamsAndCursor,
    ParamsAndExternalId,
    /// Of what goes back.
    ParamsAndItem,
    /// Of a login, which serves every feed.
    None,
}

/// The value of a key that must be there where its table is.
pub(super) fn needed<'t>(section: &mut Section<'t>, key: &'static str, mend: &str) -> Option<Item<'t>> {
    if section.is_table() { section.required(key, mend) } else { section.optional(key) }
}

/// A jq expression, compiled.
pub(super) fn expression(item: &Item<'_>) -> Option<Expression> {
    let text = item.text()?;
    Expression::compile(text).map_err(|error| refuse_expression(item, &error)).ok()
}

/// The error's first line is the problem; the others show the place in the expression.
fn refuse_expression(item: &Item<'_>, error: &dyn Display) {
    let message = error.to_string();
    let (reason, place) = message.split_once('\n').unwrap_or((&message, ""));
    item.fault_with_detail(reason, "try it on a page of the source with jq", place);
}

/// A jq expression that may be absent: `Some(None)`; `None` when it is faulty.
pub(super) fn optional_expression(section: &mut Section<'_>, key: &'static str) -> Option<Option<Expression>> {
    match section.optional(key) {
        Some(item) => expression(&item).map(Some),
        None => Some(None),
    }
}

/// A template. Faults show the name of a placeholder at most, for a secret may have been written into the text.
pub(super) fn template(item: &Item<'_>, text: &str, allowed: Placeholders) -> Option<Template> {
    let parsed = match Template::parse(text) {
        Ok(template) => template,
        Err(error) => {
            item.fault(error.to_string(), "write a placeholder as {param.name}");
            return None;
        }
    };
    let unknown: Vec<_> = parsed.placeholders().filter(|name| !is_allowed(name, allowed)).collect();
    for name in &unknown {
        let mend = match allowed {
            Placeholders::ParamsAndCursor => "write {param.name}, and give the param in each feed",
            Placeholders::ParamsAndItem => "write {param.name}, or {item.name} for what item takes of each",
            Placeholders::ParamsAndExternalId => "write {external_id} or {param.name}",
            Placeholders::None => "write the value itself: one login serves every feed, so it has no params",
        };
        item.fault(format!("no placeholder {} here", shown(&format!("{{{name}}}"))), mend);
    }
    unknown.is_empty().then_some(parsed)
}

fn is_allowed(placeholder: &str, allowed: Placeholders) -> bool {
    match placeholder.strip_prefix("param.") {
        Some(name) => allowed != Placeholders::None && is_param_name(name),
        None => match allowed {
            Placeholders::ParamsAndCursor => {
                let parent = placeholder.strip_prefix("parent.");
                [CURSOR, SINCE, HOOK_ID].contains(&placeholder) || parent.is_some_and(is_param_name)
            }
            Placeholders::ParamsAndItem => placeholder.strip_prefix("item.").is_some_and(is_param_name),
            Placeholders::ParamsAndExternalId => placeholder == "external_id",
            Placeholders::None => false,
        },
    }
}

/// `[A-Za-z0-9_-]{1,64}`
pub(super) fn is_param_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (1..=PARAM_NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

/// May a header have this name? A fault at `item` if not.
pub(super) fn check_token(item: &Item<'_>, name: &str) -> Option<()> {
    if !is_token(name) {
        let problem = format!("no legal name of a header (got {})", shown(name));
        item.fault(problem, "use letters, digits and '-' only");
        return None;
    }
    Some(())
}

/// Is it a header that a source may set? A fault at `item` if not.
pub(super) fn check_header_name(item: &Item<'_>, name: &str) -> Option<()> {
    check_token(item, name)?;
    if RESERVED_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        item.fault(format!("the header {name} is set by Rollcall itself"), "leave it out");
        return None;
    }
    Some(())
}

/// A token of RFC 9110 §5.6.2.
fn is_token(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(allowed)
}

/// What a header can carry (RFC 9110 §5.5, without its obsolete forms): visible ASCII, blanks and tabs.
pub(super) fn is_header_text(text: &str) -> bool {
    text.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b))
}

/// A time zone by its name.
pub(super) fn read_zone(item: &Item<'_>) -> Option<TimeZone> {
    let name = item.text()?;
    let zone = TimeZone::get(name);
    if zone.is_err() {
        let problem = format!("must be a time zone of the IANA database (got {})", shown(name));
        item.fault(problem, r#"write e.g. zone = "UTC" or zone = "America/Los_Angeles""#);
    }
    zone.ok()
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;
    use crate::config::read::Findings;

    #[test]
    fn tokens_and_header_texts() {
        for (name, ok) in
            [("X-Api-Key", true), ("a.b", true), ("", false), ("a b", false), ("a:b", false), ("ä", false)]
        {
            assert_eq!(is_token(name), ok, "{name}");
        }
        for (text, ok) in [("", true), ("a b\t~", true), ("a\r\nb", false), ("ä", false), ("\u{7f}", false)] {
            assert_eq!(is_header_text(text), ok, "{text:?}");
        }
    }

    #[test]
    fn a_refused_expression_is_shown_below_its_fault() {
        let text = "a = 1";
        let (findings, table) = (Findings::new(text), DeTable::parse(text).expect("TOML"));
        let item = Section::root(table.get_ref(), &findings).optional("a").expect("it is there");
        refuse_expression(&item, &"not allowed: `now`\n  .a | now\n       ^^^");
        refuse_expression(&item, &"empty");
        let (faults, _) = findings.into_parts();
        let mend = "try it on a page of the source with jq";
        assert_eq!(faults[0].to_string(), format!("a: not allowed: `now`; {mend}\n      .a | now\n           ^^^"));
        assert_eq!(faults[1].to_string(), format!("a: empty; {mend}"));
    }

    #[test]
    fn param_names() {
        for (name, ok) in [("event", true), ("Event_id-2", true), ("", false), ("a.b", false), ("a b", false)] {
            assert_eq!(is_param_name(name), ok, "{name}");
        }
        assert!(!is_param_name(&"a".repeat(65)));
    }
}
