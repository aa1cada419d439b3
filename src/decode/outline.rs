//! Where in a page things stand: noted while it is checked, so that its bytes are gone through once.
//!
//! Noted are the values that keys alone lead to, and the items of the lists among them where all are objects,
//! as records are. What is not noted, because it lies in such an item or because there is too much of it, is
//! found by walking as if there were no outline.

use std::ops::Range;

use super::error::{Fault, What};
use super::grammar::{Check, Reader, Text, unescaped};
use super::walk::{self, Found};
use crate::limits::JSON_DEPTH_MAX;

/// Further keys of a page are not noted. Each takes memory, and a page of nothing but keys must not take much.
const KEYS_MAX: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Outline {
    /// In the order of the page: an object's entries follow it, each with what lies in it.
    entries: Vec<Entry>,
    items: Vec<Range<usize>>,
}

#[derive(Debug)]
struct Entry {
    /// Without the quotes; empty for the page itself.
    key: Range<usize>,
    value: Range<usize>,
    inside: Inside,
}

/// What is noted of a value's inside.
#[derive(Debug, Clone)]
enum Inside {
    Nothing,
    /// All its entries, which end before this one.
    Entries(usize),
    /// All its items.
    Items(Range<usize>),
}

impl Outline {
    /// Checks a page, which must be UTF-8, and notes where things stand.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes);
        let mut outline = Self::default();
        outline.value(&mut reader, 0..0, JSON_DEPTH_MAX)?;
        reader.end()?;
        Ok(outline)
    }

    /// That of a page which is a list of `bytes` bytes and was made with these items.
    pub(super) fn of_list(bytes: usize, items: Vec<Range<usize>>) -> Self {
        let inside = Inside::Items(0..items.len());
        Self { entries: vec![Entry { key: 0..0, value: 0..bytes, inside }], items }
    }

    /// `depth` is how many more levels may be opened.
    fn value(&mut self, reader: &mut Reader<'_>, key: Range<usize>, depth: usize) -> Result<(), Fault> {
        if self.entries.len() >= KEYS_MAX {
            return reader.value(&Check, depth);
        }
        let first = reader.next_token();
        let (place, start) = (self.entries.len(), reader.at());
        self.entries.push(Entry { key, value: start..start, inside: Inside::Nothing });
        let inside = match first {
            Some(b'{') => self.object(reader, depth)?,
            Some(b'[') => self.list(reader, depth)?,
            _ => {
                reader.value(&Check, depth)?;
                Inside::Nothing
            }
        };
        let entry = &mut self.entries[place];
        (entry.value.end, entry.inside) = (reader.at(), inside);
        Ok(())
    }

    fn object(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Inside, Fault> {
        let depth = reader.open(depth)?;
        if !reader.is_empty(b'}') {
            loop {
                let Text { raw, start, .. } = reader.key()?;
                self.value(reader, start..start + raw.len(), depth)?;
                if !reader.another(b'}', What::NoObjectEnd)? {
                    break;
                }
            }
        }
        let complete = self.entries.len() < KEYS_MAX;
        Ok(if complete { Inside::Entries(self.entries.len()) } else { Inside::Nothing })
    }

    fn list(&mut self, reader: &mut Reader<'_>, depth: usize) -> Result<Inside, Fault> {
        let depth = reader.open(depth)?;
        let from = self.items.len();
        let mut records = true;
        if !reader.is_empty(b']') {
            loop {
                records = records && reader.next_token() == Some(b'{');
                let start = reader.at();
                reader.value(&Check, depth)?;
                if records {
                    self.items.push(start..reader.at());
                }
                if !reader.another(b']', What::NoArrayEnd)? {
                    break;
                }
            }
        }
        if !records {
            self.items.truncate(from);
            return Ok(Inside::Nothing);
        }
        Ok(Inside::Items(from..self.items.len()))
    }

    /// The value at `path`, as [`walk::look_up`] finds it in `page`, of which this must be the outline.
    pub(super) fn look_up<'a>(&self, page: &'a [u8], path: &[Box<str>]) -> Found<'a> {
        let Some((entry, rest)) = self.lead(page, path) else { return Found::Null };
        page.get(entry.value.clone()).map_or(Found::Null, |value| walk::look_up(value, rest))
    }

    /// The items of the list at `path`, if they are noted.
    pub(super) fn items(&self, page: &[u8], path: &[Box<str>]) -> Option<&[Range<usize>]> {
        match self.lead(page, path)? {
            (Entry { inside: Inside::Items(items), .. }, []) => self.items.get(items.clone()),
            _ => None,
        }
    }

    /// As far as it leads: the entry, and what of the path is left. `None` where nothing is at the path.
    fn lead<'p>(&self, page: &[u8], path: &'p [Box<str>]) -> Option<(&Entry, &'p [Box<str>])> {
        let (mut place, mut rest) = (0, path);
        loop {
            let entry = self.entries.get(place)?;
            match (rest.split_first(), &entry.inside) {
                (Some((key, below)), Inside::Entries(end)) => {
                    (place, rest) = (self.child(page, place + 1..*end, key)?, below);
                }
                _ => return Some((entry, rest)),
            }
        }
    }

    /// The last of an object's entries with this key.
    fn child(&self, page: &[u8], entries: Range<usize>, key: &str) -> Option<usize> {
        let mut last = None;
        let mut at = entries.start;
        while at < entries.end {
            let entry = self.entries.get(at)?;
            if *unescaped(page.get(entry.key.clone())?) == *key.as_bytes() {
                last = Some(at);
            }
            at = if let Inside::Entries(end) = entry.inside { end } else { at + 1 };
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary::json;
    use super::*;
    use crate::decode::walk::elements;

    fn path(keys: &[&str]) -> Vec<Box<str>> {
        keys.iter().map(|key| Box::from(*key)).collect()
    }

    fn items(text: &str, keys: &[&str]) -> Option<Vec<String>> {
        let outline = Outline::read(text.as_bytes()).unwrap();
        let items = outline.items(text.as_bytes(), &path(keys))?;
        Some(items.iter().map(|item| text[item.clone()].to_owned()).collect())
    }

    #[test]
    fn notes_the_items_of_lists_of_objects() {
        let text = r#" { "meta":{"next":null, "l":[{"x":"]"}]}, "d\u0061ta" : [ {"a":[{}]} , {} ],"n":[1],"mix":[{},2],"e":[ ] } "#;
        let some = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
        for (keys, expected) in [
            (&["data"][..], some(&[r#"{"a":[{}]}"#, "{}"])),
            (&["meta", "l"], some(&[r#"{"x":"]"}"#])),
            (&["e"], some(&[])),
            (&["n"], None),
            (&["mix"], None),
            (&["meta"], None),
            (&["absent"], None),
            (&["data", "a"], None),
        ] {
            assert_eq!(items(text, keys), expected, "{keys:?}");
        }
        assert_eq!(items(" [{}, {}] ", &[]), some(&["{}", "{}"]));
        assert_eq!(items(r#"{"a":[{"x":1}],"a":[{"x":2}]}"#, &["a"]), some(&[r#"{"x":2}"#]), "the last counts");
    }

    #[test]
    fn many_keys_are_left_to_walking() {
        let entries =
            |count: usize| (0..count).map(|n| format!("\"k{n}\":{{\"v\":{n}}}")).collect::<Vec<_>>().join(",");
        for count in [2, KEYS_MAX / 2 - 1, KEYS_MAX / 2, KEYS_MAX, 2 * KEYS_MAX] {
            let text = format!("{{\"o\":{{{}}},\"list\":[{{}}]}}", entries(count));
            let outline = Outline::read(text.as_bytes()).unwrap();
            assert!(outline.entries.len() <= KEYS_MAX);
            for n in [0, count / 2, count - 1] {
                let found = outline.look_up(text.as_bytes(), &path(&["o", &format!("k{n}"), "v"]));
                assert_eq!(found, Found::Value(n.to_string().as_bytes()), "{n} of {count}");
            }
            assert_eq!(outline.look_up(text.as_bytes(), &path(&["list"])), Found::Value(b"[{}]"));
            assert_eq!(outline.look_up(text.as_bytes(), &path(&["o", "absent"])), Found::Null);
        }
    }

    proptest! {
        #[test]
        fn finds_what_walking_finds(text in json(), keys in proptest::collection::vec("[a-c]", 0..4)) {
            let keys: Vec<Box<str>> = keys.into_iter().map(Into::into).collect();
            let outline = Outline::read(text.as_bytes()).unwrap();
            let walked = walk::look_up(text.as_bytes(), &keys);
            prop_assert_eq!(outline.look_up(text.as_bytes(), &keys), walked);
            if let Some(items) = outline.items(text.as_bytes(), &keys) {
                let items: Vec<_> = items.iter().map(|item| &text.as_bytes()[item.clone()]).collect();
                let Found::Value(list) = walked else { panic!("items without a list") };
                prop_assert_eq!(items, elements(list).collect::<Vec<_>>());
            }
        }

        /// The outline checks as the grammar does, fault for fault.
        #[test]
        fn finds_the_faults_of_the_grammar(text in r#"[\[\]{},:"\\utrefalsn0-9.eE+\- ]{0,14}"#, inside: bool) {
            let text = if inside { format!("{{\"a\":[{text}") } else { text };
            let plain = super::super::grammar::read(text.as_bytes(), &Check);
            prop_assert_eq!(Outline::read(text.as_bytes()).map(drop), plain);
        }
    }
}
