//! A table that is asked for its keys.

use toml::de::DeTable;

use super::{Findings, Item, Place};

/// A table of the file, or the place where one could stand.
pub(in crate::config) struct Section<'t> {
    table: Table<'t>,
    place: Place,
    findings: &'t Findings,
    asked: Vec<&'static str>,
}

enum Table<'t> {
    Present(&'t DeTable<'t>),
    Absent,
    /// Something else stands there, which was reported; what it lacks is not worth a fault each.
    Wrong,
}

impl<'t> Section<'t> {
    pub fn root(table: &'t DeTable<'t>, findings: &'t Findings) -> Self {
        Self::present(table, Place { line: 1, ..Place::default() }, findings)
    }

    pub(super) fn present(table: &'t DeTable<'t>, place: Place, findings: &'t Findings) -> Self {
        Self { table: Table::Present(table), place, findings, asked: Vec::new() }
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
        let Table::Present(table) = self.table else { return None };
        let (spanned, value) = table.get_key_value(key)?;
        let line = self.findings.line(spanned.span().start);
        Some(Item::new(value.get_ref(), self.place.key(key, line), self.findings))
    }

    /// The value of a key that must be there; `mend` says how to write it.
    pub fn required(&mut self, key: &'static str, mend: &str) -> Option<Item<'t>> {
        let item = self.optional(key);
        if item.is_none() && !matches!(self.table, Table::Wrong) {
            self.findings.fault(&self.place.key(key, self.place.line), "missing", mend);
        }
        item
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
        let Table::Present(table) = self.table else { return Vec::new() };
        named_items(table, &self.place, self.findings)
    }

    /// Reports the keys that nobody asked for.
    pub fn finish(self) {
        let Table::Present(table) = self.table else { return };
        for (key, item) in named_items(table, &self.place, self.findings) {
            if !self.asked.contains(&key) {
                self.findings.unknown(key, item.place().clone(), self.asked.clone());
            }
        }
    }
}

/// The keys and values of a table, in the order of the file (the parser keeps them by name).
pub(super) fn named_items<'t>(
    table: &'t DeTable<'t>,
    place: &Place,
    findings: &'t Findings,
) -> Vec<(&'t str, Item<'t>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let item = |(key, value): (&'t toml::Spanned<toml::de::DeString<'t>>, &'t toml::Spanned<_>)| {
        let name: &'t str = key.get_ref();
        let place = place.named(name, findings.line(key.span().start));
        (name, Item::new(value.get_ref(), place, findings))
    };
    entries.into_iter().map(item).collect()
}
