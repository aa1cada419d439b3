//! A read: the list of a source, page by page, each fetched while the one before is worked on, and where it is foreseen
//! even while that one is parsed. There is one request at a time.
//!
//! Invariant: pages come in order, none twice, and exactly one of [`ReadEvent::End`] and [`ReadEvent::Failed`] comes
//! last. A list that was not read to its end never ends with `End`.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;
use super::fetch::Fetcher;
use super::page::{self, Fetched, ParsedPage};
use super::paginate::{Paginator, Step};
use super::request::Blueprint;
use super::source::Inner;
use crate::decode::{Document, RawRecord};
use crate::limits;
use crate::model::{RunError, Traffic};

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
    /// The list was read to its end.
    End {
        traffic: Traffic,
        /// As many records were read as the source has always said there are, where it tells.
        reconciles: bool,
        /// A sentence for the run's log, where it does not reconcile.
        note: Option<String>,
    },
    Failed {
        error: RunError,
        traffic: Traffic,
        /// When the source can be asked again, where it is shut until then.
        retry_in: Option<Duration>,
    },
}

/// One page of the list.
pub struct Page {
    /// From 1.
    pub number: u32,
    pub document: Document,
    pub records: Vec<RawRecord>,
    /// What checking it and finding its records took.
    pub parsing: Duration,
    /// Of the read up to and with this page.
    pub traffic: Traffic,
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
    pub(super) fn start(source: Arc<Inner>, params: BTreeMap<String, String>) -> Self {
        let (sender, events) = mpsc::channel(limits::PAGES_AHEAD);
        let task = tokio::spawn(run(source, params, sender));
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
            ReadEvent::End { .. } | ReadEvent::Failed { .. } => self.ended = true,
        }
        Some(event)
    }

    /// The task ended without a word: it panicked.
    fn broken(&self) -> ReadEvent {
        let error = Fault::Internal { problem: "the read ended unexpectedly".into() }.into_run_error(0, 1);
        ReadEvent::Failed { error, traffic: self.traffic, retry_in: None }
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(source: Arc<Inner>, params: BTreeMap<String, String>, events: mpsc::Sender<ReadEvent>) {
    let last = match Blueprint::new(&source.spec.request, &params) {
        Ok(blueprint) => Reader::new(&source, blueprint, events.clone()).run().await,
        Err(fault) => {
            ReadEvent::Failed { error: fault.into_run_error(0, 1), traffic: Traffic::default(), retry_in: None }
        }
    };
    // Nobody listening means that nobody wants to know.
    let _ = events.send(last).await;
}

struct Reader<'s> {
    source: &'s Inner,
    fetcher: Fetcher<'s>,
    paginator: Paginator<'s>,
    events: mpsc::Sender<ReadEvent>,
    turn: Turn,
}

/// A page fetched before it was its turn, or why it could not be.
type Ahead = Option<Result<Fetched, Fault>>;

impl<'s> Reader<'s> {
    fn new(source: &'s Inner, blueprint: Blueprint, events: mpsc::Sender<ReadEvent>) -> Self {
        let deadline = Instant::now() + source.spec.limits.run_timeout;
        let fetcher = Fetcher::new(source, blueprint, deadline, events.clone());
        Self { source, fetcher, paginator: Paginator::new(&source.spec.pagination), events, turn: Turn::default() }
    }

    /// Reads the list; returns the last event.
    async fn run(mut self) -> ReadEvent {
        let deadline = self.fetcher.deadline();
        let read = timeout_at(deadline, self.pages()).await;
        let read = read.unwrap_or(Err(Fault::RunTimeout { limit: self.source.spec.limits.run_timeout }));
        let traffic = self.fetcher.traffic();
        match read {
            Ok(()) => {
                let (reconciles, note) = (self.paginator.reconciles(), self.paginator.note());
                ReadEvent::End { traffic, reconciles, note }
            }
            Err(fault) => {
                let tries = self.turn.tries.unwrap_or(self.fetcher.tries());
                let retry_in = fault.retry_in();
                ReadEvent::Failed { error: fault.into_run_error(self.turn.page, tries), traffic, retry_in }
            }
        }
    }

    async fn pages(&mut self) -> Result<(), Fault> {
        let mut step = Step::Next(self.paginator.first());
        let mut ahead = None;
        self.turn.next(self.source.spec.limits.pages_max)?;
        while let Step::Next(ask) = step {
            // Room first, page second: no more pages are held than the channel has places, and one ahead.
            let gone = |_| Fault::Internal { problem: "nobody reads the pages".into() };
            let place = self.events.clone().reserve_owned().await.map_err(gone)?;
            let fetched = match ahead.take() {
                Some(fetched) => fetched,
                None => self.fetcher.page(&ask).await,
            };
            let fetched = fetched?;
            self.turn.tries = Some(self.fetcher.tries());
            (step, ahead) = self.hand_out(fetched, place).await?;
        }
        Ok(())
    }

    /// Parses a page and hands it out; then it is the next one's turn. That is fetched meanwhile where it is foreseen,
    /// and given up where it is not what follows after all.
    async fn hand_out(&mut self, fetched: Fetched, place: OwnedPermit<ReadEvent>) -> Result<(Step, Ahead), Fault> {
        let (traffic, limit) = (self.fetcher.traffic(), self.source.spec.limits.pages_max);
        let foreseen = self.paginator.foreseen().filter(|_| self.turn.page < limit);
        let mut parsing = pin!(parse(self.source, fetched));
        let mut fetching = pin!(async {
            match &foreseen {
                Some(ask) => self.fetcher.page(ask).await,
                None => pending().await,
            }
        });
        let mut ahead = None;
        let parsed = loop {
            tokio::select! {
                biased;
                fetched = &mut fetching, if ahead.is_none() => ahead = Some(fetched),
                parsed = &mut parsing => break parsed?,
            }
        };
        let ParsedPage { document, records, facts, took: parsing } = parsed;
        self.paginator.check_content(&facts)?;
        place.send(ReadEvent::Page(Page { number: self.turn.page, document, records, parsing, traffic }));
        let step = self.paginator.after(&facts)?;
        let Step::Next(ask) = &step else { return Ok((step, None)) };
        self.turn.next(limit)?;
        if foreseen.as_ref() != Some(ask) {
            return Ok((step, None));
        }
        if ahead.is_none() {
            ahead = Some(fetching.await);
        }
        Ok((step, ahead))
    }
}

/// Which page is being read.
#[derive(Default)]
struct Turn {
    /// From 1.
    page: u32,
    /// How often it was asked for, once it has come.
    tries: Option<u32>,
}

impl Turn {
    fn next(&mut self, limit: u32) -> Result<(), Fault> {
        if self.page >= limit {
            return Err(Fault::PagingLoop {
                problem: format!("the list goes on after {limit} pages"),
                hint: "check how `pagination` finds the end of the list, ask for larger pages, or raise `pages_max`",
            });
        }
        *self = Self { page: self.page + 1, tries: None };
        Ok(())
    }
}

/// Parsing a large page takes long enough to hold up others, so it is done off the async threads.
async fn parse(source: &Inner, fetched: Fetched) -> Result<ParsedPage, Fault> {
    let spec = Arc::clone(&source.spec);
    let parsed = spawn_blocking(move || page::parse(&spec, fetched)).await;
    parsed.unwrap_or_else(|_| Err(Fault::Internal { problem: "parsing the page broke off".into() }))
}
