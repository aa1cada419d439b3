//! jaq's filters on single values, where their answer is plain. `None` leaves it to jaq.

use std::borrow::Cow;

use super::number;
use super::piece::{Kind, Piece};
use crate::decode::elements;

/// A filter without arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Not,
    Length,
    ToString,
    ToNumber,
    Type,
    Is(Kind),
    AsciiDowncase,
    AsciiUpcase,
    Trim,
    TrimStart,
    TrimEnd,
}

impl Filter {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "not" => Self::Not,
            "length" => Self::Length,
            "tostring" => Self::ToString,
            "tonumber" => Self::ToNumber,
            "type" => Self::Type,
            "isboolean" => Self::Is(Kind::Bool),
            "isnumber" => Self::Is(Kind::Number),
            "isstring" => Self::Is(Kind::Text),
            "isarray" => Self::Is(Kind::List),
            "isobject" => Self::Is(Kind::Object),
            "ascii_downcase" => Self::AsciiDowncase,
            "ascii_upcase" => Self::AsciiUpcase,
            "trim" => Self::Trim,
            "ltrim" => Self::TrimStart,
            "rtrim" => Self::TrimEnd,
            _ => return None,
        })
    }

    pub(super) fn apply<'a>(self, input: &Piece<'a>) -> Option<Piece<'a>> {
        let bytes = |change: fn(&[u8]) -> Vec<u8>| match input {
            Piece::Text(text) => Some(Piece::Text(Cow::Owned(change(text)))),
            _ => None,
        };
        match self {
            Self::Not => Some(Piece::Bool(!input.is_true())),
            Self::Length => length(input),
            Self::ToString => to_string(input),
            Self::ToNumber => to_number(input),
            Self::Type => Some(Piece::text(input.kind().name())),
            Self::Is(kind) => Some(Piece::Bool(input.kind() == kind)),
            Self::AsciiDowncase => bytes(<[u8]>::to_ascii_lowercase),
            Self::AsciiUpcase => bytes(<[u8]>::to_ascii_uppercase),
            Self::Trim => trimmed(input, str::trim),
            Self::TrimStart => trimmed(input, str::trim_start),
            Self::TrimEnd => trimmed(input, str::trim_end),
        }
    }
}

fn length<'a>(input: &Piece<'a>) -> Option<Piece<'a>> {
    let length = match input {
        Piece::Null => 0,
        Piece::Text(text) => std::str::from_utf8(text).ok()?.chars().count(),
        Piece::RawList(json) => elements(json).count(),
        Piece::List(items) => items.len(),
        _ => return None,
    };
    Some(Piece::Number(Cow::Owned(length.to_string())))
}

/// Lists and objects are left to jaq, which writes them as JSON in its own way.
pub(super) fn to_string<'a>(input: &Piece<'a>) -> Option<Piece<'a>> {
    Some(match input {
        Piece::Null => Piece::text("null"),
        Piece::Bool(true) => Piece::text("true"),
        Piece::Bool(false) => Piece::text("false"),
        Piece::Number(Cow::Borrowed(spelled)) => Piece::text(spelled),
        Piece::Number(Cow::Owned(spelled)) => Piece::Text(Cow::Owned(spelled.clone().into_bytes())),
        Piece::Text(_) => input.clone(),
        _ => return None,
    })
}

fn to_number<'a>(input: &Piece<'a>) -> Option<Piece<'a>> {
    match input {
        Piece::Number(_) => Some(input.clone()),
        Piece::Text(Cow::Borrowed(text)) => number::from_text(text).map(Piece::Number),
        Piece::Text(Cow::Owned(text)) => {
            number::from_text(text).map(|spelled| Piece::Number(Cow::Owned(spelled.into_owned())))
        }
        _ => None,
    }
}

fn trimmed<'a>(input: &Piece<'a>, trim: fn(&str) -> &str) -> Option<Piece<'a>> {
    let Piece::Text(text) = input else { return None };
    cut(text, |text| std::str::from_utf8(text).ok().map(|text| trim(text).as_bytes()))
}

