//! Where a value stands in the file.

use std::fmt::Write as _;

/// Longest part of a path that is shown.
const KEY_CHARS_MAX: usize = 64;

/// A key and its line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::config) struct Place {
    /// E.g. `source.crm.budget[0].requests`.
    pub path: String,
    /// The same with chosen names left out, e.g. `source.<name>.budget.requests`: what the reader accepts.
    pub pattern: String,
    /// Counted from 1. Of what a preset wrote: where the operator named it.
    pub line: usize,
    /// The preset that wrote it, where it was not the operator.
    pub preset: Option<&'static str>,
}

impl Place {
    /// The place of a key the reader knows by name.
    pub fn key(&self, key: &str, line: usize) -> Self {
        Self { path: join(&self.path, key), pattern: join(&self.pattern, key), line, preset: self.preset }
    }

    /// The place of a key whose name the operator chose.
    pub fn named(&self, name: &str, line: usize) -> Self {
        let (path, pattern) = (join(&self.path, &shown_key(name)), join(&self.pattern, "<name>"));
        Self { path, pattern, line, preset: self.preset }
    }

    /// The same as a preset wrote it.
    pub fn by_preset(self, preset: &'static str) -> Self {
        Self { preset: Some(preset), ..self }
    }

    /// The same where nobody wrote it.
    pub fn by_nobody(self) -> Self {
        Self { preset: None, ..self }
    }

    /// The place of an item of a list.
    pub fn index(&self, index: usize, line: usize) -> Self {
        let mut path = self.path.clone();
        // Writing to a String cannot fail.
        let _ = write!(path, "[{index}]");
        Self { path, pattern: self.pattern.clone(), line, preset: self.preset }
    }
}

fn join(parent: &str, key: &str) -> String {
    if parent.is_empty() { key.to_owned() } else { format!("{parent}.{key}") }
}

/// A key as TOML would want it written, shortened: bare where it can be, else quoted and escaped.
fn shown_key(key: &str) -> String {
    let short: String = key.chars().take(KEY_CHARS_MAX).collect();
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !short.is_empty() && short.chars().all(bare) { short } else { format!("{short:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_name_the_key_and_what_kind_of_key_it_is() {
        let budget = Place::default().key("source", 1).named("crm", 2).key("budget", 3);
        let requests = budget.index(1, 4).key("requests", 5);
        assert_eq!(requests.path, "source.crm.budget[1].requests");
        assert_eq!(requests.pattern, "source.<name>.budget.requests");
        assert_eq!(requests.line, 5);
    }

    #[test]
    fn odd_keys_are_quoted_and_cut() {
        for (key, shown) in [("a-b", "a-b"), ("a.b", "\"a.b\""), ("", "\"\""), ("a\nb", "\"a\\nb\"")] {
            assert_eq!(shown_key(key), shown);
        }
        assert_eq!(shown_key(&"a".repeat(100)).len(), 64);
    }
}
