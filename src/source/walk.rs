//! One list, page by page, each fetched while the one before is worked on, and where it is foreseen even while that one
//! is parsed. There is one request at a time.

use std::future::pending;
use std::pin::pin;

use jiff::Timestamp;
use reqwest::header::{ETAG, HeaderMap, LAST_MODIFIED};
use tokio::task::spawn_blocking;

use super::bookmark::Bookmark;
use super::caller::Caller;
use super::fault::Fault;
use super::fetch::{Fetcher, Got};
use super::header::text;
use super::page::{self, Fetched, ParsedPage, Understanding};
use super::paginate::{Paginator, Step};
use super::request::Ask;
use super::watermark::Mark;
use crate::model::{Digest, Traffic, Validators};

/// The walk through one list.
pub(super) struct Walk<'s> {
    how: &'s Understanding,
    fetcher: Fetcher<'s>,
    paginator: Paginator<'s>,
    pages_max: u32,
    partition: Digest,
    since: Option<Timestamp>,
    /// The list is asked for only if it is no longer what these say.
    unless: Validators,
    next: Option<Ask>,
    turn: Turn,
    walked: Walked,
}

/// What a walk found out.
#[derive(Default)]
pub(super) struct Walked {
    pub(super) mark: Mark,
    pub(super) validators: Validators,
    pub(super) not_modified: bool,
}

/// Who takes the pages of a list.
pub(super) trait Taker {
    /// Waits until there is room for one more.
    async fn ready(&mut self) -> Result<(), Fault>;
    /// `traffic` is of the read up to and with this page; `bookmark` says where the list goes on after it, or that it
    /// ends; `None` where it cannot.
    fn take(&mut self, page: ParsedPage, traffic: Traffic, bookmark: Option<Bookmark>) -> Result<(), Fault>;
}

/// A page fetched before it was its turn, or why it could not be.
type Ahead = Option<Result<Fetched, Fault>>;

/// Why a walk ended, and where.
pub(super) struct Broken {
    pub(super) fault: Fault,
    pub(super) page: u32,
    pub(super) tries: u32,
}

impl<'s> Walk<'s> {
    pub(super) fn new(how: &'s Understanding, fetcher: Fetcher<'s>, pages_max: u32, partition: Digest) -> Self {
        let paginator = Paginator::new(&how.list.pagination);
        let next = Some(paginator.first());
        let (since, unless, turn, walked) = (None, Validators::default(), Turn::default(), Walked::default());
        Self { how, fetcher, paginator, pages_max, partition, since, unless, next, turn, walked }
    }

    /// Asks for what changed since then.
    pub(super) fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        // Where nothing tells more, the list is as far as it was.
        self.walked.mark.at = since;
        self
    }

    /// Asks for the list only if it has changed.
    pub(super) fn unless(mut self, validators: Validators) -> Self {
        self.unless = validators;
        self
    }

    /// Goes on where a former walk through the list stopped.
    pub(super) fn from(mut self, bookmark: &Bookmark) -> Self {
        self.paginator = Paginator::at(&self.how.list.pagination, bookmark.place);
        self.next = bookmark.next.clone();
        self.turn = Turn { page: bookmark.place.pages_before(), tries: None };
        self.walked.mark = bookmark.mark;
        self
    }

    /// The list's paginator, which knows whether the count reconciles.
    pub(super) const fn paginator(&self) -> &Paginator<'s> {
        &self.paginator
    }

    /// Where the walk is.
    pub(super) fn broken(&self, fault: Fault) -> Broken {
        Broken { fault, page: self.turn.page, tries: self.turn.tries.unwrap_or(self.fetcher.tries()) }
    }

    /// Walks to the end of the list.
    pub(super) async fn run(&mut self, taker: &mut impl Taker) -> Result<Walked, Fault> {
        let mut ahead = None;
        let mut next = self.next.take();
        if next.is_some() {
            self.turn.next(self.pages_max, self.fetcher.caller())?;
        }
        while let Some(ask) = next.take() {
            // Room first, page second: no more pages are held than there is room for, and one ahead.
            taker.ready().await?;
            let fetched = match ahead.take() {
                Some(fetched) => fetched?,
                None => match self.fetch(&ask).await? {
                    Some(fetched) => fetched,
                    None => {
                        self.walked.not_modified = true;
                        break;
                    }
                },
            };
            self.turn.tries = Some(self.fetcher.tries());
            (next, ahead) = self.hand_out(fetched, taker).await?;
        }
        Ok(std::mem::take(&mut self.walked))
    }

    async fn fetch(&mut self, ask: &Ask) -> Result<Got, Fault> {
        if self.unless.is_empty() {
            return self.fetcher.page(ask).await.map(Some);
        }
        self.fetcher.page_unless(ask, &self.unless).await
    }

    /// Parses a page and hands it out; then it is the next one's turn. That is fetched meanwhile where it is foreseen,
    /// and given up where it is not what follows after all.
    async fn hand_out(&mut self, fetched: Fetched, taker: &mut impl Taker) -> Result<(Option<Ask>, Ahead), Fault> {
        self.walked.validators = validators(&fetched.headers);
        let caller = self.fetcher.caller().clone();
        let traffic = caller.traffic();
        let foreseen = self.paginator.foreseen().filter(|_| self.turn.page < self.pages_max);
        let mut parsing = pin!(parse(self.how.clone(), fetched));
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
        self.paginator.check_content(&parsed.facts)?;
        if let (Some(spec), Some(sign)) = (&self.how.incremental, parsed.sign) {
            self.walked.mark.take(spec, sign, self.turn.page == 1);
        }
        let step = self.paginator.after(&parsed.facts);
        let bookmark = step.as_ref().ok().map(|step| Bookmark {
            partition: self.partition.0,
            next: match step {
                Step::Next(ask) => Some(ask.clone()),
                Step::End => None,
            },
            place: self.paginator.place(),
            since: self.since,
            mark: self.walked.mark,
        });
        taker.take(parsed, traffic, bookmark)?;
        let Step::Next(ask) = step? else { return Ok((None, None)) };
        self.turn.next(self.pages_max, &caller)?;
        if foreseen.as_ref() != Some(&ask) {
            return Ok((Some(ask), None));
        }
        if ahead.is_none() {
            ahead = Some(fetching.await);
        }
        Ok((Some(ask), ahead))
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
    fn next(&mut self, limit: u32, caller: &Caller) -> Result<(), Fault> {
        if self.page >= limit {
            return Err(Fault::PagingLoop {
                problem: format!("the list goes on after {limit} pages"),
                hint: "check how `pagination` finds the end of the list, ask for larger pages, or raise `pages_max`",
            });
        }
        *self = Self { page: self.page + 1, tries: None };
        caller.is_at(self.page);
        Ok(())
    }
}

fn validators(headers: &HeaderMap) -> Validators {
    let owned = |name| text(headers, name).map(str::to_owned);
    Validators { etag: owned(ETAG), last_modified: owned(LAST_MODIFIED) }
}

/// Parsing a large page takes long enough to hold up others, so it is done off the async threads.
async fn parse(how: Understanding, fetched: Fetched) -> Result<ParsedPage, Fault> {
    let parsed = spawn_blocking(move || page::parse(&how, fetched)).await;
    parsed.unwrap_or_else(|_| Err(Fault::Internal { problem: "parsing the page broke off".into() }))
}
