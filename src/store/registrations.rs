//! The index of registrations: by key (event, source, external id) and by the digest of the record's bytes.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use roaring::RoaringBitmap;

use super::columns::{ColumnReader, ColumnWriter, unfit};
use super::table::Table;
use crate::model::Digest;

/// Columns by registration number; numbers are dense and given again after a deletion.
#[derive(Default)]
pub struct Registrations {
    key: Vec<u128>,
    user: Vec<u32>,
    raw: Vec<u128>,
    mapped: Vec<u128>,
    feed: Vec<u32>,
    free: Vec<u32>,
    by_key: Table,
    by_raw: Table,
    /// Registrations that the last complete read of their feed did not find.
    absent: RoaringBitmap,
    /// Registrations of each feed, by the feed's number.
    of_feed: HashMap<u32, RoaringBitmap>,
}

/// What the index knows of one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub key: u128,
    pub user: u32,
    pub raw: Digest,
    pub mapped: Digest,
    pub feed: u32,
    pub absent: bool,
}

impl Registrations {
    pub fn find(&self, key: u128) -> Option<(u32, Row)> {
        self.by_key.find(&self.key, key).map(|number| (number, self.row(number)))
    }

    pub fn find_raw(&self, raw: Digest) -> Option<(u32, Row)> {
        self.by_raw.find(&self.raw, raw.0).map(|number| (number, self.row(number)))
    }

    /// The user of a registration.
    pub fn user(&self, number: u32) -> u32 {
        self.user[number as usize]
    }

    fn row(&self, number: u32) -> Row {
        let at = number as usize;
        Row {
            key: self.key[at],
            user: self.user[at],
            raw: Digest(self.raw[at]),
            mapped: Digest(self.mapped[at]),
            feed: self.feed[at],
            absent: self.absent.contains(number),
        }
    }

    /// Registrations of a feed that are not known to be absent.
    pub fn present(&self, feed: u32) -> RoaringBitmap {
        self.of_feed.get(&feed).map(|all| all - &self.absent).unwrap_or_default()
    }

    /// How many registrations a feed has, present or not.
    pub fn all(&self, feed: u32) -> RoaringBitmap {
        self.of_feed.get(&feed).cloned().unwrap_or_default()
    }

    pub fn count(&self, feed: u32) -> u64 {
        self.of_feed.get(&feed).map_or(0, RoaringBitmap::len)
    }

    /// Enters a registration, or renews it in place: as long as it stays its user's, it keeps its number.
    pub fn put(&mut self, row: Row) {
        let owned = |number: u32| self.user[number as usize] == row.user;
        match self.by_key.find_where(&self.key, row.key, owned) {
            Some(number) => self.renew(number, &row),
            None => self.insert(&row),
        }
    }

    fn renew(&mut self, number: u32, row: &Row) {
        let at = number as usize;
        if self.raw[at] != row.raw.0 {
            self.by_raw.remove(&self.raw, number);
            self.raw[at] = row.raw.0;
            self.by_raw.insert(&self.raw, number);
        }
        self.mapped[at] = row.mapped.0;
        self.mark_absent(number, row.absent);
    }

    fn insert(&mut self, row: &Row) {
        let number = self.enter(row);
        self.by_key.insert(&self.key, number);
        self.by_raw.insert(&self.raw, number);
    }

    /// Enters a registration that is new. It is found only after [`Self::build_tables`].
    pub fn push(&mut self, row: &Row) {
        self.enter(row);
    }

    /// Puts a registration into the columns. Returns its number.
    fn enter(&mut self, row: &Row) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.key.push(0);
            self.user.push(0);
            self.raw.push(0);
            self.mapped.push(0);
            self.feed.push(0);
            // 2^32 registrations would not fit in memory long before.
            u32::try_from(self.key.len() - 1).expect("fewer than 2^32 registrations")
        });
        let at = number as usize;
        self.key[at] = row.key;
        self.user[at] = row.user;
        self.raw[at] = row.raw.0;
        self.mapped[at] = row.mapped.0;
        self.feed[at] = row.feed;
        self.of_feed.entry(row.feed).or_default().insert(number);
        self.mark_absent(number, row.absent);
        number
    }

    fn mark_absent(&mut self, number: u32, absent: bool) {
        if absent {
            self.absent.insert(number)
        } else {
            self.absent.remove(number)
        };
    }

    /// Removes the registration with this key that is this user's. Another user may hold the key already, when
    /// a registration moves and the new owner was written first.
    pub fn remove(&mut self, key: u128, user: u32) {
        let owned = |number: u32| self.user[number as usize] == user;
        let Some(number) = self.by_key.find_where(&self.key, key, owned) else { return };
        let at = number as usize;
        self.by_key.remove(&self.key, number);
        self.by_raw.remove(&self.raw, number);
        if let Some(all) = self.of_feed.get_mut(&self.feed[at]) {
            all.remove(number);
        }
        self.absent.remove(number);
        (self.key[at], self.user[at], self.raw[at], self.mapped[at]) = (0, u32::MAX, 0, 0);
        self.free.push(number);
    }

    /// About how many bytes [`Self::write`] writes.
    pub fn bytes_about(&self) -> usize {
        self.key.len() * (3 * size_of::<u128>() + 2 * size_of::<u32>())
    }

    /// Writes the columns; what can be made of them is left out.
    pub fn write<W: Write>(&self, to: &mut ColumnWriter<W>) -> io::Result<()> {
        to.column(&self.key)?;
        to.column(&self.user)?;
        to.column(&self.raw)?;
        to.column(&self.mapped)?;
        to.column(&self.feed)?;
        to.bitmap(&self.absent)
    }

    /// Reads what [`Self::write`] wrote. The tables are still to be made.
    pub fn read<R: Read>(from: &mut ColumnReader<R>, users: &RoaringBitmap, feeds: u32) -> io::Result<Self> {
        let mut read = Self {
            key: from.column()?,
            user: from.column()?,
            raw: from.column()?,
            mapped: from.column()?,
            feed: from.column()?,
            absent: from.bitmap()?,
            ..Self::default()
        };
        let lengths = [read.user.len(), read.raw.len(), read.mapped.len(), read.feed.len()];
        if lengths != [read.key.len(); 4] {
            return Err(unfit("columns of several lengths"));
        }
        let mut of_feed = vec![RoaringBitmap::new(); feeds as usize];
        for (number, key) in (0..).zip(&read.key) {
            let at = number as usize;
            if *key == 0 {
                read.free.push(number);
                continue;
            }
            let of_feed = of_feed.get_mut(read.feed[at] as usize).ok_or_else(|| unfit("an unknown feed"))?;
            of_feed.insert(number);
            if !users.contains(read.user[at]) {
                return Err(unfit("a registration of nobody"));
            }
        }
        if read.absent.iter().any(|number| read.key.get(number as usize).is_none_or(|key| *key == 0)) {
            return Err(unfit("what is absent is not there"));
        }
        read.of_feed = (0..).zip(of_feed).collect();
        Ok(read)
    }

    /// Makes the tables from the columns.
    pub fn build_tables(&mut self) {
        let taken = |(number, key): (u32, &u128)| (*key != 0).then_some(number);
        self.by_key = Table::of(&self.key, (0..).zip(&self.key).filter_map(taken));
        self.by_raw = Table::of(&self.raw, (0..).zip(&self.key).filter_map(taken));
    }
}
