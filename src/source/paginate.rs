//! Which page comes next, decided on raw records: what filters drop later cannot end a list early.
//!
//! Invariant: pure. A list ends only where the source says so; what contradicts itself is a fault, lest half a
//! list pass for the whole.

use std::collections::hash_map::{Entry, HashMap};

use serde::{Deserialize, Serialize};
use url::Url;

use super::fault::{Fault, RequestLine, shown_origin};
use super::request::{Ask, Token};
use crate::config::{CursorPlace, CursorSource, PageSize, PaginationSpec, Repeated, Sign, StopSpec};
use crate::limits;
use crate::model::Digest;

const NEXT_HINT: &str = "compare how `pagination` finds the next page with the answers that the source really sends";
const LOOP_HINT: &str = "compare the `pagination` settings with the source's documentation";

/// What a page says about the list.
#[derive(Debug, Clone)]
pub(super) struct PageFacts {
    /// Where it was read from.
    pub(super) url: Url,
    /// Raw records in it.
    pub(super) records: u64,
    /// Of the records' bytes.
    pub(super) digest: Digest,
    /// The cursor or next URL, where the kind has one.
    pub(super) next: Option<String>,
    /// `None` where it is not configured.
    pub(super) has_more: Option<bool>,
    /// The number of the last page.
    pub(super) last_page: Option<u64>,
    pub(super) total: Option<u64>,
}

/// What to do after a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Next(Ask),
    End,
}

/// A number that pages tell of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    /// As the first page that tells says.
    first: Option<u64>,
    latest: Option<u64>,
}

impl Told {
    fn hear(&mut self, told: Option<u64>) {
        self.first = self.first.or(told);
        self.latest = told.or(self.latest);
    }

    /// What was told at first and what later, where that is not the same.
    fn moved(self) -> Option<(u64, u64)> {
        self.first.zip(self.latest).filter(|(first, latest)| first != latest)
    }
}

/// How far a list was walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The page asked for last, from 1.
    page: u32,
    /// Where the page asked for last begins: its number or offset.
    position: u64,
    records: u64,
    total: Told,
    last_page: Told,
    empty_in_a_row: u32,
    /// Of the cursor or URL that the page asked for last was asked for with.
    asked: Option<Digest>,
}

impl Place {
    /// How many pages came before the one that is asked for next.
    pub(super) const fn pages_before(&self) -> u32 {
        self.page.saturating_sub(1)
    }
}

/// Walks a list. One per read.
pub(super) struct Paginator<'s> {
    spec: &'s PaginationSpec,
    at: Place,
    /// Digests of cursors, of next URLs and of the records of pages, and the page that had them first.
    cursors: HashMap<Digest, u32>,
    contents: HashMap<Digest, u32>,
}

impl<'s> Paginator<'s> {
    pub(super) fn new(spec: &'s PaginationSpec) -> Self {
        let position = match spec {
            PaginationSpec::Page { first, .. } | PaginationSpec::Offset { first, .. } => *first,
            _ => 0,
        };
        let at = Place {
            page: 1,
            position,
            records: 0,
            total: Told::default(),
            last_page: Told::default(),
            empty_in_a_row: 0,
            asked: None,
        };
        Self::at(spec, at)
    }

    /// Goes on from a place. What came before it is not known to the guard against loops.
    pub(super) fn at(spec: &'s PaginationSpec, at: Place) -> Self {
        Self { spec, at, cursors: HashMap::new(), contents: HashMap::new() }
    }

    pub(super) const fn place(&self) -> Place {
        self.at
    }

    pub(super) fn first(&self) -> Ask {
        match self.spec {
            PaginationSpec::Page { param, size, .. } => numbered(self.at.position, param.as_ref(), size.as_ref()),
            PaginationSpec::Offset { param, size, .. } => numbered(self.at.position, param.as_ref(), Some(size)),
            _ => Ask::Query(Vec::new()),
        }
    }

    /// Were as many records and pages read as the source has always said there are? A number that changed on the way is
    /// a list that moved: someone may have slipped from a page not yet read to one read already.
    pub(super) fn reconciles(&self) -> bool {
        let moved = self.at.total.moved().is_some() || self.at.last_page.moved().is_some();
        let all_records = self.at.total.latest.is_none_or(|total| total == self.at.records);
        !moved && all_records && self.page_missed().is_none()
    }

    /// The last page by its number, where the list ended before it.
    fn page_missed(&self) -> Option<u64> {
        self.at.last_page.latest.filter(|last| *last > self.at.position)
    }

