//! A table of the file with a preset's table under it.

use toml::de::{DeString, DeTable, DeValue};

use super::{Findings, Item, Place};

/// What a table says: the operator's keys, and for the others a preset's.
#[derive(Clone, Copy)]
pub(super) struct Layers<'t> {
    upper: &'t DeTable<'t>,
    under: Option<Under<'t>>,
}

/// A preset's table.
#[derive(Clone, Copy)]
pub(super) struct Under<'t> {
    pub table: &'t DeTable<'t>,
    pub preset: &'static str,
    /// Where the operator named the preset.
    pub line: usize,
}

impl<'t> Layers<'t> {
    pub fn one(table: &'t DeTable<'t>) -> Self {
        Self::of(table, None)
    }

    pub fn of(upper: &'t DeTable<'t>, under: Option<Under<'t>>) -> Self {
        Self { upper, under }
    }

    /// Without the preset's.
    pub fn own(self) -> Self {
        Self { under: None, ..self }
    }

    pub fn over(self, under: Under<'t>) -> Self {
        Self { under: Some(under), ..self }
    }

    pub fn preset(self) -> Option<&'static str> {
        self.under.map(|under| under.preset)
    }

    /// The value of a key; of two tables both, of any other two the operator's.
    pub fn item(self, key: &str, place: &Place, findings: &'t Findings) -> Option<Item<'t>> {
        if let Some((spanned, value)) = self.upper.get_key_value(key) {
            let place = place.key(key, findings.line_below(place, spanned.span().start));
            return Some(Item::new(value.get_ref(), place, findings).over(self.under_table(key)));
        }
        let under = self.under?;
        let value = under.table.get(key)?;
        Some(Item::new(value.get_ref(), place.key(key, under.line).by_preset(under.preset), findings))
    }

    fn under_table(self, key: &str) -> Option<Under<'t>> {
        let under = self.under?;
        match under.table.get(key)?.get_ref() {
            DeValue::Table(table) => Some(Under { table, ..under }),
            _ => None,
        }
    }

    /// Every key, the operator's first, each layer in the order of its text (the parser keeps them by name).
    pub fn named(self, place: &Place, findings: &'t Findings) -> Vec<(&'t str, Item<'t>)> {
        let own = in_order(self.upper).into_iter().map(|(key, offset, value)| {
            let place = place.named(key, findings.line_below(place, offset));
            (key, Item::new(value, place, findings).over(self.under_table(key)))
        });
        let beneath = self.under.into_iter().flat_map(|under| {
            let absent = in_order(under.table).into_iter().filter(|(key, ..)| !self.upper.contains_key(*key));
            absent.map(move |(key, _, value)| {
                let place = place.named(key, under.line).by_preset(under.preset);
                (key, Item::new(value, place, findings))
            })
        });
        own.chain(beneath).collect()
    }

    /// The preset's values that the operator has not replaced, with their keys.
    pub fn filled(self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if let Some(under) = self.under {
            fill(under.table, Some(self.upper), "", &mut found);
        }
        found
    }
}

/// The recursion is bounded by the TOML parser's own bound on nesting.
fn fill(preset: &DeTable<'_>, own: Option<&DeTable<'_>>, prefix: &str, found: &mut Vec<(String, String)>) {
    for (key, _, value) in in_order(preset) {
        let own = own.and_then(|own| own.get(key)).map(|own| own.get_ref());
        let path = format!("{prefix}{}", spelled_key(key));
        match (value, own) {
            (DeValue::Table(table), None) => fill(table, None, &format!("{path}."), found),
            (DeValue::Table(table), Some(DeValue::Table(own))) => fill(table, Some(own), &format!("{path}."), found),
            (value, None) => found.push((path, spelled(value))),
            (_, Some(_)) => {}
        }
    }
}

fn in_order<'t>(table: &'t DeTable<'t>) -> Vec<(&'t str, usize, &'t DeValue<'t>)> {
    let entry = |(key, value): (&'t toml::Spanned<DeString<'t>>, &'t toml::Spanned<DeValue<'t>>)| {
        let name: &'t str = key.get_ref();
        (name, key.span().start, value.get_ref())
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|(_, offset, _)| *offset);
    entries
}

/// A key as TOML writes it.
fn spelled_key(key: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !key.is_empty() && key.bytes().all(bare) { key.to_owned() } else { spelled_text(key) }
}

/// A value as TOML writes it, on one line.
fn spelled(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => spelled_text(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(bool) => bool.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| spelled(item.get_ref())).collect();
            format!("[{}]", items.join(", "))
        }
        DeValue::Table(table) => {
            let entry = |(key, _, value)| format!("{} = {}", spelled_key(key), spelled(value));
            let entries: Vec<_> = in_order(table).into_iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// Without escapes where there is a choice, for expressions hold quotes and backslashes. JSON's escapes are TOML's, too.
fn spelled_text(text: &str) -> String {
    let plain = text.contains(['"', '\\']) && !text.contains('\'') && !text.contains(char::is_control);
    if plain { format!("'{text}'") } else { serde_json::Value::from(text).to_string() }
}
