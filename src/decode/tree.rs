//! Finding many values of an object in one walk over its text.
//!
//! As for [`super::walk`]: the text must have been checked; on any other the walk still ends and never panics.

use std::collections::BTreeMap;

use super::grammar::unescape;
use super::walk::{Found, skip_text, value_end};

/// Keys longer than this share one list.
const LENGTHS: usize = 32;

/// Paths of keys, merged where they begin alike.
#[derive(Debug)]
pub(crate) struct KeyTree {
    /// In pre-order, the root first: what is below a node follows it.
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    /// After the last node below this one.
    end: usize,
    /// The keys below, ascending by length.
    keys: Vec<Key>,
    /// For each length, where its keys begin in `keys`; those from `LENGTHS - 1` bytes on count as of one length.
    by_length: [u16; LENGTHS + 1],
}

#[derive(Debug)]
struct Key {
    text: Box<str>,
    mark: Mark,
    node: usize,
}

/// A key's beginning and end: of keys of equal length up to [`MARKED`], equal exactly for equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark(u64, u64);

/// Bytes of a key that its mark holds.
const MARKED: usize = 16;

impl Mark {
    fn of(key: &[u8]) -> Self {
        if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) {
            return Self(u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        }
        if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk::<4>()) {
            return Self(u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
        }
        match key {
            [] => Self(0, 0),
            [first, .., last] => Self((*first).into(), u64::from(*last) << 8 | u64::from(key[key.len() / 2])),
            [only] => Self((*only).into(), 0),
        }
    }
}

/// A tree while it grows.
#[derive(Default)]
struct Branch<'p>(BTreeMap<&'p str, Branch<'p>>);

impl KeyTree {
    pub(crate) fn new<'p>(paths: impl Iterator<Item = &'p [Box<str>]>) -> Self {
        let mut root = Branch::default();
        for path in paths {
            path.iter().fold(&mut root, |branch, key| branch.0.entry(key).or_default());
        }
        let mut tree = Self { nodes: Vec::new() };
        tree.add(&root);
        tree
    }

    fn add(&mut self, branch: &Branch<'_>) {
        let place = self.nodes.len();
        self.nodes.push(Node { end: 0, keys: Vec::new(), by_length: [0; LENGTHS + 1] });
        let mut keys: Vec<Key> = Vec::with_capacity(branch.0.len());
        for (key, below) in &branch.0 {
            keys.push(Key { text: (*key).into(), mark: Mark::of(key.as_bytes()), node: self.nodes.len() });
            self.add(below);
        }
        keys.sort_by_key(|key| key.text.len());
        let node = &mut self.nodes[place];
        for (length, start) in node.by_length.iter_mut().enumerate() {
            let shorter = keys.partition_point(|key| key.text.len().min(LENGTHS - 1) < length);
            // Expressions are too short for more keys.
            *start = u16::try_from(shorter).unwrap_or(u16::MAX);
        }
        node.keys = keys;
        self.nodes[place].end = self.nodes.len();
    }

    /// Where the value at `path`, one of the tree's, stands among what [`Self::find`] finds.
    pub(crate) fn place(&self, path: &[Box<str>]) -> Option<usize> {
        path.iter().try_fold(0, |place, key| self.nodes[place].child(key.as_bytes()))
    }

    /// How many values [`Self::find`] finds.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Finds, in the text of an object, what stands at each path and at each path's beginnings. Of equal keys
    /// the last counts. `found` must be as long as [`Self::len`] says.
    pub(crate) fn find<'a>(&self, text: &'a [u8], found: &mut [Found<'a>]) {
        found.fill(Found::Null);
        let text = text.trim_ascii();
        let mut walk = Walk { tree: self, text, found };
        if text.first() == Some(&b'{') {
            walk.object(0, 1);
        }
        walk.set(0, Found::Value(text));
    }
}

impl Node {
    fn child(&self, key: &[u8]) -> Option<usize> {
        let length = key.len().min(LENGTHS - 1);
        let alike = usize::from(self.by_length[length])..usize::from(self.by_length[length + 1]);
        let alike = self.keys.get(alike)?;
        if alike.is_empty() {
            return None;
        }
        let mark = Mark::of(key);
        let is = |wanted: &&Key| wanted.mark == mark && (key.len() <= MARKED || wanted.text.as_bytes() == key);
        alike.iter().find(is).map(|wanted| wanted.node)
    }
}

struct Walk<'t, 'a, 'f> {
    tree: &'t KeyTree,
    text: &'a [u8],
    found: &'f mut [Found<'a>],
}

impl<'a> Walk<'_, 'a, '_> {
    /// Walks the entries of the object of which `at` is inside; gives the place after its end. Recurses as deep
    /// as the tree.
    fn object(&mut self, place: usize, mut at: usize) -> usize {
        let tree = self.tree;
        let node = &tree.nodes[place];
        loop {
            at = self.token(at);
            if self.text.get(at) != Some(&b'"') {
                return self.text.len().min(at + 1);
            }
            let start = at + 1;
            let (end, escaped) = skip_text(self.text, at);
            let key = self.text.get(start..end - 1).unwrap_or_default();
            let child = if escaped { node.child(&unescape(key)) } else { node.child(key) };
            at = self.token(end);
            at = match child {
                Some(child) => self.value(child, at),
                None => value_end(self.text, at),
            };
        }
    }