    /// What an operator should know of a list that was read to its end: that its count does not reconcile.
    pub(super) fn note(&self) -> Option<String> {
        for (moved, what) in [(self.at.total.moved(), "records"), (self.at.last_page.moved(), "pages")] {
            if let Some((first, last)) = moved {
                return Some(format!("the list changed while it was read: of {first} {what} at first, then {last}"));
            }
        }
        if let Some(last) = self.page_missed() {
            let position = self.at.position;
            return Some(format!(
                "the source says that page {last} is the last, but the list ended at page {position}"
            ));
        }
        let total = self.at.total.latest.filter(|total| *total != self.at.records)?;
        let mut note = format!("the source says that there are {total} records, but {} were read", self.at.records);
        if let PaginationSpec::Page { size: Some(PageSize { size, .. }), .. }
        | PaginationSpec::Offset { size: PageSize { size, .. }, .. } = self.spec
            && self.at.records < total
        {
            let cap =
                format!("; page {} was the last, as shorter than {size}: the source may cap its pages", self.at.page);
            note.push_str(&cap);
        }
        Some(note)
    }

    /// Refuses a page that an earlier one equals. To be asked before a page is handed out.
    pub(super) fn check_content(&mut self, facts: &PageFacts) -> Result<(), Fault> {
        if facts.records == 0 {
            return Ok(());
        }
        let earlier = match self.contents.entry(facts.digest) {
            Entry::Vacant(entry) => {
                entry.insert(self.at.page);
                return Ok(());
            }
            Entry::Occupied(entry) => *entry.get(),
        };
        Err(Fault::PagingLoop {
            problem: format!("it holds the same records as page {earlier}; {}", self.suspect()),
            hint: LOOP_HINT,
        })
    }

    /// Decides after a page. The order of the rules: `has_more` above all, then `last_page`, then `total` where it is
    /// reached, then the kind's own signs.
    pub(super) fn after(&mut self, facts: &PageFacts) -> Result<Step, Fault> {
        self.at.records += facts.records;
        self.at.total.hear(facts.total);
        self.at.last_page.hear(facts.last_page);
        self.count_empty(facts)?;
        if self.is_last(facts) {
            return Ok(Step::End);
        }
        let next = match self.spec {
            PaginationSpec::None => None,
            PaginationSpec::Page { param, size, .. } => {
                self.at.position += 1;
                Some(numbered(self.at.position, param.as_ref(), size.as_ref()))
            }
            PaginationSpec::Offset { param, size, .. } => {
                self.at.position += offset_step(facts.records, size.size);
                Some(numbered(self.at.position, param.as_ref(), Some(size)))
            }
            PaginationSpec::Cursor { param, stop, .. } => self.next_cursor(facts, param, stop.repeated)?,
            PaginationSpec::NextUrl { stop, .. } | PaginationSpec::LinkHeader { stop } => {
                self.next_url(facts, stop.repeated)?
            }
        };
        self.at.page += 1;
        match next {
            Some(ask) => Ok(Step::Next(ask)),
            None if facts.has_more == Some(true) => Err(self.no_way_on()),
            None => Ok(Step::End),
        }
    }

    /// What follows the page asked for last, where that is known before it is understood: a page before told the number
    /// of the last one, or pages are numbered, those before it were full, and the total that they told goes beyond it.
    pub(super) fn foreseen(&self) -> Option<Ask> {
        let (param, size, stop, step) = match self.spec {
            PaginationSpec::Page { param, size, stop, .. } => (param, size.as_ref(), stop, 1),
            PaginationSpec::Offset { param, size, stop, .. } => (param, Some(size), stop, size.size),
            _ => return None,
        };
        let more = match self.at.last_page.latest {
            Some(last) => last > self.at.position,
            None => size.is_some_and(|size| self.more_by_total(size.size)),
        };
        (more && stop.has_more.is_none()).then(|| numbered(self.at.position + step, param.as_ref(), size))
    }

    /// Were all pages before the one asked for last full, and will there be records after it if it is, too?
    fn more_by_total(&self, size: u64) -> bool {
        let full = self.at.records == size.saturating_mul(u64::from(self.at.page) - 1);
        full && self.at.total.latest.is_some_and(|total| total > self.at.records.saturating_add(size))
    }

    fn is_last(&self, facts: &PageFacts) -> bool {
        self.sign_of_the_end(facts).is_some()
    }

