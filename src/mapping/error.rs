//! What can go wrong with an expression: when it is compiled, and when it is evaluated.
//!
//! An [`ExpressionError`] shows the expression, which the operator wrote. The others meet the source's data
//! and hold nothing of it but keys of a page's top level that look like identifiers.

use std::fmt;
use std::ops::Range;

use super::syntax::place_in;
use crate::limits::{JQ_OUTPUT_BYTES_MAX, JQ_OUTPUTS_MAX};

/// An expression that does not compile or is not allowed: the reason, and the place in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    reason: String,
    /// The line of the source with the place in it.
    line: String,
    /// The place in the line, in characters.
    at: usize,
    length: usize,
}

impl ExpressionError {
    /// `place` is a part of `source`; one that is not stands for all of it.
    pub(super) fn new(reason: String, source: &str, place: &str) -> Self {
        let Range { start, end } = place_in(source, place).unwrap_or(0..source.trim_end().len());
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let end = line_end.min(end);
        Self {
            reason,
            line: source[line_start..line_end].replace('\t', " "),
            at: source[line_start..start].chars().count(),
            length: source[start..end].chars().count().max(1),
        }
    }

    /// What is wrong, without the place.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, line, at, length } = self;
        write!(f, "{reason}\n  {line}\n  {:at$}{}", "", "^".repeat(*length))
    }
}

impl std::error::Error for ExpressionError {}

/// Why an evaluation gave no usable value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    CannotIndex,
    CannotIterate,
    WrongKind,
    CannotCalculate,
    CannotParse,
    Error,
    TooMuchWork,
    TooManyOutputs,
    TooManyBytes,
    NotScalar,
    NotJson,
    Internal,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CannotIndex => "a key or index was asked of a value that has none",
            Self::CannotIterate => "`[]` was applied to a value that is neither list nor object",
            Self::WrongKind => "a filter was applied to a value of the wrong kind",
            Self::CannotCalculate => "a calculation with values of the wrong kind",
            Self::CannotParse => "a text could not be parsed",
            Self::Error => "jq reported an error",
            Self::TooMuchWork => "it takes too much work on this value, or nests too deeply",
            Self::TooManyOutputs => return write!(f, "more than {JQ_OUTPUTS_MAX} outputs"),
            Self::TooManyBytes => return write!(f, "more than {JQ_OUTPUT_BYTES_MAX} bytes of output"),
            Self::NotScalar => "a list or object where a single value is needed",
            Self::NotJson => "an object with a key that is no text",
            Self::Internal => "an internal error of the jq engine",
        })
    }
}

/// An expression that failed on a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the expression `{expression}` failed: {failure}")]
pub struct EvaluationError {
    expression: String,
    failure: Failure,
}

impl EvaluationError {
    pub(super) fn new(source: &str, failure: Failure) -> Self {
        Self { expression: abbreviated(source), failure }
    }

    /// What the operator may do about it.
    pub const fn hint(&self) -> &'static str {
        match self.failure {
            Failure::TooMuchWork | Failure::TooManyOutputs | Failure::TooManyBytes => {
                "simplify the expression, or ask the source for smaller pages"
            }
            Failure::Internal => "this is a bug of Rollcall; please report the expression",
            _ => "try the expression with curl and jq on the source's answer",
        }
    }
}

/// A page in which `select` finds no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A list was promised, something else is there.
    #[error("`{expression}` found no list: {what}{keys}")]
    NoList { expression: String, what: String, keys: TopLevelKeys },
    #[error(transparent)]
    Failed(#[from] EvaluationError),
    #[error("`{expression}` made more than {} MiB of records from one page", crate::limits::PAGE_BYTES_MAX >> 20)]
    TooLarge { expression: String },
}

impl SelectError {
    /// What the operator may do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoList { .. } => {
                "compare `select` with the source's answer; a success that carries an error message looks like this"
            }
            Self::Failed(error) => error.hint(),
            Self::TooLarge { .. } => "keep less of the parent in each record, or ask the source for smaller pages",
        }
    }
}

/// The keys at the top of a body that look like identifiers: an aid to see what the source answered instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopLevelKeys(pub(super) Vec<String>);

impl TopLevelKeys {
    const SHOWN_MAX: usize = 12;
    const KEY_BYTES_MAX: usize = 40;

    /// Any other key could be a person's name or address.
    pub(super) fn of<K: AsRef<[u8]>>(keys: impl Iterator<Item = K>) -> Self {
        let letter = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-');
        let shown = keys.filter_map(|key| {
            let key = key.as_ref();
            let plain = (1..=Self::KEY_BYTES_MAX).contains(&key.len()) && key.iter().all(letter);
            plain.then(|| String::from_utf8_lossy(key).into_owned())
        });
        Self(shown.take(Self::SHOWN_MAX).collect())
    }
}

impl fmt::Display for TopLevelKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " (the body's top-level keys: {})", self.0.join(", ")) }
    }
}

/// The source in one line of bounded length.
pub(super) fn abbreviated(source: &str) -> String {
    const CHARACTERS_MAX: usize = 120;
    let mut line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(CHARACTERS_MAX) {
        line.truncate(cut);
        line.push('…');
    }
    line
}
