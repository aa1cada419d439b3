//! Texts with `{placeholders}`: `{param.x}` and, where the setting says so, others such as `{cursor}` or `{external_id}`.

use std::collections::BTreeMap;
use std::fmt;

/// A parsed template. `{{` and `}}` stand for single braces.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(String),
}

/// Why a text is no template, or why one cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("'{{' without '}}' (write '{{{{' for a brace)")]
    Unclosed,
    #[error("'}}' without '{{' (write '}}}}' for a brace)")]
    Unopened,
    #[error("no placeholder '{{{0}}}' here")]
    UnknownPlaceholder(String),
    #[error("no value for '{{{0}}}'")]
    NoValue(String),
}

/// The placeholder of the token or number that asks for a page.
pub const CURSOR: &str = "cursor";

/// The placeholder of the time from which on changes are asked for.
pub const SINCE: &str = "since";

/// The placeholder of the record that a hook names.
pub const HOOK_ID: &str = "hook.id";

/// Values for placeholders.
pub type Vars = BTreeMap<String, String>;

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
            } else if brace == "}" {
                return Err(TemplateError::Unopened);
            } else {
                let (name, after) = rest.split_once('}').ok_or(TemplateError::Unclosed)?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(Part::Placeholder(name.trim().to_owned()));
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The placeholders' names, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    pub fn uses(&self, placeholder: &str) -> bool {
        self.placeholders().any(|name| name == placeholder)
    }

    /// Is it this placeholder, with nothing around it?
    pub fn is_only(&self, placeholder: &str) -> bool {
        matches!(&self.parts[..], [Part::Placeholder(name)] if name == placeholder)
    }

    /// Fills in every placeholder, each value passed through `escape`.
    pub fn render(&self, vars: &Vars, escape: impl Fn(&str) -> String) -> Result<String, TemplateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Placeholder(name) => {
                    let value = vars.get(name).ok_or_else(|| TemplateError::NoValue(name.clone()))?;
                    text.push_str(&escape(value));
                }
            }
        }
        Ok(text)
    }
}

/// A text so that it may stand as one segment of a URL's path or one value of its query (RFC 3986 §2.1).
pub fn percent_encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(literal) => f.write_str(literal)?,
                Part::Placeholder(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(text: &str) -> Result<String, TemplateError> {
        let vars = Vars::from([("param.event".to_owned(), "a b".to_owned())]);
        Template::parse(text)?.render(&vars, |v| v.replace(' ', "%20"))
    }

    #[test]
    fn renders_and_escapes() {
        for (text, expected) in [
            ("", ""),
            ("/events", "/events"),
            ("/events/{param.event}/list", "/events/a%20b/list"),
            ("{ param.event }", "a%20b"),
            ("{{x}} {param.event}", "{x} a%20b"),
        ] {
            assert_eq!(render(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_encoded_cannot_leave_its_place() {
        assert_eq!(percent_encode("a b/../c?d=é&+"), "a%20b%2F..%2Fc%3Fd%3D%C3%A9%26%2B");
    }

    #[test]
    fn refuses_what_it_cannot_fill() {
        assert_eq!(render("{a"), Err(TemplateError::Unclosed));
        assert_eq!(render("a}"), Err(TemplateError::Unopened));
        assert_eq!(render("{param.x}"), Err(TemplateError::NoValue("param.x".into())));
        assert_eq!(TemplateError::NoValue("a".into()).to_string(), "no value for '{a}'");
    }
}
