//! The fake itself: its options, its list and its rendered pages.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::control::Change;
use super::gco::Gco;
use super::record::World;
use super::roster::{Expected, Roster};
use crate::limits;

/// The only event it knows.
pub const EVENT: &str = "summit";
/// The bearer token it wants.
pub const TOKEN: &str = "demo-token";
/// The environment variable in which [`super::config_toml`] looks for the token.
pub const TOKEN_VARIABLE: &str = "ROLLCALL_DEMO_TOKEN";

/// What the fake lists, and how.
#[derive(Debug, Clone)]
pub struct FakeOptions {
    /// Records at the start, at most [`limits::DEMO_RECORDS_MAX`].
    pub count: u32,
    /// Records a page where the request does not say, 1 to [`limits::DEMO_PAGE_RECORDS_MAX`].
    pub per_page: u32,
    /// How much of the list changes before each read but the first, in percent. A read begins with page 1.
    pub churn_percent: f64,
    /// Another seed makes other people.
    pub seed: u64,
    /// Are some records broken (no last name, no email address), as in real lists?
    pub bad_records: bool,
    /// How long every page takes.
    pub latency: Duration,
}

impl Default for FakeOptions {
    /// A thousand people, a hundred a page, some of them broken, at once.
    fn default() -> Self {
        Self { count: 1_000, per_page: 100, churn_percent: 0.0, seed: 1, bad_records: true, latency: Duration::ZERO }
    }
}

/// A registration system that does not exist. See [`Fake::serve`] for what it answers.
pub struct Fake {
    pub(super) options: FakeOptions,
    list: Mutex<List>,
    pub(super) gco: Mutex<Gco>,
}

/// The list and what was rendered of it, changed together so that a page is never of two lists.
struct List {
    roster: Roster,
    pages: HashMap<PageKey, Bytes>,
    /// The sum of the kept pages' sizes, at most [`limits::DEMO_CACHE_BYTES_MAX`].
    kept_bytes: usize,
    reads: u64,
}

/// One page of the list cut into pages of this size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PageKey {
    /// From 1.
    pub number: u32,
    /// 1 to [`limits::DEMO_PAGE_RECORDS_MAX`].
    pub size: u32,
}

impl Fake {
    /// Makes the people up and renders their pages, so that the first read is as fast as any.
    /// Options out of their range are moved into it.
    pub fn new(options: FakeOptions) -> Self {
        let world = World { seed: options.seed, bad_records: options.bad_records };
        let roster = Roster::new(world, options.count.min(limits::DEMO_RECORDS_MAX));
        let size = options.per_page.clamp(1, limits::DEMO_PAGE_RECORDS_MAX);
        let mut list = List { roster, pages: HashMap::new(), kept_bytes: 0, reads: 0 };
        let mut scratch = Vec::new();
        for number in 1..=list.page_count(size) {
            list.keep(PageKey { number, size }, &mut scratch);
        }
        Self { options: FakeOptions { per_page: size, ..options }, list: Mutex::new(list), gco: Mutex::default() }
    }

    /// What a reader should find now, in the list's order.
    pub fn truth(&self) -> Vec<Expected> {
        self.list.lock().roster.truth()
    }

    /// The body of one page. Asking for page 1 begins a read, which may change the list first.
    pub(super) fn page(&self, key: PageKey) -> Bytes {
        let mut list = self.list.lock();
        if key.number == 1 {
            list.reads += 1;
            if list.reads > 1 && self.options.churn_percent > 0.0 {
                list.apply(Change::Churn { percent: self.options.churn_percent });
            }
        }
        match list.pages.get(&key) {
            Some(page) => page.clone(),
            None => list.keep(key, &mut Vec::new()),
        }
    }

    /// Changes the list, renders its pages again and answers the external ids touched.
    pub(super) fn apply(&self, change: Change) -> Vec<String> {
        self.list.lock().apply(change)
    }
}

impl List {
    fn apply(&mut self, change: Change) -> Vec<String> {
        let room = limits::DEMO_RECORDS_MAX.saturating_sub(self.roster.len() as u32);
        let change = match change {
            Change::Add { count } => Change::Add { count: count.min(room) },
            other => other,
        };
        let touched = self.roster.apply(change);
        self.render_again();
        touched
    }

    fn page_count(&self, size: u32) -> u32 {
        // The roster has at most `limits::DEMO_RECORDS_MAX` records, which fits.
        (self.roster.len() as u32).div_ceil(size)
    }

