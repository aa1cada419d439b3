//! What a body of JSON is made of: the names of its keys and the kinds of what they lead to, without any text.
//!
//! Invariant: no value of a record is kept, and of a large body not more than of a small one.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::limits::{CLUE_DEPTH_MAX, CLUE_KEY_BYTES_MAX, CLUES_MAX};

/// A value as far as it tells how a list is built and paged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clue {
    /// Null, or more than is looked at.
    Nothing,
    Flag(bool),
    /// `None`: no whole number from 0 on.
    Number(Option<u64>),
    Text(TextKind),
    List {
        items: u64,
        /// All of them are objects.
        objects: bool,
    },
    Table(Vec<(String, Clue)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    Empty,
    /// Absolute, or from the root or the query on.
    Url,
    Other,
}

impl Clue {
    /// `None` for what is no JSON.
    pub(super) fn of(json: &[u8]) -> Option<Self> {
        let left = Cell::new(CLUES_MAX);
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        Look { depth: CLUE_DEPTH_MAX, left: &left }.deserialize(&mut deserializer).ok()
    }

    /// What keys lead to.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |clue, key| {
            let Self::Table(entries) = clue else { return None };
            entries.iter().find(|(name, _)| name == key).map(|(_, clue)| clue)
        })
    }

    /// The lists of objects, each as jq spells the path to its items, with their number; the longest first.
    pub(super) fn lists(&self) -> Vec<(String, u64)> {
        let mut lists = Vec::new();
        self.collect_lists("", &mut lists);
        lists.sort_by_key(|(_, items)| std::cmp::Reverse(*items));
        lists
    }

    fn collect_lists(&self, path: &str, lists: &mut Vec<(String, u64)>) {
        match self {
            Self::List { items, objects: true } if *items > 0 => {
                let dot = if path.is_empty() { "." } else { "" };
                lists.push((format!("{dot}{path}[]"), *items));
            }
            Self::Table(entries) => {
                for (key, clue) in entries {
                    clue.collect_lists(&format!("{path}{}", spelled(key)), lists);
                }
            }
            _ => {}
        }
    }
}

/// A path as jq spells it.
pub(super) fn jq_path(path: &str) -> String {
    path.split('/').map(spelled).collect()
}

fn spelled(key: &str) -> String {
    let is_word = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let plain = is_word(key) && !key.starts_with(|c: char| c.is_ascii_digit());
    // What may be a key holds nothing that had to be escaped.
    if plain { format!(".{key}") } else { format!(".\"{key}\"") }
}

/// Is it the name of a key, and no value of a record, such as an address, in its place?
fn is_name(key: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b"_-$".contains(&b);
    let name = key.strip_prefix("@odata.").unwrap_or(key);
    !name.is_empty() && name.len() <= CLUE_KEY_BYTES_MAX && name.bytes().all(word)
}

fn kind(text: &str) -> TextKind {
    let starts = ["https://", "http://", "/", "?"];
    match text {
        "" => TextKind::Empty,
        _ if starts.iter().any(|start| text.starts_with(start)) => TextKind::Url,
        _ => TextKind::Other,
    }
}

#[derive(Clone, Copy)]
struct Look<'a> {
    /// How many more levels are looked into.
    depth: usize,
    /// How many more clues are kept.
    left: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = Clue;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Clue, D::Error> {
        if self.depth == 0 || self.left.get() == 0 {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| Clue::Nothing);
        }
        self.left.set(self.left.get() - 1);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = Clue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Clue, E> {
        Ok(Clue::Nothing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Clue, E> {
        Ok(Clue::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Clue, E> {
        Ok(Clue::Number(Some(number)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Clue, E> {
        Ok(Clue::Number(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Clue, E> {
        Ok(Clue::Number(None))
    }

    fn visit_str<E>(self, text: &str) -> Result<Clue, E> {
        Ok(Clue::Text(kind(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Clue, A::Error> {
        let (mut items, mut objects) = (0, true);
        while let Some(is_object) = list.next_element_seed(IsObject)? {
            items += 1;
            objects &= is_object;
        }
        Ok(Clue::List { items, objects })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Clue, A::Error> {
        let below = Self { depth: self.depth - 1, left: self.left };
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if is_name(&key) {
                entries.push((key, map.next_value_seed(below)?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        // What is beyond the bound would take memory for nothing.
        entries.retain(|(_, clue)| *clue != Clue::Nothing);
        Ok(Clue::Table(entries))
    }
}

/// Passes over a value and tells whether it is an object.
struct IsObject;

impl<'de> DeserializeSeed<'de> for IsObject {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for IsObject {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_to_kinds_and_no_text_is_kept() {
        let json = r#"{"meta": {"next": "https://a.example/?who=ada", "total": 7, "more": true, "none": null, "t": -1},
            "data": {"items": [{"name": "ada"}], "tags": ["ada"]}, "ada@example.org": [{}]}"#;
        let clue = Clue::of(json.as_bytes()).unwrap();
        assert_eq!(clue.at("meta/next"), Some(&Clue::Text(TextKind::Url)));
        assert_eq!(clue.at("meta/total"), Some(&Clue::Number(Some(7))));
        assert_eq!((clue.at("meta/t"), clue.at("meta/none")), (Some(&Clue::Number(None)), None));
        assert_eq!(clue.at("meta/more"), Some(&Clue::Flag(true)));
        assert_eq!(clue.lists(), [(".data.items[]".to_owned(), 1)]);
        assert!(!format!("{clue:?}").contains("ada"), "{clue:?}");
    }

    #[test]
    fn the_whole_body_may_be_the_list_and_odd_keys_are_quoted() {
        let lists = |json: &str| Clue::of(json.as_bytes()).map(|clue| clue.lists());
        assert_eq!(lists("[{}, {}]"), Some(vec![(".[]".to_owned(), 2)]));
        assert_eq!(lists(r#"{"a-b": [{}], "c": [{}, {}]}"#).unwrap()[1].0, ".\"a-b\"[]");
        assert_eq!(lists("[{}, 1]"), Some(vec![]));
        assert_eq!(lists("{"), None);
        assert_eq!(jq_path("@odata.nextLink"), ".\"@odata.nextLink\"");
    }

    #[test]
    fn a_body_of_nothing_but_keys_takes_little() {
        let keys: Vec<String> = (0..100_000).map(|n| format!(r#""k{n}": {n}"#)).collect();
        let Some(Clue::Table(entries)) = Clue::of(format!("{{{}}}", keys.join(",")).as_bytes()) else { panic!() };
        assert!(entries.len() < CLUES_MAX, "{}", entries.len());
    }
}