    /// By what the page asked for last is the last one, where it is not for want of a way on.
    pub(super) fn sign_of_the_end(&self, facts: &PageFacts) -> Option<&'static str> {
        if let Some(more) = facts.has_more {
            return (!more).then_some("`has_more` says that there is no more");
        }
        if let Some(last) = facts.last_page {
            return (self.at.position >= last).then_some("`last_page` says that it is the last page");
        }
        if facts.total.is_some_and(|total| self.at.records >= total) {
            return Some("as many records came as `total` says there are");
        }
        let (stop, size, empty) = match self.spec {
            PaginationSpec::None => return Some("one answer is the whole list (`kind` is \"none\")"),
            PaginationSpec::Page { size, stop, .. } => (stop, size.as_ref().map(|size| size.size), Sign::End),
            PaginationSpec::Offset { size, stop, .. } => (stop, Some(size.size), Sign::End),
            PaginationSpec::Cursor { size, stop, .. } => (stop, *size, Sign::GoesOn),
            PaginationSpec::NextUrl { stop, .. } | PaginationSpec::LinkHeader { stop } => (stop, None, Sign::GoesOn),
        };
        match facts.records {
            0 => (stop.empty_page.unwrap_or(empty) == Sign::End).then_some("the page is empty"),
            records => {
                let is_short = size.is_some_and(|size| records < size) && stop.short_page == Sign::End;
                is_short.then_some("the page is shorter than `size`")
            }
        }
    }

    /// Pages may be empty while the list goes on (a source that filters after it cuts pages), but not for ever.
    fn count_empty(&mut self, facts: &PageFacts) -> Result<(), Fault> {
        self.at.empty_in_a_row = if facts.records == 0 { self.at.empty_in_a_row + 1 } else { 0 };
        if self.at.empty_in_a_row < limits::EMPTY_PAGES_MAX {
            return Ok(());
        }
        Err(Fault::PagingLoop {
            problem: format!("{} pages in a row were empty, and still there are more", self.at.empty_in_a_row),
            hint: "check `select`, and how `pagination` finds the end of the list",
        })
    }

    fn next_cursor(
        &mut self,
        facts: &PageFacts,
        place: &CursorPlace,
        repeated: Repeated,
    ) -> Result<Option<Ask>, Fault> {
        let Some(cursor) = &facts.next else { return Ok(None) };
        self.check_length("cursor", cursor)?;
        if repeated == Repeated::End && self.at.asked == Some(Digest::of(0, cursor.as_bytes())) {
            return Ok(None);
        }
        self.first_seen("the cursor", cursor, || format!("'{}'", shown(cursor)))?;
        Ok(Some(match place {
            CursorPlace::Query(param) => Ask::Query(vec![(param.clone(), cursor.clone())]),
            CursorPlace::Body(key) => Ask::Body { key: key.clone(), value: cursor.clone() },
            CursorPlace::Templates => Ask::Cursor { token: Token::Text(cursor.clone()), query: Vec::new() },
        }))
    }

    fn next_url(&mut self, facts: &PageFacts, repeated: Repeated) -> Result<Option<Ask>, Fault> {
        let Some(text) = &facts.next else { return Ok(None) };
        self.check_length("next URL", text)?;
        let masked = |url| RequestLine::new(&reqwest::Method::GET, url);
        let problem = |error| format!("page {} names a next page that is no URL: {error}", self.at.page);
        let mut next =
            facts.url.join(text).map_err(|error| Fault::Select { problem: problem(error), hint: NEXT_HINT })?;
        if next.origin() != facts.url.origin() {
            let target = shown_origin(&next);
            return Err(Fault::OtherOrigin { request: masked(&facts.url), what: "the next page's URL", target });
        }
        next.set_fragment(None);
        if self.at.page == 1 {
            let first = Digest::of(0, facts.url.as_str().as_bytes());
            self.cursors.insert(first, 0);
            self.at.asked = Some(first);
        }
        if repeated == Repeated::End && self.at.asked == Some(Digest::of(0, next.as_str().as_bytes())) {
            return Ok(None);
        }
        self.first_seen("the next URL", next.as_str(), || masked(&next).to_string())?;
        Ok(Some(Ask::Url(next)))
    }

    /// Refuses what no request can carry.
    fn check_length(&self, what: &str, text: &str) -> Result<(), Fault> {
        let (bytes, limit) = (text.len(), limits::CURSOR_BYTES_MAX);
        if bytes <= limit {
            return Ok(());
        }
        let problem =
            format!("the {what} that page {} gives has {bytes} bytes; at most {limit} can be sent", self.at.page);
        Err(Fault::Select { problem, hint: NEXT_HINT })
    }

    /// Refuses a cursor or URL seen before. The next page is asked for with it.
    fn first_seen(&mut self, what: &str, text: &str, shown: impl Fn() -> String) -> Result<(), Fault> {
        let digest = Digest::of(0, text.as_bytes());
        let earlier = match self.cursors.entry(digest) {
            Entry::Vacant(entry) => {
                entry.insert(self.at.page);
                self.at.asked = Some(digest);
                return Ok(());
            }
            Entry::Occupied(entry) => *entry.get(),
        };
        let before = match earlier {
            0 => "led to page 1".to_owned(),
            page => format!("was given by page {page} already"),
        };
        Err(Fault::PagingLoop {
            problem: format!("{what} after it ({}) {before}; {}", shown(), self.suspect()),
            hint: LOOP_HINT,
        })
    }

    /// The likely reason of a loop.
    fn suspect(&self) -> String {
        let ignored = |place: &str, name: &str| format!("{place} '{name}' seems to be ignored by the source");
        match self.spec {
            PaginationSpec::Page { param: Some(param), .. } => ignored("page parameter", param),
            PaginationSpec::Offset { param: Some(param), .. } => ignored("offset parameter", param),
            PaginationSpec::Cursor { param: CursorPlace::Query(param), .. } => ignored("cursor parameter", param),
            PaginationSpec::Cursor { param: CursorPlace::Body(key), .. } => ignored("cursor key", key),
            PaginationSpec::Page { .. } | PaginationSpec::Offset { .. } | PaginationSpec::Cursor { .. } => {
                ignored("placeholder", "{cursor}")
            }
            _ => "the source's links to the next page seem to go in a circle".to_owned(),
        }
    }

    fn no_way_on(&self) -> Fault {
        let place = match self.spec {
            PaginationSpec::Cursor { from: CursorSource::Page(from), .. } | PaginationSpec::NextUrl { from, .. } => {
                format!("`{}`", from.source())
            }
            PaginationSpec::Cursor { from: CursorSource::LastRecord(from), .. } => {
                format!("`{}` of the last record", from.source())
            }
            PaginationSpec::Cursor { from: CursorSource::Header(name), .. } => format!("the header `{name}`"),
            _ => "the `Link` header".to_owned(),
        };
        let problem = format!("there are more pages, says `has_more`, but {place} leads to none");
        Fault::Select { problem, hint: NEXT_HINT }
    }
}

