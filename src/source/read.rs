//! A read: the lists of a source, one after another or a few at a time, as pages.
//!
//! Invariant: pages of one list come in order, none twice, and exactly one of [`ReadEvent::End`] and
//! [`ReadEvent::Failed`] comes last. What was not read to its end never ends with `End`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::task::JoinHandle;
use tokio::time::timeout_at;

use super::bookmark::Bookmark;
use super::caller::Caller;
use super::fault::Fault;
use super::fetch::Fetcher;
use super::page::{ParsedPage, Understanding};
use super::partition::{self, Partition};
use super::request::Blueprint;
use super::source::{Inner, Level};
use super::walk::{Broken, Taker, Walk, Walked};
use crate::config::{ParentList, SINCE, Vars};
use crate::decode::{Document, RawRecord};
use crate::limits;
use crate::model::{Digest, RunError, Traffic, Validators};

/// What a read begins with. The default reads everything.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Fill in the `{param.x}` placeholders, by their bare names.
    pub params: BTreeMap<String, String>,
    /// Only these records, by the ids that hooks named, and by the request of the source's `hook`.
    pub only: Option<Arc<BTreeSet<String>>>,
    /// How far each list was read before, where only what changed since is wanted. Lists that are new are read whole.
    pub watermarks: BTreeMap<Digest, Timestamp>,
    /// The list is wanted only if it is no longer what these say.
    pub unless: Validators,
    /// Where an interrupted read stopped, list by list.
    pub bookmarks: BTreeMap<Digest, Bookmark>,
    /// How many pages that one had.
    pub pages: u32,
}

/// A read that goes on by itself, as far ahead as `limits::PAGES_AHEAD`. Dropping it stops it.
#[derive(Debug)]
pub struct Read {
    events: mpsc::Receiver<ReadEvent>,
    task: JoinHandle<()>,
    ended: bool,
    traffic: Traffic,
}

/// What a read tells.
#[derive(Debug)]
pub enum ReadEvent {
    Page(Page),
    /// The source is not asked for a while; told only of pauses of a second or more, and only to who listens now.
    Waiting {
        pause: Duration,
        why: WaitReason,
    },
    /// Everything was read to its end.
    End(End),
    Failed {
        error: RunError,
        traffic: Traffic,
        /// When the source can be asked again, where it is shut until then.
        retry_in: Option<Duration>,
        /// The source answered that the very request is no good, so that a place in its list may be none any more.
        refuses_place: bool,
    },
}

/// How a read ended well.
#[derive(Debug, Default)]
pub struct End {
    pub traffic: Traffic,
    /// As many records were read as the source has always said there are, where it tells.
    pub reconciles: bool,
    /// A sentence for the run's log, where it does not reconcile.
    pub note: Option<String>,
    /// The list is what it was; there were no pages.
    pub not_modified: bool,
    /// How far each list was read, where the source is incremental.
    pub watermarks: BTreeMap<Digest, Timestamp>,
    /// By which the list can be told from a later one, where it is one answer.
    pub validators: Validators,
}

/// One page of a list.
pub struct Page {
    /// From 1, over all lists.
    pub number: u32,
    pub document: Document,
    pub records: Vec<RawRecord>,
    /// What checking it and finding its records took.
    pub parsing: Duration,
    /// Of the read up to and with this page.
    pub traffic: Traffic,
    /// Where its list goes on. Where that cannot be said, this is the last page before a failure.
    pub bookmark: Option<Box<Bookmark>>,
}

impl fmt::Debug for Page {
    /// Without the records: they are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("number", &self.number)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}

/// Why the source is not asked now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitReason {
    /// The source's allowance is used up.
    Budget,
    /// The source asked for a pause.
    RetryAfter,
    /// A request failed and will be tried again.
    BackOff,
}

impl WaitReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::RetryAfter => "retry_after",
            Self::BackOff => "back_off",
        }
    }
}

impl Read {
    pub(super) fn start(source: Arc<Inner>, start: Start) -> Self {
        let ahead = limits::PAGES_AHEAD - 1 + source.spec.limits.concurrency as usize;
        let (sender, events) = mpsc::channel(ahead);
        let task = tokio::spawn(run(source, start, sender));
        Self { events, task, ended: false, traffic: Traffic::default() }
    }

    /// The next event; `None` after the last one.
    pub async fn next(&mut self) -> Option<ReadEvent> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().await.unwrap_or_else(|| self.broken());
        match &event {
            ReadEvent::Page(page) => self.traffic = page.traffic,
            ReadEvent::Waiting { .. } => {}
            ReadEvent::End(_) | ReadEvent::Failed { .. } => self.ended = true,
        }
        Some(event)
    }

    /// The task ended without a word: it panicked.
    fn broken(&self) -> ReadEvent {
        let error = Fault::Internal { problem: "the read ended unexpectedly".into() }.into_run_error(0, 1);
        ReadEvent::Failed { error, traffic: self.traffic, retry_in: None, refuses_place: false }
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(source: Arc<Inner>, start: Start, events: mpsc::Sender<ReadEvent>) {
    let last = Reader::new(&source, start, events.clone()).run().await;
    // Nobody listening means that nobody wants to know.
    let _ = events.send(last).await;
}

pub(super) struct Reader<'s> {
    pub(super) source: &'s Inner,
    start: Start,
    pub(super) params: Vars,
    pub(super) caller: Caller,
    events: mpsc::Sender<ReadEvent>,
    /// Pages handed out.
    pages: AtomicU32,
    pub(super) end: Mutex<End>,
}

