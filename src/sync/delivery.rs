//! What a hook says: which records changed, and for which feeds.
//! Invariant: pure. What is wrong with a body is told without its values.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::config::HookSpec;
use crate::decode::Document;
use crate::limits::EXTERNAL_ID_BYTES_MAX;
use crate::mapping::Expression;

/// What a hook says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    /// The records that it names; none: anything may have changed.
    pub ids: BTreeSet<String>,
    /// The value that the feeds' param has; `None`: it is for all feeds of the source.
    pub event: Option<String>,
}

/// Why a body says nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("the body is not JSON")]
    NotJson,
    #[error("`{key}` of the source's hook does not fit the body: {problem}")]
    Expression { key: &'static str, problem: String },
}

impl Delivery {
    pub(super) fn read(spec: &HookSpec, body: Bytes) -> Result<Self, Unreadable> {
        let document = Document::parse(body).map_err(|_| Unreadable::NotJson)?;
        let ids = spec.ids.as_ref().map(|ids| named(ids, &document)).transpose();
        let event = spec.event.as_ref().map(|event| event.value.scalar(&document)).transpose();
        let unfit = |key| move |problem| Unreadable::Expression { key, problem };
        Ok(Self {
            ids: ids.map_err(unfit("ids"))?.unwrap_or_default(),
            event: event.map_err(|error| unfit("event")(error.to_string()))?.flatten(),
        })
    }
}

fn named(expression: &Expression, body: &Document) -> Result<BTreeSet<String>, String> {
    let mut ids = BTreeSet::new();
    for output in expression.records(body).map_err(|error| error.to_string())? {
        let text = std::str::from_utf8(output.bytes()).map_err(|_| "it is not UTF-8")?;
        collect(text.trim(), true, &mut ids)?;
    }
    Ok(ids)
}

/// A text or a number is an id; null, false and an empty text are none.
fn collect(json: &str, may_be_list: bool, ids: &mut BTreeSet<String>) -> Result<(), String> {
    let unread = |_| "it gives no JSON".to_owned();
    let id = match json.as_bytes().first() {
        Some(b'n' | b'f') => return Ok(()),
        Some(b'"') => serde_json::from_str::<String>(json).map_err(unread)?,
        Some(b'-' | b'0'..=b'9') => json.to_owned(),
        Some(b'[') if may_be_list => {
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(unread)?;
            return items.into_iter().try_for_each(|item| collect(item.get(), false, ids));
        }
        _ => return Err("an id is a text or a number".into()),
    };
    if id.len() > EXTERNAL_ID_BYTES_MAX || id.contains(char::is_control) || matches!(id.as_str(), "." | "..") {
        return Err(format!("an id has at most {EXTERNAL_ID_BYTES_MAX} bytes on one line, and is not '.' or '..'"));
    }
    if !id.is_empty() {
        ids.insert(id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(expression: &str, body: &'static str) -> Result<Vec<String>, String> {
        let document = Document::parse(Bytes::from_static(body.as_bytes())).unwrap();
        let found = named(&Expression::compile(expression).unwrap(), &document);
        found.map(|ids| ids.into_iter().collect())
    }

    #[test]
    fn texts_and_numbers_are_ids_alone_or_in_a_list() {
        for (expression, body, expected) in [
            (".id", r#"{"id": "a b"}"#, &["a b"][..]),
            (".id", r#"{"id": 12345678901234567890123}"#, &["12345678901234567890123"]),
            (".id", r#"{"id": ["b", 7, null, "b", ""]}"#, &["7", "b"]),
            (".ids[]", r#"{"ids": ["b", "a"]}"#, &["a", "b"]),
            (".tickets[]?.slug", r#"{"tickets": [{"slug": "x"}, {}]}"#, &["x"]),
            (".id", r#"{"id": null}"#, &[]),
            (".id", r#"{"id": ""}"#, &[]),
            (".id", "{}", &[]),
            ("empty", "{}", &[]),
        ] {
            assert_eq!(ids(expression, body).unwrap(), expected, "{expression} {body}");
        }
    }

    #[test]
    fn anything_else_is_told_without_its_value() {
        for (expression, body) in [
            (".id", r#"{"id": {"mail": "ada@x.org"}}"#),
            (".id", r#"{"id": true}"#),
            (".id", r#"{"id": [["ada"]]}"#),
            (".id", r#"{"id": "ada\n"}"#),
            (".id", r#"{"id": ".."}"#),
            (".ids[]", r#"{"ids": "ada"}"#),
            (".id | tonumber", r#"{"id": "ada"}"#),
        ] {
            let problem = ids(expression, body).unwrap_err();
            assert!(!problem.contains("ada"), "{expression} {body}: {problem}");
        }
        let long = format!(r#"{{"id": "{}"}}"#, "a".repeat(EXTERNAL_ID_BYTES_MAX + 1));
        assert!(ids(".id", Box::leak(long.into_boxed_str())).is_err());
    }
}
