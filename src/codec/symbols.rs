//! Names that recur in thousands of people are stored once and referred to by number.

use std::sync::Arc;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use super::CodecError;
use super::seal::Kind;

/// What a symbol names. The numbers are stored: never reorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SymbolKind {
    Event = 0,
    Source = 1,
    Group = 2,
    CustomField = 3,
}

impl SymbolKind {
    pub const ALL: [Self; 4] = [Self::Event, Self::Source, Self::Group, Self::CustomField];

    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Numbers and names of one store, journal or spool: dense from 0 per kind, never reused.
#[derive(Debug, Clone, Default)]
pub struct Symbols {
    tables: [Table; 4],
}

#[derive(Debug, Clone, Default)]
struct Table {
    names: Vec<Arc<str>>,
    /// By the hash of their names. Every person's encoding asks for a dozen of them.
    numbers: HashTable<u32>,
}

impl Table {
    fn number(&self, name: &str) -> Option<u32> {
        self.numbers.find(hash(name), |&number| *self.names[number as usize] == *name).copied()
    }

    fn add(&mut self, name: &str) -> u32 {
        // Names are bounded in number far below u32: events, sources, groups and fields, not people.
        let number = u32::try_from(self.names.len()).expect("fewer than 2^32 symbols");
        self.names.push(name.into());
        self.numbers.insert_unique(hash(name), number, |&number| hash(&self.names[number as usize]));
        number
    }
}

fn hash(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

impl Symbols {
    pub fn number(&self, kind: SymbolKind, name: &str) -> Option<u32> {
        self.tables[kind as usize].number(name)
    }

    /// The number of a name, new if need be.
    pub fn intern(&mut self, kind: SymbolKind, name: &str) -> u32 {
        let table = &mut self.tables[kind as usize];
        table.number(name).unwrap_or_else(|| table.add(name))
    }

    /// Gives a number to nothing: the name it stood for is lost, and whoever uses it cannot be read.
    pub fn leave_out(&mut self, kind: SymbolKind) {
        self.tables[kind as usize].names.push("".into());
    }

    pub(super) fn name(&self, kind: SymbolKind, number: u32) -> Result<Arc<str>, CodecError> {
        self.get(kind, number).ok_or(CodecError::UnknownSymbol { kind: Kind::Symbol, number })
    }

    pub fn get(&self, kind: SymbolKind, number: u32) -> Option<Arc<str>> {
        self.tables[kind as usize].names.get(number as usize).filter(|name| !name.is_empty()).cloned()
    }

    pub fn len(&self, kind: SymbolKind) -> usize {
        self.tables[kind as usize].names.len()
    }

    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.names.is_empty())
    }

    /// Names interned since the counts of `seen`, in an order that gives them the same numbers again.
    pub fn since(&self, seen: [usize; 4]) -> impl Iterator<Item = (SymbolKind, u32, &Arc<str>)> {
        SymbolKind::ALL.into_iter().flat_map(move |kind| {
            let names = self.tables[kind as usize].names.iter().enumerate().skip(seen[kind as usize]);
            names.map(move |(number, name)| (kind, u32::try_from(number).unwrap_or(u32::MAX), name))
        })
    }

    /// How many symbols there are of each kind; see [`Self::since`].
    pub fn counts(&self) -> [usize; 4] {
        SymbolKind::ALL.map(|kind| self.len(kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_stable() {
        let mut symbols = Symbols::default();
        assert_eq!(symbols.intern(SymbolKind::Group, "vip"), 0);
        assert_eq!(symbols.intern(SymbolKind::Event, "summit"), 0);
        let seen = symbols.counts();
        assert_eq!(symbols.intern(SymbolKind::Group, "press"), 1);
        assert_eq!(symbols.intern(SymbolKind::Group, "vip"), 0);
        let new: Vec<_> = symbols.since(seen).map(|(kind, number, name)| (kind, number, name.to_string())).collect();
        assert_eq!(new, [(SymbolKind::Group, 1, "press".to_owned())]);
        assert_eq!(&*symbols.name(SymbolKind::Group, 1).unwrap(), "press");
        assert!(symbols.name(SymbolKind::Group, 2).is_err());
        symbols.leave_out(SymbolKind::Group);
        assert_eq!(symbols.intern(SymbolKind::Group, "staff"), 3);
        assert!(symbols.name(SymbolKind::Group, 2).is_err());
    }
}
