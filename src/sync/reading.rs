//! The first phase: the source is read to its end and what differs from the last time is spooled. Where places in its
//! lists last, the spool says after every page how far the read has come, and an interrupted read goes on from there.
//! Invariant: changes nobody.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::beginning::Beginning;
use super::failure::{Failure, SourceFailure};
use super::feed::{Extent, Feed};
use super::log::RunLog;
use super::progress::Lines;
use super::readback::ReadBack;
pub use super::tally::Spooled;
use super::tally::Tally;
use crate::clock::Clock;
use crate::codec::{Checkpoint, Item, Opening, SpooledRecord};
use crate::decode::RawRecord;
use crate::journal::{JournalError, Place, SpoolWriter, read_path, spool_path};
use crate::limits::RESUME_WITHIN;
use crate::model::{
    Counts, Digest, FeedPosition, FeedState, GroupKey, GroupName, Level, Outcome, Position, RecordNote, Rejection, Run,
    SharedTombstones, SkipReason, Traffic, Verdict,
};
use crate::observe::Stages;
use crate::source::{Bookmark, End, Page, Profile, ReadEvent, Start, WaitReason};
use crate::store::Store;

/// What a read found.
pub struct Found {
    pub spool: SpoolWriter,
    pub candidates: Vec<Spooled>,
    pub notes: Vec<Place>,
    pub new_groups: BTreeMap<GroupKey, GroupName>,
    pub seen: RoaringBitmap,
    pub unchanged: RoaringBitmap,
    pub counts: Counts,
    pub traffic: Traffic,
    /// Everything was read in this run, the count reconciles and every record that was rejected could be told apart.
    pub complete: bool,
    /// Everything was asked for, in this run and those that it goes on with.
    pub whole: bool,
    /// Who was kept out.
    pub tombstones: SharedTombstones,
    /// How far the source was read; `None` where that is as it was.
    pub position: Option<FeedPosition>,
    /// What the reading took, stage by stage.
    pub stages: Stages,
}

pub struct Reading<'a> {
    tally: Tally<'a>,
    spool: SpoolWriter,
    beginning: Beginning,
    /// Where the spool stays for a later read, if places in the source's lists last.
    resumes: Option<Resuming>,
    traffic: Traffic,
    stages: Stages,
    /// Badges that were left out.
    badges: Cell<u64>,
    /// `None` where nothing went back, and in a run that is only tried.
    readback: Option<ReadBack>,
}

/// What is kept for, and came from, an interrupted read.
#[derive(Default)]
struct Resuming {
    /// Where it had stopped, list by list.
    bookmarks: BTreeMap<Digest, Bookmark>,
    /// Its pages.
    pages: u32,
    /// When the last of them came.
    at: Option<Timestamp>,
    /// Of the page under way: what no item of the spool tells.
    unchanged: Vec<Digest>,
    same: Vec<u128>,
}

impl<'a> Reading<'a> {
    /// Decides what to read, and takes up what an interrupted read left behind.
    pub fn new(
        store: &'a Store,
        feed: &'a Feed,
        run: &Run,
        state: &FeedState,
        log: &mut RunLog,
    ) -> Result<Self, Failure> {
        let incremental = feed.spec().incremental.as_ref();
        let (position, seed) = (state.position.as_ref(), feed.position_seed());
        let beginning = match &feed.extent {
            Extent::Whole => Beginning::new(incremental, position, seed, run.full, run.started_at),
            Extent::Only(ids) => {
                log.add(Level::Info, format!("only what hooks named is read: {} ids", ids.len()));
                Beginning::new(None, None, seed, run.full, run.started_at)
            }
            Extent::Profiles(profiles) => {
                log.add(Level::Info, format!("{} profiles came", profiles.len()));
                Beginning::new(None, None, seed, run.full, run.started_at)
            }
        };
        let folder = store.runs_folder();
        if run.dry_run || feed.extent.is_part() || !feed.spec().stable {
            let spool = SpoolWriter::create(&spool_path(&folder, run.id), store.faults())?;
            let (tally, resumes) = (Tally::new(store, feed, run.full), None);
            return Ok(Self::with(tally, spool, beginning, resumes));
        }
        let path = read_path(&folder, &feed.id);
        if let Some(reading) = Self::take_up(store, feed, run, &beginning, &path)? {
            let resumes = reading.resumes.as_ref().map_or(0, |resumes| resumes.pages);
            let records = reading.tally.counts.records;
            log.add(Level::Info, format!("goes on after {resumes} pages with {records} records that were read before"));
            return Ok(reading);
        }
        let mut spool = SpoolWriter::create(&path, store.faults())?;
        let (full, began, read_whole_at) = (run.full, run.started_at, beginning.read_whole_at());
        spool.write(&Item::Opening(Opening { seed, full, began, read_whole_at }))?;
        Ok(Self::with(Tally::new(store, feed, run.full), spool, beginning, Some(Resuming::default())))
    }

