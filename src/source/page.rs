//! From a response to a page: its records, and what it says about the list.
//!
//! Invariant: no I/O, so that it can run off the async threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LINK};
use url::Url;

use super::fault::{Fault, RequestLine};
use super::header::text;
use super::link;
use super::list::List;
use super::paginate::{self, PageFacts};
use super::partition::with_parent;
use super::watermark::Sign;
use crate::config::{CursorSource, IncrementalSpec, PaginationSpec};
use crate::decode::{Charset, Document, Format, RawRecord};
use crate::mapping::{EvaluationError, Expression};
use crate::model::Digest;

const HTML_HINT: &str =
    "this is a web page, no list: check `base_url` and `path`, and that no login or proxy page answers";

/// A complete, successful response.
pub(super) struct Fetched {
    pub(super) request: RequestLine,
    /// Where it was read from, without the credential.
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Decompressed.
    pub(super) body: Bytes,
    /// The body as a page, where it was understood already.
    pub(super) document: Option<Document>,
}

pub(super) struct ParsedPage {
    pub(super) document: Document,
    pub(super) records: Vec<RawRecord>,
    pub(super) facts: PageFacts,
    /// Where the list is incremental.
    pub(super) sign: Option<Sign>,
    pub(super) took: Duration,
}

/// How the pages of a list are understood.
#[derive(Clone)]
pub(super) struct Understanding {
    pub(super) list: Arc<List>,
    /// Most bytes of a page, decoded.
    pub(super) page_bytes_max: u64,
    pub(super) incremental: Option<IncrementalSpec>,
    /// What every record gets as its parent, as JSON.
    pub(super) parent: Option<Arc<str>>,
}

/// Parses a response and selects its records.
pub(super) fn parse(how: &Understanding, fetched: Fetched) -> Result<ParsedPage, Fault> {
    let began = Instant::now();
    let Fetched { request, url, headers, body, document, .. } = fetched;
    let document = match document {
        Some(document) => document,
        None => decoded(how, request, &headers, body)?,
    };
    let Understood { records, facts, sign } = understood(how, &document, url, &headers)?;
    Ok(ParsedPage { document, records, facts, sign, took: began.elapsed() })
}

/// What a page holds.
pub(super) struct Understood {
    pub(super) records: Vec<RawRecord>,
    pub(super) facts: PageFacts,
    pub(super) sign: Option<Sign>,
}

/// Selects the records of a page and reads what it says of the list.
pub(super) fn understood(
    how: &Understanding,
    document: &Document,
    url: Url,
    headers: &HeaderMap,
) -> Result<Understood, Fault> {
    let Understanding { list, incremental, parent, .. } = how;
    let records = list.select.records(document);
    let records = records.map_err(|error| Fault::Select { problem: error.to_string(), hint: error.hint() })?;
    let next = next(&list.pagination, document, &records, headers)?;
    let stop = paginate::stop(&list.pagination);
    let has_more = stop.and_then(|s| s.has_more.as_ref()).map(|e| evaluated(e, e.truthy(document))).transpose()?;
    let last_page = number("last_page", stop.and_then(|s| s.last_page.as_ref()), document)?;
    let total = number("total", stop.and_then(|s| s.total.as_ref()), document)?;
    let (count, digest) = (records.len() as u64, digest(&records));
    let facts = PageFacts { url, records: count, digest, next, has_more, last_page, total };
    let sign = incremental.as_ref().map(|spec| Sign::of(spec, headers, &records)).transpose()?;
    let records = match parent {
        Some(parent) => with_parent(&records, parent),
        None => records,
    };
    Ok(Understood { records, facts, sign })
}

pub(super) fn decoded(
    how: &Understanding,
    request: RequestLine,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Document, Fault> {
    let (format, limit) = (&how.list.format, how.page_bytes_max);
    let declared = text(headers, CONTENT_TYPE).unwrap_or_default();
    let html = is_html(declared, &body);
    if html && matches!(format, Format::Csv(_)) {
        // Much of the web would pass for a table of one column.
        let problem = "invalid CSV: the body looks like HTML or XML".to_owned();
        return Err(Fault::Decode { request, problem, hint: HTML_HINT });
    }
    Document::decode(body, format, Charset::of_content_type(declared), limit).map_err(|error| {
        if error.is_too_large() {
            return Fault::TooLarge { request, limit };
        }
        let hint = if html { HTML_HINT } else { error.hint() };
        Fault::Decode { request, problem: error.to_string(), hint }
    })
}

fn next(
    spec: &PaginationSpec,
    document: &Document,
    records: &[RawRecord],
    headers: &HeaderMap,
) -> Result<Option<String>, Fault> {
    match spec {
        PaginationSpec::Cursor { from: CursorSource::Page(from), .. } | PaginationSpec::NextUrl { from, .. } => {
            evaluated(from, from.scalar(document))
        }
        PaginationSpec::Cursor { from: CursorSource::LastRecord(from), .. } => match records.last() {
            Some(record) => evaluated(from, from.scalar_of_record(record)),
            None => Ok(None),
        },
        PaginationSpec::Cursor { from: CursorSource::Header(name), .. } => {
            let token = text(headers, name).map(str::trim);
            Ok(token.filter(|text| !text.is_empty()).map(str::to_owned))
        }
        PaginationSpec::LinkHeader { .. } => {
            let links = headers.get_all(LINK).into_iter().filter_map(|value| value.to_str().ok());
            Ok(links.filter_map(link::next_target).next().map(str::to_owned))
        }
        PaginationSpec::None | PaginationSpec::Page { .. } | PaginationSpec::Offset { .. } => Ok(None),
    }
}

/// What the page says of the list in a number, under this key of `pagination`.
fn number(key: &str, expression: Option<&Expression>, document: &Document) -> Result<Option<u64>, Fault> {
    let Some(expression) = expression else { return Ok(None) };
    let Some(text) = evaluated(expression, expression.scalar(document))? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Fault::Select {
        problem: format!("`{}` (`{key}`) is no whole number", expression.source()),
        hint: "compare `pagination` with the body that the source really sends",
    })
}

fn evaluated<T>(expression: &Expression, result: Result<T, EvaluationError>) -> Result<T, Fault> {
    result.map_err(|error| Fault::Select { problem: format!("`{}`: {error}", expression.source()), hint: error.hint() })
}

/// One digest for all records, in order. What surrounds them is left out: it may name the page or the time, and so
/// differ where a source sends the same page again.
fn digest(records: &[RawRecord]) -> Digest {
    // Each digest is the next one's seed; its lower half is enough to carry the order on.
    records.iter().fold(Digest(0), |digest, record| Digest::of(digest.0 as u64, record.bytes()))
}

fn is_html(declared: &str, body: &[u8]) -> bool {
    declared.trim_start().to_ascii_lowercase().starts_with("text/html") || body.trim_ascii_start().starts_with(b"<")
}
