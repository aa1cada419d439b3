//! The first phase: the source is read to its end and what differs from the last time is spooled.
//! Invariant: changes nobody. The store is only asked.

use std::collections::BTreeMap;
use std::num::NonZeroU128;
use std::time::Instant;

use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::failure::Failure;
use super::feed::Feed;
use super::log::RunLog;
use super::progress::Lines;
use crate::codec::{Item, SpooledRecord};
use crate::decode::RawRecord;
use crate::journal::{Place, SpoolWriter};
use crate::model::{
    Counts, Digest, ExternalId, GroupKey, GroupName, Level, MappedRecord, Outcome, Position, RecordNote, RecordState,
    Rejection, Traffic, Verdict,
};
use crate::observe::Stages;
use crate::plan::{Candidate, Version};
use crate::source::{Page, ReadEvent, WaitReason};
use crate::store::{Store, View};

/// What a read found.
pub struct Found {
    pub spool: SpoolWriter,
    pub candidates: Vec<Spooled>,
    pub notes: Vec<Place>,
    /// Groups that the list names and the store does not have. Of several spellings the first in order, so that the
    /// order of the list does not matter.
    pub new_groups: BTreeMap<GroupKey, GroupName>,
    /// Registrations, by number, whose records the list has.
    pub seen: RoaringBitmap,
    /// Of these, the ones whose record is as it was.
    pub unchanged: RoaringBitmap,
    pub counts: Counts,
    pub traffic: Traffic,
    /// Every page was read, the count reconciles and every record that was rejected could be told apart.
    pub complete: bool,
    /// What the reading took, stage by stage.
    pub stages: Stages,
}

/// A record in the spool and what routing needs to know of it. There may be a million of them, so it is kept small:
/// 96 bytes.
pub struct Spooled {
    pub place: Place,
    /// As in [`Candidate`]. No hash is 0.
    pub key: u128,
    pub email: Option<NonZeroU128>,
    pub updated_at: Option<Timestamp>,
    pub mapped: Digest,
    pub state: RecordState,
}

impl Spooled {
    pub fn email(&self) -> Option<u128> {
        self.email.map(NonZeroU128::get)
    }

    pub fn candidate(&self) -> Candidate<u128> {
        let version = Version { updated_at: self.updated_at, mapped: self.mapped };
        Candidate { key: self.key, email: self.email(), version, state: self.state }
    }
}

pub struct Reading<'a> {
    pub store: &'a Store,
    pub feed: &'a Feed,
    /// Map every record, whatever its digest.
    pub full: bool,
    pub found: Found,
    digest_seed: u64,
    /// A record was rejected whose external id could not be read: absence means nothing then.
    unidentified: bool,
}

impl<'a> Reading<'a> {
    pub fn new(store: &'a Store, feed: &'a Feed, full: bool, spool: SpoolWriter) -> Self {
        let found = Found {
            spool,
            candidates: Vec::new(),
            notes: Vec::new(),
            new_groups: BTreeMap::new(),
            seen: RoaringBitmap::new(),
            unchanged: RoaringBitmap::new(),
            counts: Counts::default(),
            traffic: Traffic::default(),
            complete: false,
            stages: Stages::default(),
        };
        Self { store, feed, full, found, digest_seed: feed.digest_seed(), unidentified: false }
    }

    /// Reads the whole list. The source fetches ahead on its own task; this thread maps.
    pub fn read(mut self, lines: &mut Lines, log: &mut RunLog) -> Result<Found, Failure> {
        let runtime = tokio::runtime::Handle::current();
        let mut read = self.feed.entry.source.read(&self.feed.params);
        loop {
            let idle = Instant::now();
            let event = runtime.block_on(async {
                tokio::select! {
                    event = read.next() => Ok(event),
                    failure = lines.stopped() => Err(failure),
                }
            })?;
            self.found.stages.fetch_wait += idle.elapsed();
            match event {
                Some(ReadEvent::Page(page)) => {
                    self.take(&page)?;
                    let (pages, records) = (self.found.traffic.pages, self.found.counts.records);
                    lines.tell(|p| (p.pages, p.records, p.waiting_ms) = (pages, records, 0));
                }
                Some(ReadEvent::Waiting { pause, why }) => {
                    let waiting = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                    lines.tell(|p| p.waiting_ms = waiting);
                    log.add(Level::Info, format!("waiting {:.1} s: {}", pause.as_secs_f64(), words(why)));
                }
                Some(ReadEvent::End { traffic, reconciles, note }) => {
                    return Ok(self.end(traffic, reconciles, note, log));
                }
                Some(ReadEvent::Failed { error, traffic, retry_in }) => {
                    log.traffic = traffic;
                    log.opens_in(retry_in);
                    return Err(Failure::Source(error));
                }
                None => return Err(Failure::Stopped),
            }
        }
    }

    fn end(mut self, traffic: Traffic, reconciles: bool, note: Option<String>, log: &mut RunLog) -> Found {
        if let Some(note) = note {
            log.add(Level::Warn, note);
        }
        if !reconciles {
            log.add(Level::Warn, "the read does not reconcile: nobody counts as missing".into());
        }
        if self.unidentified {
            let text = "a rejected record has no readable external id: nobody counts as missing";
            log.add(Level::Warn, text.into());
        }
        self.found.traffic = traffic;
        self.found.complete = reconciles && !self.unidentified;
        self.found
    }