    fn with(tally: Tally<'a>, spool: SpoolWriter, beginning: Beginning, resumes: Option<Resuming>) -> Self {
        let (traffic, stages, badges) = (Traffic::default(), Stages::default(), Cell::default());
        Self { tally, spool, beginning, resumes, traffic, stages, badges, readback: None }
    }

    /// What one page alone would make of the feed, as far as a read that is not complete can tell. `path` is the spool's.
    pub fn of_page(store: &'a Store, feed: &'a Feed, page: &Page, path: &Path, clock: Clock) -> Result<Found, Failure> {
        let spool = SpoolWriter::create(path, store.faults())?;
        let mut log = RunLog::new(clock);
        let beginning = Beginning::new(None, None, feed.position_seed(), false, log.now());
        let mut reading = Self::with(Tally::new(store, feed, false), spool, beginning, None);
        reading.take(page, &log)?;
        Ok(reading.end(End::default(), &mut log))
    }

    /// `None` where nothing was left behind, or where it no longer means what it meant.
    fn take_up(
        store: &'a Store,
        feed: &'a Feed,
        run: &Run,
        beginning: &Beginning,
        path: &Path,
    ) -> Result<Option<Self>, Failure> {
        let mut tally = Tally::new(store, feed, run.full);
        let mut resuming = Resuming::default();
        let mut opening = None;
        let taken = SpoolWriter::take_up(path, store.faults(), |place, item| match item {
            Item::Opening(found) => {
                opening = Some(found);
                found.seed == beginning.seed && found.full == run.full
            }
            _ if opening.is_none() => false,
            // It was spooled before the person was erased.
            Item::Record(spooled) if tally.keeps_out(&spooled.record) => false,
            Item::Record(spooled) => {
                let key = tally.key(&spooled.record);
                tally.enter(place, key, &spooled);
                true
            }
            Item::Note(note) => {
                tally.enter_note(place, &note);
                true
            }
            Item::Checkpoint(checkpoint) => resuming.take_up(&mut tally, &checkpoint),
        });
        let (Some(spool), Some(opening)) = (taken?, opening) else { return Ok(None) };
        let age = resuming.at.map(|at| run.started_at.duration_since(at).unsigned_abs());
        if age.is_none_or(|age| age >= RESUME_WITHIN) {
            return Ok(None);
        }
        let since = beginning.since.clone().filter(|position| position.read_whole_at == opening.read_whole_at);
        if since.is_none() && opening.read_whole_at.is_some() {
            return Ok(None);
        }
        let beginning = Beginning { since, began: opening.began, ..beginning.clone() };
        Ok(Some(Self::with(tally, spool, beginning, Some(resuming))))
    }

    /// Looks for what went back, too.
    pub fn reading_back(self, began: Timestamp) -> Self {
        let readback = ReadBack::of(self.tally.store, self.tally.feed, began);
        Self { readback, ..self }
    }

    /// Reads everything there is to read.
    pub fn read(mut self, lines: &mut Lines, log: &mut RunLog) -> Result<Found, Failure> {
        let profiles = match &self.tally.feed.extent {
            Extent::Profiles(profiles) => Some(Arc::clone(profiles)),
            Extent::Whole | Extent::Only(_) => None,
        };
        if let Some(profiles) = profiles {
            self.take_profiles(&profiles)?;
            return Ok(self.end(End::default(), log));
        }
        match self.pages(lines, log) {
            Ok(end) => Ok(self.end(end, log)),
            Err(failure) => {
                let has_got_on = self.traffic.pages > 0;
                if self.resumes.is_some() && failure.may_go_on(has_got_on) {
                    self.spool.keep();
                }
                Err(failure)
            }
        }
    }

    fn start(&self) -> Start {
        let resumes = self.resumes.as_ref();
        Start {
            params: self.tally.feed.params.clone(),
            only: match &self.tally.feed.extent {
                Extent::Only(ids) => Some(Arc::clone(ids)),
                Extent::Whole | Extent::Profiles(_) => None,
            },
            watermarks: self.beginning.since.as_ref().map(|since| since.watermarks.clone()).unwrap_or_default(),
            unless: self.beginning.unless.clone(),
            bookmarks: resumes.map(|resumes| resumes.bookmarks.clone()).unwrap_or_default(),
            pages: resumes.map_or(0, |resumes| resumes.pages),
        }
    }

