//! A table that is asked for its keys.

use toml::de::DeTable;

use super::layers::{Layers, Under};
use super::{Children, Findings, Item, Place};

/// A table of the file, or the place where one could stand.
pub(in crate::config) struct Section<'t> {
    table: Table<'t>,
    place: Place,
    findings: &'t Findings,
    asked: Vec<&'static str>,
}

enum Table<'t> {
    Present(Layers<'t>),
    Absent,
    /// Something else stands there, which was reported; what it lacks is not worth a fault each.
    Wrong,
}

impl<'t> Section<'t> {
    pub fn root(table: &'t DeTable<'t>, findings: &'t Findings) -> Self {
        Self::present(Layers::one(table), Place { line: 1, ..Place::default() }, findings)
    }

    pub(super) fn present(layers: Layers<'t>, place: Place, findings: &'t Findings) -> Self {
        Self { table: Table::Present(layers), place, findings, asked: Vec::new() }
    }

    /// Lays a preset's table under it: what the file does not say, the preset does, key by key. `line` is where the
    /// operator named the preset.
    pub fn over(mut self, table: &'t DeTable<'t>, preset: &'static str, line: usize) -> Self {
        if let Table::Present(layers) = &mut self.table {
            *layers = layers.over(Under { table, preset, line });
        }
        self
    }

    /// What stands in the file itself at a path of keys with dots between, whatever a preset says. It counts as asked for by
    /// nobody.
    pub fn own(&self, path: &str) -> Option<Item<'t>> {
        let Table::Present(layers) = self.table else { return None };
        let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
        let item = layers.own().item(first, &self.place, self.findings)?;
        match rest {
            None => Some(item),
            Some(rest) if matches!(item.open(), Children::Table(_)) => item.section().own(rest),
            Some(_) => None,
        }
    }

    /// What the preset says and the file does not: keys and values as TOML has them.
    pub fn filled(&self) -> Vec<(String, String)> {
        match self.table {
            Table::Present(layers) => layers.filled(),
            Table::Absent | Table::Wrong => Vec::new(),
        }
    }

    pub(super) fn wrong(place: Place, findings: &'t Findings) -> Self {
        Self { table: Table::Wrong, place, findings, asked: Vec::new() }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Is there such a table in the file?
    pub fn is_table(&self) -> bool {
        matches!(self.table, Table::Present(_))
    }

    pub fn findings(&self) -> &'t Findings {
        self.findings
    }

    /// The value of a key that may be absent.
    pub fn optional(&mut self, key: &'static str) -> Option<Item<'t>> {
        self.asked.push(key);
        self.findings.accept(self.place.key(key, 0).pattern);
        let Table::Present(layers) = self.table else { return None };
        layers.item(key, &self.place, self.findings)
    }

    /// The value of a key that must be there; `mend` says how to write it.
    pub fn required(&mut self, key: &'static str, mend: &str) -> Option<Item<'t>> {
        let item = self.optional(key);
        if item.is_none() && !matches!(self.table, Table::Wrong) {
            let mend = match self.preset() {
                Some(preset) => format!("{mend}; docs/presets.md says what else the preset {preset} needs"),
                None => mend.to_owned(),
            };
            self.findings.fault(&self.place.key(key, self.place.line).by_nobody(), "missing", mend);
        }
        item
    }

    /// The preset that it is from, or that lies under it.
    fn preset(&self) -> Option<&'static str> {
        match self.table {
            Table::Present(layers) => self.place.preset.or_else(|| layers.preset()),
            Table::Absent | Table::Wrong => None,
        }
    }

    /// The table below a key; an absent one is a section without keys.
    pub fn section(&mut self, key: &'static str) -> Section<'t> {
        match self.optional(key) {
            Some(item) => item.section(),
            None => {
                let place = self.place.key(key, self.place.line);
                Section { table: Table::Absent, place, findings: self.findings, asked: Vec::new() }
            }
        }
    }

    /// The items of the list of tables below a key; none where it is absent.
    pub fn list(&mut self, key: &'static str) -> Vec<Section<'t>> {
        let items = self.optional(key).and_then(|item| item.list()).unwrap_or_default();
        items.into_iter().map(|item| item.section()).collect()
    }

    /// Every key of a table whose names the operator chooses, in the order of the file.
    pub fn named(self) -> Vec<(&'t str, Item<'t>)> {
        self.findings.accept(self.place.named("", 0).pattern);
        let Table::Present(layers) = self.table else { return Vec::new() };
        layers.named(&self.place, self.findings)
    }

    /// Reports the keys that nobody asked for. What a preset says to no end, once the operator has said something else,
    /// is nobody's fault.
    pub fn finish(self) {
        let Table::Present(layers) = self.table else { return };
        for (key, item) in layers.named(&self.place, self.findings) {
            if !self.asked.contains(&key) && item.place().preset.is_none() {
                self.findings.unknown(key, item.place().clone(), self.asked.clone());
            }
        }
    }
}