/// A part of a text, borrowed where the text is.
fn cut<'a>(text: &Cow<'a, [u8]>, part: impl for<'t> Fn(&'t [u8]) -> Option<&'t [u8]>) -> Option<Piece<'a>> {
    Some(Piece::Text(match text {
        Cow::Borrowed(text) => Cow::Borrowed(part(text)?),
        Cow::Owned(text) => Cow::Owned(part(text)?.to_vec()),
    }))
}

/// A filter whose argument is a text, or for `contains` a list of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WithText {
    StartsWith,
    EndsWith,
    TrimStart,
    TrimEnd,
    Split,
    Join,
    Contains,
}

impl WithText {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "startswith" => Self::StartsWith,
            "endswith" => Self::EndsWith,
            "ltrimstr" => Self::TrimStart,
            "rtrimstr" => Self::TrimEnd,
            "split" => Self::Split,
            "join" => Self::Join,
            "contains" => Self::Contains,
            _ => return None,
        })
    }

    pub(super) fn apply<'a>(self, input: &Piece<'a>, argument: &Piece<'a>) -> Option<Piece<'a>> {
        if self == Self::Contains {
            return contains(input, argument).map(Piece::Bool);
        }
        let Piece::Text(argument) = argument else { return None };
        if self == Self::Join {
            return join(input, argument);
        }
        let Piece::Text(text) = input else { return None };
        match self {
            Self::StartsWith => Some(Piece::Bool(text.starts_with(argument))),
            Self::EndsWith => Some(Piece::Bool(text.ends_with(argument))),
            Self::TrimStart => cut(text, |text| Some(text.strip_prefix(&**argument).unwrap_or(text))),
            Self::TrimEnd => cut(text, |text| Some(text.strip_suffix(&**argument).unwrap_or(text))),
            Self::Split => split(text, argument),
            Self::Join | Self::Contains => None,
        }
    }

    /// How often its input may be weighed by jaq beside once.
    pub(super) fn weight(self, input: &Piece<'_>) -> usize {
        // jaq joins item by item, weighing the text so far for each.
        if self == Self::Join { input.size() } else { 1 }
    }
}

fn split<'a>(text: &Cow<'a, [u8]>, separator: &[u8]) -> Option<Piece<'a>> {
    fn parts<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
        match (text, separator) {
            ("", _) => Vec::new(),
            (text, "") => text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]).collect(),
            (text, separator) => text.split(separator).collect(),
        }
    }
    let separator = std::str::from_utf8(separator).ok()?;
    let items = match text {
        Cow::Borrowed(text) => parts(std::str::from_utf8(text).ok()?, separator).into_iter().map(Piece::text).collect(),
        Cow::Owned(text) => {
            let owned = |part: &str| Piece::Text(Cow::Owned(part.as_bytes().to_vec()));
            parts(std::str::from_utf8(text).ok()?, separator).into_iter().map(owned).collect()
        }
    };
    Some(Piece::List(items))
}

/// jaq's `join` spells null as a text, too.
fn join<'a>(input: &Piece<'a>, separator: &[u8]) -> Option<Piece<'a>> {
    let mut joined: Option<Vec<u8>> = None;
    let items = input.try_items(|item| {
        let Some(Piece::Text(text)) = to_string(item) else { return Err(()) };
        match &mut joined {
            Some(joined) => {
                joined.extend_from_slice(separator);
                joined.extend_from_slice(&text);
            }
            first => *first = Some(text.into_owned()),
        }
        Ok(())
    });
    items?.ok()?;
    Some(Piece::Text(Cow::Owned(joined.unwrap_or_default())))
}

/// A text in a text, or each text of a list in some text of another.
fn contains(input: &Piece<'_>, wanted: &Piece<'_>) -> Option<bool> {
    if let (Piece::Text(text), Piece::Text(wanted)) = (input, wanted) {
        return Some(holds(text, wanted));
    }
    let (mut texts, mut all) = (Vec::new(), true);
    let text = |item: &Piece<'_>| if let Piece::Text(text) = item { Ok(text.clone().into_owned()) } else { Err(()) };
    input.try_items(|item| text(item).map(|text| texts.push(text)))?.ok()?;
    let found = wanted.try_items(|wanted| {
        let wanted = text(wanted)?;
        all = all && texts.iter().any(|text| holds(text, &wanted));
        Ok::<(), ()>(())
    });
    found?.ok()?;
    Some(all)
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}
