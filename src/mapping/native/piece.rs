//! A value that an expression gave, borrowed from the record wherever that is possible.

use std::borrow::Cow;

use jaq_json::Val;

use super::number;
use crate::decode::{Found, elements, spell_number, unescaped};

/// A value. Texts are bytes, for jaq's may be invalid UTF-8.
#[derive(Clone)]
pub(in crate::mapping) enum Piece<'a> {
    Null,
    Bool(bool),
    /// As jaq would write it.
    Number(Cow<'a, str>),
    /// NaN or an infinity, which only jaq makes.
    NotFinite,
    Text(Cow<'a, [u8]>),
    /// A list as it stands in the record.
    RawList(&'a [u8]),
    List(Vec<Piece<'a>>),
    /// An object as it stands in the record.
    RawObject(&'a [u8]),
    /// An object or bytes that jaq made: nothing reads them.
    Opaque,
}

/// The kinds of JSON values, in jq's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

impl Kind {
    /// jq's name for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "boolean",
            Self::Number => "number",
            Self::Text => "string",
            Self::List => "array",
            Self::Object => "object",
        }
    }
}

impl<'a> Piece<'a> {
    #[inline]
    pub(super) fn found(found: Found<'a>) -> Option<Self> {
        match found {
            Found::Value(json) => Some(Self::of(json)),
            Found::Null => Some(Self::Null),
            Found::NoKeys => None,
        }
    }

    /// The value of a checked JSON text without white space around it.
    #[inline]
    pub(in crate::mapping) fn of(json: &'a [u8]) -> Self {
        match json {
            [b'"', text @ .., b'"'] => Self::Text(unescaped(text)),
            [b'[', ..] => Self::RawList(json),
            [b'{', ..] => Self::RawObject(json),
            [b't', ..] => Self::Bool(true),
            [b'f', ..] => Self::Bool(false),
            [b'n', ..] => Self::Null,
            number => Self::Number(number::spelled(number)),
        }
    }

    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text.as_bytes()))
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Null => Kind::Null,
            Self::Bool(_) => Kind::Bool,
            Self::Number(_) | Self::NotFinite => Kind::Number,
            Self::Text(_) => Kind::Text,
            Self::RawList(_) | Self::List(_) => Kind::List,
            Self::RawObject(_) | Self::Opaque => Kind::Object,
        }
    }

    /// jq's truth.
    pub(in crate::mapping) fn is_true(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(false))
    }

    /// At least the number of bytes that its text and that of all it holds take in memory.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::NotFinite | Self::Opaque => 1,
            Self::Number(spelled) => spelled.len(),
            Self::Text(text) => 1 + text.len(),
            Self::RawList(json) | Self::RawObject(json) => json.len(),
            Self::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
        }
    }

    /// The items of a list, until `each` fails; `None` if it is none.
    pub(in crate::mapping) fn try_items<E>(
        &self,
        mut each: impl FnMut(&Piece<'a>) -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        match self {
            Self::RawList(json) => Some(elements(json).map(Piece::of).try_for_each(|item| each(&item))),
            Self::List(items) => Some(items.iter().try_for_each(each)),
            _ => None,
        }
    }
}

/// A value of jaq's, to be read like any other.
impl<'a> From<&'a Val> for Piece<'a> {
    fn from(value: &'a Val) -> Self {
        match value {
            Val::Null => Self::Null,
            Val::Bool(value) => Self::Bool(*value),
            Val::Num(number) => spell_number(number).map_or(Self::NotFinite, |spelled| Self::Number(spelled.into())),
            Val::TStr(text) => Self::Text(Cow::Borrowed(text)),
            Val::Arr(items) => Self::List(items.iter().map(Self::from).collect()),
            Val::Obj(_) | Val::BStr(_) => Self::Opaque,
        }
    }
}