/// What broke, and in which of the lists, from 1.
pub(super) struct BrokenList {
    pub(super) broken: Broken,
    pub(super) list: Option<(usize, usize)>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s Inner, start: Start, events: mpsc::Sender<ReadEvent>) -> Self {
        let params = start.params.iter().map(|(name, value)| (format!("param.{name}"), value.clone())).collect();
        let end = End { reconciles: true, ..End::default() };
        Self {
            source,
            params,
            caller: Caller::new(source, events.clone()),
            events,
            pages: AtomicU32::new(start.pages),
            start,
            end: Mutex::new(end),
        }
    }

    /// Reads everything; returns the last event.
    async fn run(self) -> ReadEvent {
        let read = timeout_at(self.caller.deadline, async {
            match &self.start.only {
                None => self.lists().await,
                Some(ids) => self.singles(ids).await,
            }
        });
        let read = read.await;
        let traffic = self.caller.traffic();
        match read {
            Ok(Ok(())) => ReadEvent::End(End { traffic, ..self.end.into_inner() }),
            Ok(Err(BrokenList { broken: Broken { fault, page, tries }, list })) => {
                let (retry_in, refuses_place) = (fault.retry_in(), fault.refuses_place());
                let mut error = fault.into_run_error(page, tries);
                if let Some((list, of)) = list {
                    error.message = format!("list {list} of {of}: {}", error.message);
                }
                ReadEvent::Failed { error, traffic, retry_in, refuses_place }
            }
            Err(_) => {
                let (page, tries) = self.caller.at();
                ReadEvent::Failed {
                    error: self.caller.out_of_time().into_run_error(page, tries),
                    traffic,
                    retry_in: None,
                    refuses_place: false,
                }
            }
        }
    }

    async fn lists(&self) -> Result<(), BrokenList> {
        let partitions = self.partitions().await?;
        let of = partitions.len();
        let together = self.source.spec.limits.concurrency as usize;
        let walks = partitions.into_iter().enumerate().map(|(n, partition)| async move {
            let named = |broken| BrokenList { broken, list: (of > 1).then_some((n + 1, of)) };
            self.list(&partition).await.map_err(named)
        });
        stream::iter(walks).buffer_unordered(together).try_collect().await
    }

    /// The source's lists: level by level, each parent once.
    pub(super) async fn partitions(&self) -> Result<Vec<Partition>, BrokenList> {
        let mut partitions = vec![Partition::whole()];
        for level in &self.source.levels {
            let mut below = Vec::new();
            for partition in &partitions {
                match level {
                    Level::Fixed(rows) => below.extend(rows.iter().map(|row| partition.below(row))),
                    Level::List { spec, how } => {
                        let rows = self.parents(spec, how, partition).await;
                        let rows = rows.map_err(|broken| BrokenList { broken, list: None })?;
                        below.extend(rows.iter().map(|row| partition.below(row)));
                    }
                }
                if below.len() > limits::PARTITIONS_MAX {
                    let (limit, page, tries) = (limits::PARTITIONS_MAX, 0, 1);
                    let fault = Fault::Select {
                        problem: format!("there are more than {limit} parents"),
                        hint: "leave out those that need not be read, by `skip_when` or the request of the `partition`",
                    };
                    return Err(BrokenList { broken: Broken { fault, page, tries }, list: None });
                }
            }
            let mut seen = BTreeSet::new();
            below.retain(|partition| seen.insert(partition.key()));
            partitions = below;
        }
        Ok(partitions)
    }

    /// Reads a list of parents to its end.
    async fn parents(
        &self,
        spec: &ParentList,
        how: &Understanding,
        above: &Partition,
    ) -> Result<Vec<BTreeMap<String, String>>, Broken> {
        let mut taker = Parents { spec, rows: Vec::new() };
        let mut walk = self.walk(how, above, self.params.clone())?;
        if self.walked(&mut walk, &mut taker).await?.is_some() && !walk.paginator().reconciles() {
            let note = walk.paginator().note().map(|note| format!("a list of parents: {note}"));
            self.end.lock().doubt(note);
        }
        Ok(taker.rows)
    }

    /// Reads one list of records to its end.
    async fn list(&self, partition: &Partition) -> Result<(), Broken> {
        let key = partition.key();
        let bookmark = self.start.bookmarks.get(&key);
        let (since, vars) =
            self.since(bookmark.map_or_else(|| self.start.watermarks.get(&key).copied(), |b| b.since))?;
        let how = Understanding { parent: partition.json(), ..self.source.how.clone() };
        let mut walk = self.walk(&how, partition, vars)?.since(since).unless(self.start.unless.clone());
        if let Some(bookmark) = bookmark {
            walk = walk.from(bookmark);
        }
        let mut taker = Records::of(self);
        let Some(walked) = self.walked(&mut walk, &mut taker).await? else { return Ok(()) };
        let (reconciles, note) = (walk.paginator().reconciles(), walk.paginator().note());
        self.ended(key, walked, if reconciles { None } else { Some(note) });
        Ok(())
    }

    /// Walks to the end of a list. `None` where it ended by a fault that the source's rules ignore.
    async fn walked(&self, walk: &mut Walk<'_>, taker: &mut impl Taker) -> Result<Option<Walked>, Broken> {
        let fault = match walk.run(taker).await {
            Ok(walked) => return Ok(Some(walked)),
            Err(fault) => fault,
        };
        let broken = walk.broken(fault);
        if !broken.fault.is_ignored() {
            return Err(broken);
        }
        let Broken { fault, page, .. } = broken;
        self.end.lock().doubt(Some(format!("page {page}: {fault}: the list ends there and is not complete")));
        Ok(None)
    }

    /// From when on to ask for changes, with the variables that say so.
    fn since(&self, since: Option<Timestamp>) -> Result<(Option<Timestamp>, Vars), Broken> {
        let mut vars = self.params.clone();
        if let (Some(since), Some(spec)) = (since, &self.source.spec.incremental) {
            let from = since.saturating_sub(spec.lookback).unwrap_or(since);
            let text = spec.format.write(from).ok_or_else(|| {
                let problem = "the time to ask from cannot be written in the `format` of `incremental`".into();
                Broken { fault: Fault::Config { problem }, page: 0, tries: 1 }
            })?;
            vars.insert(SINCE.to_owned(), text);
        }
        Ok((since, vars))
    }

    pub(super) fn walk<'w>(
        &'w self,
        how: &'w Understanding,
        partition: &Partition,
        vars: Vars,
    ) -> Result<Walk<'w>, Broken> {
        let fetcher = self.fetcher(self.blueprint(how, partition, &vars)?);
        Ok(Walk::new(how, fetcher, self.source.spec.limits.pages_max, partition.key()))
    }

    pub(super) fn blueprint(
        &self,
        how: &Understanding,
        partition: &Partition,
        vars: &Vars,
    ) -> Result<Blueprint, Broken> {
        let blueprint = Blueprint::new(&how.list.request, partition.vars(vars));
        blueprint.map_err(|fault| Broken { fault, page: 0, tries: 1 })
    }

    pub(super) fn fetcher(&self, blueprint: Blueprint) -> Fetcher<'_> {
        Fetcher::new(self.source, blueprint, self.caller.clone())
    }

    /// What the templates of a read of everything are filled in with.
    pub(super) const fn vars(&self) -> &Vars {
        &self.params
    }

    /// Takes up what the walk through a list found; `doubt`: that its count does not reconcile.
    fn ended(&self, key: Digest, walked: Walked, doubt: Option<Option<String>>) {
        let mut end = self.end.lock();
        end.not_modified |= walked.not_modified;
        // Of many answers no one stands for the list.
        if self.source.is_one_answer() {
            end.validators = walked.validators;
        }
        end.watermarks.extend(walked.mark.at.map(|at| (key, at)));
        if let Some(note) = doubt {
            end.doubt(note);
        }
    }
}

