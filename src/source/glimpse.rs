//! The first page of a source, to look at: what was asked, what came, how the list goes on and what that suggests.
//!
//! Of several lists it is the first one's; parents are read to their end before it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::HeaderMap;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::clues::Clue;
use super::fault::Fault;
use super::fetch::Fetcher;
use super::mask::{self, ShownRequest};
use super::page::{self, Fetched, Understanding, Understood};
use super::paginate::{PageFacts, Paginator, Step};
use super::partition::Partition;
use super::read::{Page, Reader, Start};
use super::request::{Ask, Blueprint, Request};
use super::source::{Inner, Source};
use super::suggest::{Sight, Suggestion, suggestions};
use super::walk::Broken;
use crate::config::{CursorSource, PaginationSpec};
use crate::decode::{Document, Format};
use crate::model::{RunError, Traffic};

/// What a source answered first.
pub struct Glimpse {
    /// `None` where it came to no request of the list.
    pub request: Option<ShownRequest>,
    /// `None` where there was none, or none that says what is wrong by its status.
    pub answer: Option<ShownAnswer>,
    pub page: Result<Page, RunError>,
    /// `None` where there is no page.
    pub onward: Option<Onward>,
    pub suggestions: Vec<Suggestion>,
    pub traffic: Traffic,
}

/// An answer, but for its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownAnswer {
    pub status: u16,
    /// Those that say what it is, how the list goes on and what else is allowed; secrets masked. None of an answer that
    /// is refused.
    pub headers: Vec<(String, String)>,
    /// Decompressed; 0 of an answer that is refused, whose body is not looked at here.
    pub bytes: u64,
    /// From the request to the end of the body, with every try and the pauses between them, but without waiting for the
    /// budget.
    pub took: Duration,
}

/// How the list goes on after the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// By this request.
    Next(ShownRequest),
    /// Not at all, and by what sign.
    End(&'static str),
    /// It should, but cannot.
    Fault(String),
}

const NO_WAY_ON: &str = "the page names no next one";
const NO_PARENTS: &str = "there is no parent, so that there is no list of records";

impl Source {
    /// Reads the first page of everything there is, within the source's budget. `params` are as for [`Self::read`].
    pub async fn glimpse(&self, params: &BTreeMap<String, String>) -> Glimpse {
        // Nobody listens to the waits.
        let (events, _waits) = mpsc::channel(1);
        let inner = &*self.inner;
        let reader = Reader::new(inner, Start { params: params.clone(), ..Start::default() }, events);
        let mut glimpse = Glimpse {
            request: None,
            answer: None,
            page: Err(Fault::RunTimeout { limit: inner.spec.limits.run_timeout }.into_run_error(1, 1)),
            onward: None,
            suggestions: Vec::new(),
            traffic: Traffic::default(),
        };
        if let Ok(Err(Broken { fault, page, tries })) =
            timeout_at(reader.caller.deadline, look(&reader, &mut glimpse)).await
        {
            glimpse.page = Err(fault.into_run_error(page, tries));
        }
        glimpse.traffic = reader.caller.traffic();
        glimpse
    }
}

async fn look(reader: &Reader<'_>, glimpse: &mut Glimpse) -> Result<(), Broken> {
    let partition = first_list(reader).await?;
    let how = Understanding { parent: partition.json(), ..reader.source.how.clone() };
    let blueprint = || reader.blueprint(&how, &partition, reader.vars());
    let shown = Shown { source: reader.source, blueprint: blueprint()? };
    let mut paginator = Paginator::new(&how.list.pagination);
    let fetched = fetch(reader.fetcher(blueprint()?), &shown, &paginator.first(), glimpse).await?;
    let parsing = Instant::now();
    let Seen { document, clue, headers, understood } = seen(how.clone(), fetched).await.map_err(broken)?;
    let facts = understood.as_ref().ok().map(|understood| &understood.facts);
    glimpse.onward = facts.map(|facts| shown.onward(&mut paginator, facts));
    glimpse.suggestions = suggestions(&Sight {
        source: &reader.source.spec.name,
        pagination: &how.list.pagination,
        clue: clue.as_ref(),
        headers: &headers,
        selected: facts.map(|facts| facts.records),
        ends: matches!(glimpse.onward, None | Some(Onward::End(_))),
    });
    let Understood { records, .. } = understood.map_err(broken)?;
    let (parsing, traffic) = (parsing.elapsed(), reader.caller.traffic());
    glimpse.page = Ok(Page { number: 1, document, records, parsing, traffic, bookmark: None });
    Ok(())
}

