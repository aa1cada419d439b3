//! A value of the file, read as what it must be.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::{DeInteger, DeValue};

use super::section::named_items;
use super::{Findings, Place, Section};
use crate::config::suggest::nearest;
use crate::config::units::{parse_duration, parse_size, spell_duration, spell_size};

/// Longest value shown in a fault.
const SHOWN_CHARS_MAX: usize = 60;

/// A value and its place. Reading it as something it is not leaves a fault and gives `None`.
#[derive(Clone)]
pub(in crate::config) struct Item<'t> {
    value: &'t DeValue<'t>,
    place: Place,
    findings: &'t Findings,
}

/// A value of any kind, opened.
pub(in crate::config) enum Children<'t> {
    Text(String),
    Bool(bool),
    /// `None`: beyond 64 bits.
    Integer(Option<serde_json::Number>),
    /// `None`: not a finite number.
    Float(Option<serde_json::Number>),
    List(Vec<Item<'t>>),
    Table(Vec<(&'t str, Item<'t>)>),
}

impl<'t> Item<'t> {
    pub(super) fn new(value: &'t DeValue<'t>, place: Place, findings: &'t Findings) -> Self {
        Self { value, place, findings }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    pub fn fault(&self, problem: impl Into<String>, mend: impl Into<String>) {
        self.findings.fault(&self.place, problem, mend);
    }

    pub fn fault_with_detail(&self, problem: &str, mend: &str, detail: &str) {
        self.findings.fault_with_detail(&self.place, problem, mend, detail);
    }

    fn wrong_type(&self, wanted: &str, mend: &str) {
        self.fault(format!("must be {wanted} (got {})", self.type_name()), mend);
    }

    fn type_name(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    pub fn is_text(&self) -> bool {
        matches!(self.value, DeValue::String(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.value, DeValue::Array(_))
    }

    /// A text, perhaps an empty one.
    pub fn any_text(&self) -> Option<&'t str> {
        let DeValue::String(text) = self.value else {
            self.wrong_type("a text", "put it in quotes");
            return None;
        };
        Some(text)
    }

    /// A text with something in it.
    pub fn text(&self) -> Option<&'t str> {
        let text = self.any_text()?;
        if text.trim().is_empty() {
            self.fault("must not be empty", "write a value or leave the key out");
            return None;
        }
        Some(text)
    }

    /// A text, whether it was written as a text, a whole number or a boolean.
    pub fn spelled(&self) -> Option<String> {
        match self.value {
            DeValue::Boolean(bool) => Some(bool.to_string()),
            DeValue::Integer(number) => Some(integer(number)?.to_string()),
            _ => self.any_text().map(ToOwned::to_owned),
        }
    }

    /// A time as RFC 3339 text, whether it was written as a TOML time or as a text.
    pub fn time_text(&self) -> Option<String> {
        match self.value {
            DeValue::Datetime(time) => Some(time.to_string()),
            _ => self.text().map(ToOwned::to_owned),
        }
    }

    pub fn boolean(&self) -> Option<bool> {
        let DeValue::Boolean(bool) = self.value else {
            self.wrong_type("true or false", "write true or false, without quotes");
            return None;
        };
        Some(*bool)
    }

    /// A whole number within bounds.
    pub fn integer<T>(&self, range: RangeInclusive<T>) -> Option<T>
    where
        T: Copy + Display + Into<i128> + TryFrom<i128> + PartialOrd,
    {
        let mend = format!("write a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(number) = self.value else {
            self.wrong_type("a whole number", &mend);
            return None;
        };
        let value = integer(number);
        let within = value.and_then(|value| T::try_from(value).ok()).filter(|value| range.contains(value));
        if within.is_none() {
            let low = value.is_some_and(|value| value < (*range.start()).into());
            let rule = match ((*range.start()).into(), low) {
                (1, true) => "must be > 0".to_owned(),
                (_, true) => format!("must be at least {}", range.start()),
                (_, false) => format!("must be at most {}", range.end()),
            };
            self.fault(format!("{rule} (got {})", shorten(&number.to_string())), mend);
        }
        within
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, options: &[(&'static str, T)]) -> Option<T> {
        let text = self.text()?;
        let chosen = options.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            let words: Vec<_> = options.iter().map(|(word, _)| format!("{word:?}")).collect();
            let mend = match nearest(text, options.iter().map(|(word, _)| *word)) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("choose one, e.g. {}", words.first().map_or("", String::as_str)),
            };
            self.fault(format!("must be one of {} (got {})", words.join(", "), shown(text)), mend);
        }
        chosen
    }

    /// A duration such as `10s`, within bounds.
    pub fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let example = "write a number with a unit (ms, s, m, h, d), e.g. \"30s\" or \"1h30m\"";
        self.measure("a duration", example, &range, parse_duration, |duration| spell_duration(*duration))
    }