    fn take(&mut self, page: &Page) -> Result<(), Failure> {
        self.found.traffic = page.traffic;
        self.found.counts.records += page.records.len() as u64;
        let began = Instant::now();
        let changed = self.changed(page);
        let told_apart = Instant::now();
        let mapping = &self.feed.entry.mapping;
        let outcomes: Vec<Outcome> = changed.iter().map(|(_, _, record)| mapping.map(record)).collect();
        let mapped = Instant::now();
        for ((position, digest, _), outcome) in changed.into_iter().zip(outcomes) {
            self.take_outcome(position, digest, outcome)?;
        }
        let stages = &mut self.found.stages;
        stages.split += page.parsing + (told_apart - began);
        stages.map += mapped - told_apart;
        stages.spool += mapped.elapsed();
        Ok(())
    }

    /// The records of a page that are not as they were the last time. Counts the others.
    fn changed<'p>(&mut self, page: &'p Page) -> Vec<(Position, Digest, &'p RawRecord)> {
        let mut changed = Vec::new();
        let view = self.store.view();
        for (index, raw) in (0u32..).zip(&page.records) {
            let digest = Digest::of(self.digest_seed, raw.bytes());
            if !self.is_unchanged(&view, digest) {
                changed.push((Position { page: page.number, index }, digest, raw));
            }
        }
        changed
    }

    /// Were these bytes the record of a registration the last time? A registration that was absent is not
    /// unchanged: it is back.
    fn is_unchanged(&mut self, view: &View<'_>, digest: Digest) -> bool {
        let hit = if self.full { None } else { view.index().registration_by_raw(digest) };
        let Some(hit) = hit.filter(|hit| !hit.absent) else { return false };
        self.count_unchanged(hit.number);
        true
    }

    fn count_unchanged(&mut self, number: u32) {
        self.found.seen.insert(number);
        if self.found.unchanged.insert(number) {
            self.found.counts.unchanged += 1;
        } else {
            self.found.counts.skip += 1;
            self.found.counts.duplicates += 1;
        }
    }

    fn take_outcome(&mut self, position: Position, raw: Digest, outcome: Outcome) -> Result<(), Failure> {
        match outcome {
            Outcome::Mapped(record) => self.take_mapped(position, raw, record),
            Outcome::Skipped(reason) => {
                self.found.counts.skip += 1;
                self.note(RecordNote { position, external_id: None, verdict: Verdict::Skip(reason) })
            }
            Outcome::Rejected(rejection) => self.take_rejected(position, rejection),
        }
    }

    fn take_mapped(&mut self, position: Position, raw: Digest, record: MappedRecord) -> Result<(), Failure> {
        let mapped = self.mapped_digest(&record);
        self.collect_groups(&record);
        let (key, email) = {
            let view = self.store.view();
            let index = view.index();
            let key = index.registration_hash(&self.feed.id, &record.external_id);
            let hit = index.registration(key);
            if let Some(hit) = hit {
                if hit.mapped == mapped && !hit.absent && !self.full {
                    self.count_unchanged(hit.number);
                    return Ok(());
                }
                self.found.seen.insert(hit.number);
            }
            // A partial record finds its person by the registration alone.
            let email = record.email.as_ref().filter(|_| record.is_whole());
            (key, email.and_then(|email| NonZeroU128::new(index.email_hash(&email.key()))))
        };
        let (updated_at, state) = (record.updated_at, record.state);
        let place = self.found.spool.write(&Item::Record(SpooledRecord { position, raw, mapped, record }))?;
        self.found.candidates.push(Spooled { place, key, email, updated_at, mapped, state });
        Ok(())
    }

    fn collect_groups(&mut self, record: &MappedRecord) {
        if record.groups.is_empty() || matches!(record.state, RecordState::Cancelled | RecordState::Deleted) {
            return;
        }
        let view = self.store.view();
        for group in record.groups.iter().filter(|group| !view.has_group(&group.key)) {
            let known = self.found.new_groups.entry(group.key.clone()).or_insert_with(|| group.clone());
            if group.name < known.name {
                known.name = group.name.clone();
            }
        }
    }

    /// Under the same seed as the digests of raw records: a changed policy must not find everything as it was.
    fn mapped_digest(&self, record: &MappedRecord) -> Digest {
        Digest::of(self.digest_seed, &self.feed.entry.mapping.mapped_digest(record).0.to_le_bytes())
    }

    fn take_rejected(&mut self, position: Position, rejection: Rejection) -> Result<(), Failure> {
        let Rejection { external_id, reason, field } = rejection;
        match &external_id {
            Some(external_id) => self.see(external_id),
            None => self.unidentified = true,
        }
        self.found.counts.reject += 1;
        self.note(RecordNote { position, external_id, verdict: Verdict::Reject { reason, field } })
    }

    /// A rejected record is not a missing one.
    fn see(&mut self, external_id: &ExternalId) {
        let view = self.store.view();
        let key = view.index().registration_hash(&self.feed.id, external_id);
        self.found.seen.extend(view.index().registration(key).map(|hit| hit.number));
    }

    fn note(&mut self, note: RecordNote) -> Result<(), Failure> {
        self.found.notes.push(self.found.spool.write(&Item::Note(note))?);
        Ok(())
    }
}

fn words(why: WaitReason) -> &'static str {
    match why {
        WaitReason::Budget => "the source's allowance is used up",
        WaitReason::RetryAfter => "the source asked for a pause",
        WaitReason::BackOff => "a request failed and will be tried again",
    }
}