/// The expressions that end a list, for the kinds that have them.
pub(super) const fn stop(spec: &PaginationSpec) -> Option<&StopSpec> {
    match spec {
        PaginationSpec::None => None,
        PaginationSpec::Page { stop, .. }
        | PaginationSpec::Offset { stop, .. }
        | PaginationSpec::Cursor { stop, .. }
        | PaginationSpec::NextUrl { stop, .. }
        | PaginationSpec::LinkHeader { stop, .. } => Some(stop),
    }
}

/// The page of this number or offset: in the parameter, or wherever the templates say.
fn numbered(position: u64, param: Option<&String>, size: Option<&PageSize>) -> Ask {
    let mut query: Vec<_> = param.map(|param| (param.clone(), position.to_string())).into_iter().collect();
    if let Some(PageSize { param: Some(param), size }) = size {
        query.push((param.clone(), size.to_string()));
    }
    match param {
        Some(_) => Ask::Query(query),
        None => Ask::Cursor { token: Token::Number(position), query },
    }
}

/// How far an offset moves: by the smaller of what came and what was asked for. `select` may make several records
/// of one item (then more came than counts), and a source may cap its pages (then less); either way the worst is an
/// overlap, which folds, and never a hole.
const fn offset_step(records: u64, size: u64) -> u64 {
    if records == 0 || records > size { size } else { records }
}