impl End {
    fn doubt(&mut self, note: Option<String>) {
        self.reconciles = false;
        self.note = self.note.take().or(note);
    }
}

/// Takes what is wanted of parents.
struct Parents<'p> {
    spec: &'p ParentList,
    rows: Vec<BTreeMap<String, String>>,
}

impl Taker for Parents<'_> {
    async fn ready(&mut self) -> Result<(), Fault> {
        Ok(())
    }

    fn take(&mut self, page: ParsedPage, _: Traffic, _: Option<Bookmark>) -> Result<(), Fault> {
        self.rows.extend(partition::parents(self.spec, &page.records)?);
        Ok(())
    }
}

/// Hands pages of records to whoever reads.
pub(super) struct Records<'r, 's> {
    reader: &'r Reader<'s>,
    place: Option<OwnedPermit<ReadEvent>>,
}

impl<'r, 's> Records<'r, 's> {
    pub(super) const fn of(reader: &'r Reader<'s>) -> Self {
        Self { reader, place: None }
    }
}

impl Taker for Records<'_, '_> {
    async fn ready(&mut self) -> Result<(), Fault> {
        let gone = |_| Fault::Internal { problem: "nobody reads the pages".into() };
        self.place = Some(self.reader.events.clone().reserve_owned().await.map_err(gone)?);
        Ok(())
    }

    fn take(&mut self, page: ParsedPage, traffic: Traffic, bookmark: Option<Bookmark>) -> Result<(), Fault> {
        let ParsedPage { document, records, took: parsing, .. } = page;
        let number = self.reader.pages.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(place) = self.place.take() {
            place.send(ReadEvent::Page(Page {
                number,
                document,
                records,
                parsing,
                traffic,
                bookmark: bookmark.map(Box::new),
            }));
        }
        Ok(())
    }
}
