//! An expression in native form.

use jaq_core::load::parse::Term;
use jaq_core::ops::Cmp;

use super::filters::{Filter, WithText};
use super::piece::Kind;
use super::translate::Translator;

/// A path of keys from the record.
pub(in crate::mapping) type KeyPath = Box<[Box<str>]>;

/// An expression's native form: a tree over the values at its paths.
pub(in crate::mapping) struct Native {
    pub(super) root: Node,
    paths: Vec<KeyPath>,
}

impl Native {
    /// The native form, where there is one.
    pub(in crate::mapping) fn of(term: &Term<&str>) -> Option<Self> {
        let mut translator = Translator::default();
        let root = translator.term(term, true)?;
        Some(Self { root, paths: translator.paths })
    }

    /// What it reads of the record. [`Input::found`](super::Input) must hold them.
    pub(in crate::mapping) fn paths(&self) -> &[KeyPath] {
        &self.paths
    }
}

/// A filter: from one value to any number of values. What is named as in jq means what it means there.
pub(super) enum Node {
    /// `.`
    Input,
    /// The value at a path of the record, by its place among [`Native::paths`].
    Found {
        path: usize,
        or_nothing: bool,
    },
    Constant(Constant),
    Empty,
    Step(Box<Node>, Step, bool),
    Pipe(Box<Node>, Box<Node>),
    Comma(Box<Node>, Box<Node>),
    /// `//`
    Alternative(Box<Node>, Box<Node>),
    /// `or` where the word is true, else `and`: the truth of the left side that needs no right side.
    Logic(Box<Node>, bool, Box<Node>),
    Compare(Box<Node>, Cmp, Box<Node>),
    Add(Box<Node>, Box<Node>),
    If(Box<Node>, Box<Node>, Box<Node>),
    /// `[…]`
    Collect(Box<Node>),
    /// `"… \(…) …"`
    Interpolate(Vec<Node>),
    /// `first(…)`
    First(Box<Node>),
    /// `any(…)` where the word is true, else `all(…)`.
    Any(bool, Box<Node>),
    /// `strings`, `values` and their like: passes on the kinds between two, these included.
    Kinds(Kind, Kind),
    Apply(Filter),
    ApplyWith(WithText, Box<Node>),
}

pub(super) enum Constant {
    Null,
    Bool(bool),
    Integer(Box<str>),
    Text(Box<str>),
}

/// One part of a path.
pub(super) enum Step {
    Key(Box<str>),
    /// From the start, or with `true` from the end, where 1 is the last.
    Nth(usize, bool),
    /// `[]`
    Each,
}