    /// Renders a page and keeps it while there is room.
    fn keep(&mut self, key: PageKey, scratch: &mut Vec<u8>) -> Bytes {
        self.render(key, scratch);
        // A copy of the exact size: the scratch space is larger, and a million records must fit.
        let page = Bytes::copy_from_slice(scratch);
        let listed = key.number <= self.page_count(key.size);
        if listed && self.kept_bytes + page.len() <= limits::DEMO_CACHE_BYTES_MAX {
            self.kept_bytes += page.len();
            self.pages.insert(key, page.clone());
        }
        page
    }

    /// Brings the kept pages up to date here, once, instead of while somebody reads them.
    fn render_again(&mut self) {
        let mut kept: Vec<PageKey> = self.pages.keys().copied().collect();
        kept.sort_unstable_by_key(|key| (key.size, key.number));
        let mut scratch = Vec::new();
        for key in kept {
            if let Some(old) = self.pages.remove(&key) {
                self.kept_bytes -= old.len();
            }
            if key.number <= self.page_count(key.size) {
                self.keep(key, &mut scratch);
            }
        }
    }

    fn render(&self, key: PageKey, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(b"{\"data\":[");
        let start = (key.number as usize - 1).saturating_mul(key.size as usize);
        self.roster.write_json(start, key.size as usize, out);
        let (pages, total) = (self.page_count(key.size), self.roster.len());
        let meta = format!("],\"meta\":{{\"page\":{},\"pages\":{pages},\"total\":{total}}}}}", key.number);
        out.extend_from_slice(meta.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read(fake: &Fake, size: u32) -> Vec<Value> {
        let mut records = Vec::new();
        for number in 1.. {
            let page: Value = serde_json::from_slice(&fake.page(PageKey { number, size })).unwrap();
            assert_eq!(page["meta"]["page"], number);
            let data = page["data"].as_array().unwrap();
            if data.is_empty() {
                assert_eq!(page["meta"]["total"], records.len());
                break;
            }
            records.extend(data.iter().cloned());
        }
        records
    }

    fn ids(records: &[Value]) -> Vec<&str> {
        records.iter().map(|record| record["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn every_page_size_gives_the_same_list() {
        let fake = Fake::new(FakeOptions { count: 250, ..FakeOptions::default() });
        let whole = read(&fake, 1_000);
        assert_eq!(whole.len(), 250);
        assert_eq!(read(&fake, 100), whole);
        assert_eq!(read(&fake, 7), whole);
        let truth: Vec<String> = fake.truth().into_iter().map(|expected| expected.id).collect();
        assert_eq!(ids(&whole), truth);
    }

    #[test]
    fn kept_pages_follow_every_change() {
        let fake = Fake::new(FakeOptions { count: 250, ..FakeOptions::default() });
        let before = read(&fake, 100);
        for change in [Change::Churn { percent: 10.0 }, Change::Remove { count: 60 }, Change::Add { count: 120 }] {
            fake.apply(change);
            let records = read(&fake, 100);
            let truth = fake.truth();
            assert_eq!(ids(&records), truth.iter().map(|e| e.id.as_str()).collect::<Vec<_>>());
            for (record, expected) in records.iter().zip(&truth) {
                assert_eq!(record["job_title"], expected.job_title);
            }
        }
        assert_eq!(read(&fake, 100).len(), 310);
        assert_ne!(before, read(&fake, 100));
        let list = fake.list.lock();
        assert_eq!(list.kept_bytes, list.pages.values().map(Bytes::len).sum::<usize>());
        assert_eq!(list.pages.len(), 4, "no page past the end is kept");
    }

    #[test]
    fn a_read_after_the_first_finds_changes_where_asked_for() {
        let fake = Fake::new(FakeOptions { churn_percent: 2.0, ..FakeOptions::default() });
        let first = read(&fake, 100);
        let second = read(&fake, 100);
        assert_eq!(first.iter().zip(&second).filter(|(old, new)| old != new).count(), 20);
    }

    #[test]
    fn an_empty_list_is_one_empty_page() {
        let fake = Fake::new(FakeOptions { count: 0, per_page: 0, ..FakeOptions::default() });
        let body = fake.page(PageKey { number: 1, size: 100 });
        assert_eq!(&body[..], br#"{"data":[],"meta":{"page":1,"pages":0,"total":0}}"#);
    }
}