    fn pages(&mut self, lines: &mut Lines, log: &mut RunLog) -> Result<End, Failure> {
        let runtime = tokio::runtime::Handle::current();
        let mut read = self.tally.feed.entry.source.read_from(self.start());
        loop {
            let idle = Instant::now();
            let event = runtime.block_on(async {
                tokio::select! {
                    event = read.next() => Ok(event),
                    failure = lines.stopped() => Err(failure),
                }
            })?;
            self.stages.fetch_wait += idle.elapsed();
            match event {
                Some(ReadEvent::Page(page)) => {
                    self.take(&page, log)?;
                    let (pages, records) = (self.traffic.pages, self.tally.counts.records);
                    lines.tell(|p| (p.pages, p.records, p.waiting_ms) = (pages, records, 0));
                }
                Some(ReadEvent::Waiting { pause, why }) => {
                    let waiting = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    lines.tell(|p| p.waiting_ms = waiting);
                    log.add(Level::Info, format!("waiting {:.1} s: {}", pause.as_secs_f64(), words(why)));
                }
                Some(ReadEvent::End(end)) => return Ok(end),
                Some(ReadEvent::Failed { error, traffic, retry_in, refuses_place }) => {
                    log.traffic = traffic;
                    log.opens_in(retry_in);
                    return Err(Failure::Source(SourceFailure { error, retry_in, refuses_place }));
                }
                None => return Err(Failure::Stopped),
            }
        }
    }

    fn end(self, end: End, log: &mut RunLog) -> Found {
        let is_part = self.tally.feed.extent.is_part();
        let position = self.beginning.after(&end).filter(|_| !is_part);
        let End { traffic, reconciles, note, not_modified, .. } = end;
        let Self { tally, spool, beginning, resumes, stages, badges, .. } = self;
        let Tally { candidates, notes, new_groups, seen, unchanged, counts, unidentified, tombstones, .. } = tally;
        let mut say = |level, text: &str| log.add(level, text.to_owned());
        if let Some(note) = note {
            say(if is_part { Level::Info } else { Level::Warn }, &note);
        }
        if badges.get() > 0 {
            let text = "records with a badge_url that is no https URL of a badge: it is left out";
            say(Level::Warn, &format!("{} {text}", badges.get()));
        }
        let resumed = resumes.is_some_and(|resumes| !resumes.bookmarks.is_empty());
        if is_part {
            say(Level::Info, "only some records were read: nobody counts as missing");
        } else if not_modified {
            say(Level::Info, "the source says that the list is as it was");
        } else if beginning.since.is_some() {
            say(Level::Info, "only what changed was asked for: nobody counts as missing");
        } else if resumed {
            say(Level::Info, "the read was interrupted on its way: nobody counts as missing");
        } else if !reconciles {
            say(Level::Warn, "the read does not reconcile: nobody counts as missing");
        } else if unidentified {
            say(Level::Warn, "a rejected record has no readable external id: nobody counts as missing");
        }
        let whole = !is_part && !not_modified && beginning.since.is_none();
        let complete = whole && reconciles && !resumed && !unidentified;
        Found {
            spool,
            candidates,
            notes,
            new_groups,
            seen,
            unchanged,
            counts,
            traffic,
            complete,
            whole,
            tombstones,
            position,
            stages,
        }
    }

    /// Profiles that are not as they were the last time. Whose they are is looked up now, so nobody is to change meanwhile.
    fn take_profiles(&mut self, profiles: &[Profile]) -> Result<(), Failure> {
        for (index, profile) in (0u32..).zip(profiles) {
            self.tally.counts.records += 1;
            let raw = self.tally.raw_digest(profile.record.bytes());
            if self.tally.is_unchanged(&self.tally.store.view(), raw) {
                continue;
            }
            let outcome = match self.tally.feed.entry.mapping.map_counting(&profile.record, &self.badges) {
                Outcome::Mapped(record) => self.tally.admit(record, profile)?,
                other => other,
            };
            self.take_outcome(Position { page: 1, index }, raw, outcome)?;
        }
        Ok(())
    }