/// The beginning of a cursor, as far as it may be shown. Some sources page by a value of the last record; what is no
/// mere token is masked, letters as `x` and digits as `0`.
fn shown(cursor: &str) -> String {
    let token = cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.=+/~:".contains(&b));
    let mask = |c: char| match c {
        _ if token => c,
        '0'..='9' => '0',
        '!'..='/' | ':'..='@' | '['..='_' | '{'..='~' => c,
        _ => 'x',
    };
    let mut text: String = cursor.chars().take(limits::CURSOR_SHOWN_CHARS).map(mask).collect();
    if cursor.chars().nth(limits::CURSOR_SHOWN_CHARS).is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(digest: u128, records: u64, total: Option<u64>) -> PageFacts {
        let url = Url::parse("http://source.example/").unwrap();
        PageFacts { url, records, digest: Digest(digest), next: None, has_more: None, last_page: None, total }
    }

    #[test]
    fn a_page_is_foreseen_where_full_pages_and_a_total_lead_to_it() {
        let total = || Some(crate::mapping::Expression::compile(".total").unwrap());
        let size = |size| PageSize { param: None, size };
        let param = || Some("p".to_owned());
        let page = |stop| PaginationSpec::Page { param: param(), first: 1, size: Some(size(2)), stop };
        let offset = |stop| PaginationSpec::Offset { param: param(), first: 0, size: size(2), stop };
        let by_total = || StopSpec { total: total(), ..StopSpec::default() };
        let unsized_pages = PaginationSpec::Page { param: param(), first: 1, size: None, stop: by_total() };
        let by_both = || StopSpec { has_more: total(), ..by_total() };
        // The records and totals of the pages before, and what is foreseen after the page asked for then.
        type Before = &'static [(u64, Option<u64>)];
        let cases: [(PaginationSpec, Before, Option<&str>); 11] = [
            (page(by_total()), &[], None),
            (page(by_total()), &[(2, Some(6))], Some("3")),
            (offset(by_total()), &[(2, Some(6))], Some("4")),
            (page(by_total()), &[(2, Some(6)), (2, None)], None),
            (page(by_total()), &[(2, Some(7)), (2, Some(7))], Some("4")),
            (page(by_total()), &[(2, Some(4))], None),
            (page(by_total()), &[(2, None)], None),
            (page(by_total()), &[(3, Some(9))], None),
            (offset(by_total()), &[(1, Some(9))], None),
            (unsized_pages, &[(2, Some(9))], None),
            (page(by_both()), &[(2, Some(9))], None),
        ];
        for (at, (spec, before, foreseen)) in cases.into_iter().enumerate() {
            let mut paginator = Paginator::new(&spec);
            for (digest, (records, total)) in (0..).zip(before) {
                let has_more = stop(&spec).and_then(|stop| stop.has_more.as_ref()).map(|_| true);
                let step = paginator.after(&PageFacts { has_more, ..facts(digest, *records, *total) });
                assert!(step.is_ok(), "case {at}");
            }
            let foreseen = foreseen.map(|place| Ask::Query(vec![("p".to_owned(), place.to_owned())]));
            assert_eq!(paginator.foreseen(), foreseen, "case {at}");
        }
    }

    #[test]
    fn a_page_is_foreseen_where_the_number_of_the_last_one_was_told() {
        let number = || Some(crate::mapping::Expression::compile(".pages").unwrap());
        let stop = |has_more| StopSpec { has_more, last_page: number(), total: number(), ..StopSpec::default() };
        // What the pages before told, and what is foreseen after the page asked for then.
        for (has_more, before, foreseen) in [
            (None, &[][..], None),
            (None, &[Some(3)], Some(3)),
            (None, &[Some(2)], None),
            (None, &[Some(9), Some(3)], None),
            (None, &[Some(4), None], Some(4)),
            (number(), &[Some(3)], None),
        ] {
            let stop = stop(has_more);
            let more = stop.has_more.as_ref().map(|_| true);
            let spec = PaginationSpec::Page { param: None, first: 1, size: None, stop };
            let mut paginator = Paginator::new(&spec);
            for (digest, last_page) in (0..).zip(before) {
                paginator
                    .after(&PageFacts { has_more: more, last_page: *last_page, ..facts(digest, 1, None) })
                    .unwrap();
            }
            let foreseen = foreseen.map(|place| Ask::Cursor { token: Token::Number(place), query: Vec::new() });
            assert_eq!(paginator.foreseen(), foreseen, "{before:?}");
        }
    }

    #[test]
    fn a_cursor_is_shown_as_far_as_it_is_a_token() {
        for (cursor, expected) in [
            ("c2", "c2"),
            ("eyJpZCI6MTIzNDU2Nzg5fQ==", "eyJpZCI6MTIzNDU2…"),
            ("ada@example.org", "xxx@xxxxxxx.xxx"),
            ("Ada Lovelace 1815", "xxxxxxxxxxxxx000…"),
            ("Zoë-7", "xxx-0"),
            ("a\r\nb", "xxxx"),
        ] {
            assert_eq!(shown(cursor), expected);
        }
    }
}