    /// A number of bytes such as `64MiB`, within bounds.
    pub fn size(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let example = "write a number with a unit (B, KB, MB, GB, KiB, MiB, GiB), e.g. \"64MiB\"";
        self.measure("a size", example, &range, parse_size, |size| spell_size(*size))
    }

    fn measure<T: Copy + PartialOrd>(
        &self,
        what: &str,
        example: &str,
        range: &RangeInclusive<T>,
        parse: impl Fn(&str) -> Option<T>,
        spell: impl Fn(&T) -> String,
    ) -> Option<T> {
        let DeValue::String(text) = self.value else {
            self.wrong_type(what, example);
            return None;
        };
        let Some(value) = parse(text) else {
            self.fault(format!("must be {what} (got {})", shown(text)), example);
            return None;
        };
        if !range.contains(&value) {
            let (low, high) = (spell(range.start()), spell(range.end()));
            let problem = format!("must be from {low} to {high} (got {})", shown(text));
            self.fault(problem, "choose a value within these bounds");
            return None;
        }
        Some(value)
    }

    /// The items of a list.
    pub fn list(&self) -> Option<Vec<Item<'t>>> {
        let DeValue::Array(array) = self.value else {
            let key = &self.place.path;
            self.wrong_type("a list", &format!("write it as a list, e.g. [[{key}]] for a list of tables"));
            return None;
        };
        let item = |(n, value): (usize, &'t toml::Spanned<DeValue<'t>>)| {
            let place = self.place.index(n, self.findings.line(value.span().start));
            Item::new(value.get_ref(), place, self.findings)
        };
        Some(array.iter().enumerate().map(item).collect())
    }

    /// A list, or one item that stands for a list of it.
    pub fn list_or_one(&self) -> Vec<Item<'t>> {
        match self.value {
            DeValue::Array(_) => self.list().unwrap_or_default(),
            _ => vec![self.clone()],
        }
    }

    /// A table; a fault and an inert section where it is none.
    pub fn section(self) -> Section<'t> {
        match self.value {
            DeValue::Table(table) => Section::present(table, self.place, self.findings),
            _ => {
                self.wrong_type("a table", "write its keys in braces or under a header in brackets");
                Section::wrong(self.place, self.findings)
            }
        }
    }

    /// A table whose keys are described elsewhere: `pattern` replaces the place's own.
    pub fn section_as(mut self, pattern: &str) -> Section<'t> {
        pattern.clone_into(&mut self.place.pattern);
        self.section()
    }

    /// Whatever it is, without asking for keys.
    pub fn open(&self) -> Children<'t> {
        match self.value {
            DeValue::String(text) => Children::Text(text.to_string()),
            DeValue::Datetime(time) => Children::Text(time.to_string()),
            DeValue::Boolean(bool) => Children::Bool(*bool),
            DeValue::Integer(number) => Children::Integer(integer(number).and_then(serde_json::Number::from_i128)),
            DeValue::Float(number) => {
                Children::Float(number.as_str().parse().ok().and_then(serde_json::Number::from_f64))
            }
            DeValue::Array(_) => Children::List(self.list().unwrap_or_default()),
            DeValue::Table(table) => Children::Table(named_items(table, &self.place, self.findings)),
        }
    }
}

impl Section<'_> {
    /// One of a few words; `default` where the key is absent.
    pub fn choice<T: Copy>(&mut self, key: &'static str, options: &[(&'static str, T)], default: T) -> Option<T> {
        self.accept_words(key, options);
        match self.optional(key) {
            Some(item) => item.choice(options),
            None => Some(default),
        }
    }

    /// One of a few words, for a key that must be there.
    pub fn required_choice<T: Copy>(
        &mut self,
        key: &'static str,
        options: &[(&'static str, T)],
        mend: &str,
    ) -> Option<T> {
        self.accept_words(key, options);
        self.required(key, mend).and_then(|item| item.choice(options))
    }

    /// Makes known which words a key takes, for whoever holds the reference to them.
    pub fn accept_words<T>(&self, key: &str, options: &[(&'static str, T)]) {
        let pattern = self.place().key(key, 0).pattern;
        for (word, _) in options {
            self.findings().accept(format!("{pattern} = {word:?}"));
        }
    }
}

/// `None` beyond 127 bits, which nothing here takes.
fn integer(number: &DeInteger<'_>) -> Option<i128> {
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A value as a fault shows it: quoted, escaped, shortened.
pub(in crate::config) fn shown(text: &str) -> String {
    format!("{:?}", shorten(text))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
