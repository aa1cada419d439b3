//! A hash table of numbers whose keys live in a column beside it, so that no key is held twice.

use hashbrown::HashTable;

/// Numbers found by the 128-bit hash in their column. Two numbers may bear one hash for a moment (two people
/// swapping addresses across two batches), so removal names the number too.
#[derive(Default)]
pub struct Table {
    numbers: HashTable<u32>,
}

/// The hashes are already well mixed; their low half places them.
#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
const fn place(hash: u128) -> u64 {
    hash as u64
}

fn at(column: &[u128], number: u32) -> u128 {
    column.get(number as usize).copied().unwrap_or_default()
}

impl Table {
    /// Of the numbers given, each once.
    pub fn of(column: &[u128], numbers: impl Iterator<Item = u32>) -> Self {
        let mut table = Self { numbers: HashTable::with_capacity(column.len()) };
        numbers.for_each(|number| table.insert(column, number));
        table
    }

    pub fn find(&self, column: &[u128], hash: u128) -> Option<u32> {
        self.find_where(column, hash, |_| true)
    }

    /// The one among those that bear the hash which `wanted` picks.
    pub fn find_where(&self, column: &[u128], hash: u128, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        self.numbers.find(place(hash), |&number| at(column, number) == hash && wanted(number)).copied()
    }

    pub fn insert(&mut self, column: &[u128], number: u32) {
        self.numbers.insert_unique(place(at(column, number)), number, |&other| place(at(column, other)));
    }

    /// Call before the column forgets the hash.
    pub fn remove(&mut self, column: &[u128], number: u32) {
        if let Ok(entry) = self.numbers.find_entry(place(at(column, number)), |&other| other == number) {
            entry.remove();
        }
    }
}