    fn take(&mut self, page: &Page, log: &RunLog) -> Result<(), Failure> {
        self.traffic = page.traffic;
        self.tally.counts.records += page.records.len() as u64;
        let began = Instant::now();
        let changed = self.changed(page);
        if let Some(readback) = &self.readback {
            let records: Vec<_> = changed.iter().map(|(_, _, record)| *record).collect();
            readback.look(self.tally.store, self.tally.feed, page, &records)?;
        }
        let told_apart = Instant::now();
        let mapping = &self.tally.feed.entry.mapping;
        let map = |record| mapping.map_counting(record, &self.badges);
        let outcomes: Vec<Outcome> = changed.iter().map(|(_, _, record)| map(record)).collect();
        let mapped = Instant::now();
        for ((position, digest, _), outcome) in changed.into_iter().zip(outcomes) {
            self.take_outcome(position, digest, outcome)?;
        }
        self.checkpoint(page, log)?;
        self.stages.split += page.parsing + (told_apart - began);
        self.stages.map += mapped - told_apart;
        self.stages.spool += mapped.elapsed();
        Ok(())
    }

    /// The records of a page that are not as they were the last time. Counts the others.
    fn changed<'p>(&mut self, page: &'p Page) -> Vec<(Position, Digest, &'p RawRecord)> {
        let mut changed = Vec::new();
        let view = self.tally.store.view();
        for (index, raw) in (0u32..).zip(&page.records) {
            let digest = self.tally.raw_digest(raw.bytes());
            if !self.tally.is_unchanged(&view, digest) {
                changed.push((Position { page: page.number, index }, digest, raw));
            } else if let Some(resumes) = &mut self.resumes {
                resumes.unchanged.push(digest);
            }
        }
        changed
    }

    fn take_outcome(&mut self, position: Position, raw: Digest, outcome: Outcome) -> Result<(), JournalError> {
        let note = match outcome {
            // Not even its id is noted.
            Outcome::Mapped(record) if self.tally.keeps_out(&record) => {
                RecordNote { position, external_id: None, verdict: Verdict::Skip(SkipReason::Erased) }
            }
            Outcome::Mapped(record) => {
                let mapped = self.tally.mapped_digest(&record);
                let key = self.tally.key(&record);
                if self.tally.is_same(key, Some(mapped)) {
                    if let Some(resumes) = &mut self.resumes {
                        resumes.same.push(key);
                    }
                    return Ok(());
                }
                return self.spool_record(key, SpooledRecord { position, raw, mapped, record });
            }
            Outcome::Skipped(reason, external_id) => {
                RecordNote { position, external_id, verdict: Verdict::Skip(reason) }
            }
            Outcome::Rejected(Rejection { external_id, reason, field }) => {
                RecordNote { position, external_id, verdict: Verdict::Reject { reason, field } }
            }
        };
        let item = Item::Note(note);
        let place = self.spool.write(&item)?;
        if let Item::Note(note) = &item {
            self.tally.enter_note(place, note);
        }
        Ok(())
    }

    fn spool_record(&mut self, key: u128, spooled: SpooledRecord) -> Result<(), JournalError> {
        let item = Item::Record(spooled);
        let place = self.spool.write(&item)?;
        if let Item::Record(spooled) = &item {
            self.tally.enter(place, key, spooled);
        }
        Ok(())
    }

    /// Says in the spool that this page is done.
    fn checkpoint(&mut self, page: &Page, log: &RunLog) -> Result<(), JournalError> {
        let (Some(resumes), Some(bookmark)) = (&mut self.resumes, &page.bookmark) else { return Ok(()) };
        self.spool.checkpoint(Checkpoint {
            bookmark: bookmark.to_bytes(),
            at: log.now(),
            pages: page.number,
            records: page.records.len() as u64,
            unchanged: std::mem::take(&mut resumes.unchanged),
            same: std::mem::take(&mut resumes.same),
        })
    }
}

impl Resuming {
    /// Takes up what a page's checkpoint says, if what it says is still so.
    fn take_up(&mut self, tally: &mut Tally<'_>, checkpoint: &Checkpoint) -> bool {
        let Some(bookmark) = Bookmark::from_bytes(&checkpoint.bookmark) else { return false };
        self.bookmarks.insert(bookmark.partition(), bookmark);
        self.pages = self.pages.max(checkpoint.pages);
        self.at = Some(checkpoint.at);
        tally.counts.records += checkpoint.records;
        let store = tally.store;
        let view = store.view();
        checkpoint.unchanged.iter().all(|raw| tally.is_unchanged(&view, *raw))
            && checkpoint.same.iter().all(|key| tally.is_same(*key, None))
    }
}

fn words(why: WaitReason) -> &'static str {
    match why {
        WaitReason::Budget => "the source's allowance is used up",
        WaitReason::RetryAfter => "the source asked for a pause",
        WaitReason::BackOff => "a request failed and will be tried again",
    }
}