    /// Takes the value that begins at `start` for what stands at the node; gives the place after it.
    fn value(&mut self, place: usize, start: usize) -> usize {
        let below = place + 1..self.tree.nodes[place].end;
        if below.is_empty() {
            let end = value_end(self.text, start);
            self.set(place, self.found_in(start, end));
            return end;
        }
        let first = self.text.get(start);
        // Also where an equal key before had something.
        let nothing = if matches!(first, Some(b'{' | b'n')) { Found::Null } else { Found::NoKeys };
        if let Some(below) = self.found.get_mut(below) {
            below.fill(nothing);
        }
        let end = if first == Some(&b'{') { self.object(place, start + 1) } else { value_end(self.text, start) };
        self.set(place, self.found_in(start, end));
        end
    }

    fn found_in(&self, start: usize, end: usize) -> Found<'a> {
        match self.text.get(start..end) {
            Some(value) if value.first() != Some(&b'n') => Found::Value(value),
            _ => Found::Null,
        }
    }

    fn set(&mut self, place: usize, value: Found<'a>) {
        if let Some(found) = self.found.get_mut(place) {
            *found = value;
        }
    }

    /// The next place that holds neither white space nor `,` nor `:`.
    fn token(&self, mut at: usize) -> usize {
        while matches!(self.text.get(at), Some(b',' | b':' | b' ' | b'\n' | b'\r' | b'\t')) {
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::arbitrary::json;
    use super::*;
    use crate::decode::walk::look_up;

    fn path(keys: &[&str]) -> Vec<Box<str>> {
        keys.iter().map(|key| Box::from(*key)).collect()
    }

    /// What the tree finds at each path.
    fn find<'a>(text: &'a str, paths: &[Vec<Box<str>>]) -> Vec<Found<'a>> {
        let tree = KeyTree::new(paths.iter().map(Vec::as_slice));
        let mut found = vec![Found::NoKeys; tree.len()];
        tree.find(text.as_bytes(), &mut found);
        paths.iter().map(|path| found[tree.place(path).unwrap()]).collect()
    }

    #[test]
    fn finds_all_in_one_walk() {
        let text = r#" {"a": 1 , "b" : {"c":"x\"}","d":{ },"e":[{"c":2}]},"n":null, "s":"t", "k\u0065y":true} "#;
        let cases = [
            (&["a"][..], Found::Value(&b"1"[..])),
            (&["b", "c"], Found::Value(br#""x\"}""#)),
            (&["b", "d"], Found::Value(b"{ }")),
            (&["b", "d", "x"], Found::Null),
            (&["b", "e"], Found::Value(br#"[{"c":2}]"#)),
            (&["b", "e", "c"], Found::NoKeys),
            (&["b"], Found::Value(br#"{"c":"x\"}","d":{ },"e":[{"c":2}]}"#)),
            (&["n"], Found::Null),
            (&["n", "x"], Found::Null),
            (&["s", "x", "y"], Found::NoKeys),
            (&["absent"], Found::Null),
            (&["absent", "x"], Found::Null),
            (&["key"], Found::Value(b"true")),
            (&[], Found::Value(text.trim().as_bytes())),
        ];
        let paths: Vec<_> = cases.iter().map(|(keys, _)| path(keys)).collect();
        for (found, (keys, expected)) in find(text, &paths).into_iter().zip(cases) {
            assert_eq!(found, expected, "{keys:?}");
        }
    }

    #[test]
    fn of_equal_keys_the_last_counts_with_all_below_it() {
        let paths = [path(&["a"]), path(&["a", "b"]), path(&["a", "c"])];
        let cases = [
            (r#"{"a":{"b":1},"a":{"c":2}}"#, [Found::Value(&br#"{"c":2}"#[..]), Found::Null, Found::Value(b"2")]),
            (r#"{"a":{"b":1},"a":null}"#, [Found::Null; 3]),
            (r#"{"a":{"b":1},"a":7}"#, [Found::Value(b"7"), Found::NoKeys, Found::NoKeys]),
            (r#"{"a":7,"a":{"b":1}}"#, [Found::Value(br#"{"b":1}"#), Found::Value(b"1"), Found::Null]),
        ];
        for (text, expected) in cases {
            assert_eq!(find(text, &paths), expected, "{text}");
        }
    }

    #[test]
    fn keys_of_every_length_are_told_apart() {
        // The empty one, and of each length some that differ in one byte.
        let differing = |length: usize| {
            (0..length).map(move |place| {
                let mut key = "x".repeat(length);
                key.replace_range(place..=place, "a");
                key
            })
        };
        let keys: Vec<String> = std::iter::once(String::new()).chain((1..50).flat_map(differing)).collect();
        let paths: Vec<_> = keys.iter().map(|key| path(&[key])).collect();
        let entries: Vec<String> = keys.iter().enumerate().map(|(n, key)| format!("\"{key}\":{n}")).collect();
        let text = format!("{{{}}}", entries.join(","));
        for (n, found) in find(&text, &paths).into_iter().enumerate() {
            assert_eq!(found, Found::Value(n.to_string().as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn finds_what_looking_up_each_path_finds(
            text in json(),
            paths in proptest::collection::vec(proptest::collection::vec("[a-c]{1,2}", 1..4), 1..8),
        ) {
            prop_assume!(text.starts_with('{'));
            let paths: Vec<Vec<Box<str>>> =
                paths.iter().map(|path| path.iter().map(|key| Box::from(key.as_str())).collect()).collect();
            for (found, path) in find(&text, &paths).into_iter().zip(&paths) {
                prop_assert_eq!(found, look_up(text.as_bytes(), path), "{:?} in {}", path, text);
            }
        }

        #[test]
        fn unchecked_text_is_walked_to_an_end(text in "[{}\\[\\]\",:a\\\\ ]{0,30}") {
            find(&format!("{{{text}"), &[path(&["a"]), path(&["a", "a"]), path(&[""])]);
        }
    }
}