/// A fault that another try would not mend.
fn broken(fault: Fault) -> Broken {
    Broken { fault, page: 1, tries: 1 }
}

async fn first_list(reader: &Reader<'_>) -> Result<Partition, Broken> {
    let partitions = reader.partitions().await.map_err(|list| list.broken)?;
    let hint = "check the `partition` settings, and what the list of parents holds";
    partitions.into_iter().next().ok_or_else(|| broken(Fault::Select { problem: NO_PARENTS.into(), hint }))
}

/// Gets the page, and notes what was asked and what came.
async fn fetch(
    mut fetcher: Fetcher<'_>,
    shown: &Shown<'_>,
    ask: &Ask,
    glimpse: &mut Glimpse,
) -> Result<Fetched, Broken> {
    let request = shown.blueprint.request(ask).map_err(broken)?;
    glimpse.request = Some(shown.request(&request));
    let (began, before) = (Instant::now(), fetcher.caller().traffic());
    let fetched = fetcher.page(ask).await;
    let waited = Duration::from_millis(fetcher.caller().traffic().wait_ms - before.wait_ms);
    let took = began.elapsed().saturating_sub(waited);
    match fetched {
        Ok(fetched) => {
            let (status, bytes) = (fetched.status, fetched.body.len() as u64);
            glimpse.answer = Some(ShownAnswer { status, headers: shown.headers(&fetched), bytes, took });
            Ok(fetched)
        }
        Err(fault) => {
            let refused = |status| ShownAnswer { status, headers: Vec::new(), bytes: 0, took };
            glimpse.answer = fault.status().map(refused);
            Err(Broken { fault, page: 1, tries: fetcher.tries() })
        }
    }
}

/// Shows what one list is asked.
struct Shown<'s> {
    source: &'s Inner,
    blueprint: Blueprint,
}

impl Shown<'_> {
    fn request(&self, request: &Request) -> ShownRequest {
        mask::request(request, &self.source.spec.auth, self.source.how.list.format.accept())
    }

    fn headers(&self, fetched: &Fetched) -> Vec<(String, String)> {
        let also = match &self.source.spec.pagination {
            PaginationSpec::Cursor { from: CursorSource::Header(name), .. } => Some(name.as_str()),
            _ => None,
        };
        // What carries the credential there is masked here, too.
        let also = also.filter(|also| !mask::is_credential(&self.source.spec.auth, also));
        mask::answer_headers(&fetched.headers, &fetched.url, &self.source.spec.auth, also)
    }

    fn onward(&self, paginator: &mut Paginator<'_>, facts: &PageFacts) -> Onward {
        let fault = |fault: Fault| {
            let RunError { message, hint, .. } = fault.into_run_error(0, 1);
            Onward::Fault(format!("{message}; {hint}"))
        };
        match paginator.after(facts) {
            Ok(Step::Next(ask)) => {
                self.blueprint.request(&ask).map_or_else(fault, |next| Onward::Next(self.request(&next)))
            }
            Ok(Step::End) => Onward::End(paginator.sign_of_the_end(facts).unwrap_or(NO_WAY_ON)),
            Err(broken) => fault(broken),
        }
    }
}

/// An answer looked at.
struct Seen {
    document: Document,
    /// Of a body that came as JSON.
    clue: Option<Clue>,
    headers: HeaderMap,
    /// As a page of the list.
    understood: Result<Understood, Fault>,
}

/// A large page takes a while, so it is looked at off the async threads.
async fn seen(how: Understanding, fetched: Fetched) -> Result<Seen, Fault> {
    let look = move || {
        let Fetched { request, url, headers, body, document, .. } = fetched;
        let document = match document {
            Some(document) => document,
            None => page::decoded(&how, request, &headers, body)?,
        };
        let clue = if matches!(how.list.format, Format::Json) { Clue::of(document.bytes()) } else { None };
        let understood = page::understood(&how, &document, url, &headers);
        Ok(Seen { document, clue, headers, understood })
    };
    spawn_blocking(look)
        .await
        .unwrap_or_else(|_| Err(Fault::Internal { problem: "looking at the page broke off".into() }))
}
