//! `[source.<name>.pagination]`: how the next page is found.

use super::request::Claims;
use super::text::{check_token, expression, optional_expression};
use crate::config::read::{Item, Section};
use crate::config::{CursorPlace, CursorSource, PageSize, PaginationSpec, Repeated, Sign, StopSpec};
use crate::limits::PAGE_SIZE_MAX;

#[derive(Clone, Copy)]
enum Kind {
    None,
    Page,
    Offset,
    Cursor,
    NextUrl,
    LinkHeader,
}

const KINDS: [(&str, Kind); 6] = [
    ("none", Kind::None),
    ("page", Kind::Page),
    ("offset", Kind::Offset),
    ("cursor", Kind::Cursor),
    ("next_url", Kind::NextUrl),
    ("link_header", Kind::LinkHeader),
];

const SIGNS: [(&str, Sign); 2] = [("end", Sign::End), ("goes_on", Sign::GoesOn)];

const REPEATED: [(&str, Repeated); 2] = [("fault", Repeated::Fault), ("end", Repeated::End)];

/// Reads how the next page is found, and whether a place in the list stays the same place. `cursor`: does the request
/// say `{cursor}` (`None` where it is faulty)?
pub(super) fn read_pagination(
    mut section: Section<'_>,
    claims: &mut Claims,
    cursor: Option<bool>,
) -> Option<(PaginationSpec, bool)> {
    let kind = section.choice("kind", &KINDS, Kind::None)?;
    if cursor == Some(true) && !matches!(kind, Kind::Page | Kind::Offset | Kind::Cursor) {
        let mend = r#"write kind = "cursor", "page" or "offset", or take {cursor} out of the request"#;
        section.findings().fault(section.place(), "the request says {cursor}, which this kind does not fill in", mend);
        return None;
    }
    let pagination = match kind {
        Kind::None => Some(PaginationSpec::None),
        Kind::Page => read_page(&mut section, claims, cursor),
        Kind::Offset => read_offset(&mut section, claims, cursor),
        Kind::Cursor => read_cursor(&mut section, claims, cursor),
        Kind::NextUrl => read_next_url(&mut section),
        Kind::LinkHeader => read_stop(&mut section, kind).map(|stop| PaginationSpec::LinkHeader { stop }),
    };
    let stable = read_stable(&mut section, kind);
    section.finish();
    Some((pagination?, stable?))
}

/// A token marks a place; numbers count from a beginning that moves. One answer has no places.
fn read_stable(section: &mut Section<'_>, kind: Kind) -> Option<bool> {
    if matches!(kind, Kind::None) {
        return Some(false);
    }
    match section.optional("stable") {
        Some(item) => item.boolean(),
        None => Some(matches!(kind, Kind::Cursor)),
    }
}

fn read_page(section: &mut Section<'_>, claims: &mut Claims, cursor: Option<bool>) -> Option<PaginationSpec> {
    let param = read_param(section, r#"write e.g. param = "page", or {cursor} in the request"#, claims, cursor);
    let first = read_first(section, 1);
    let size = read_size(section, claims);
    let stop = read_stop(section, Kind::Page);
    if let (Some(None), Some(stop)) = (&size, &stop) {
        check_short_page(section, stop)?;
    }
    Some(PaginationSpec::Page { param: param?, first: first?, size: size?, stop: stop? })
}

fn read_offset(section: &mut Section<'_>, claims: &mut Claims, cursor: Option<bool>) -> Option<PaginationSpec> {
    let param = read_param(section, r#"write e.g. param = "offset", or {cursor} in the request"#, claims, cursor);
    let first = read_first(section, 0);
    let size = read_size(section, claims);
    let stop = read_stop(section, Kind::Offset);
    if matches!(size, Some(None)) {
        // Page numbers do without a size; an offset cannot step without one.
        let place = section.place().key("size", section.place().line);
        section.findings().fault(&place, "missing", "write the number of records of a full page, e.g. size = 100");
    }
    Some(PaginationSpec::Offset { param: param?, first: first?, size: size??, stop: stop? })
}

fn read_cursor(section: &mut Section<'_>, claims: &mut Claims, cursor: Option<bool>) -> Option<PaginationSpec> {
    let query = section.optional("query");
    let body = section.optional("body");
    let param = match (&query, &body, cursor) {
        (Some(item), None, None | Some(false)) => {
            read_name(item).filter(|name| claims.claim_query(item, name).is_some()).map(CursorPlace::Query)
        }
        (None, Some(item), None | Some(false)) => read_body_key(item, claims).map(CursorPlace::Body),
        (None, None, Some(true)) => Some(CursorPlace::Templates),
        // The request's own faults come first.
        (None, None, None) => None,
        _ => {
            let problem = "a cursor goes into exactly one of query, body and the request's templates";
            let mend = r#"write query = "cursor" or body = "cursor", or {cursor} in the request"#;
            section.findings().fault(section.place(), problem, mend);
            None
        }
    };
    let from = read_cursor_source(section);
    let size = match section.optional("size") {
        Some(item) => item.integer(1..=PAGE_SIZE_MAX).map(Some),
        None => Some(None),
    };
    let stop = read_stop(section, Kind::Cursor);
    if let (Some(None), Some(stop)) = (size, &stop) {
        check_short_page(section, stop)?;
    }
    if let (Some(CursorSource::LastRecord(_)), Some(StopSpec { empty_page: Some(Sign::GoesOn), .. })) = (&from, &stop) {
        let place = section.place().key("empty_page", section.place().line);
        let problem = "an empty page has no last record to go on from";
        section.findings().fault(&place, problem, r#"leave it out, or use from or from_header"#);
        return None;
    }
    Some(PaginationSpec::Cursor { param: param?, from: from?, size: size?, stop: stop? })
}

fn read_cursor_source(section: &mut Section<'_>) -> Option<CursorSource> {
    let page = section.optional("from");
    let record = section.optional("from_record");
    let header = section.optional("from_header");
    match (page, record, header) {
        (Some(item), None, None) => expression(&item).map(CursorSource::Page),
        (None, Some(item), None) => expression(&item).map(CursorSource::LastRecord),
        (None, None, Some(item)) => {
            let name = read_name(&item)?;
            check_token(&item, &name)?;
            Some(CursorSource::Header(name))
        }
        (None, None, None) => {
            let mend = r#"write from = "…", where it stands in a page, e.g. ".meta.next_cursor""#;
            section.findings().fault(section.place(), "nothing says where the cursor comes from", mend);
            None
        }
        _ => {
            let problem = "a cursor comes from exactly one of from, from_record and from_header";
            section.findings().fault(section.place(), problem, "keep one of them");
            None
        }
    }
}

fn read_next_url(section: &mut Section<'_>) -> Option<PaginationSpec> {
    let mend = r#"write from = "…", where the address of the next page stands, e.g. ".next""#;
    let from = section.required("from", mend).and_then(|item| expression(&item));
    let stop = read_stop(section, Kind::NextUrl);
    Some(PaginationSpec::NextUrl { from: from?, stop: stop? })
}

fn read_name(item: &Item<'_>) -> Option<String> {
    item.text().map(ToOwned::to_owned)
}

fn read_body_key(item: &Item<'_>, claims: &mut Claims) -> Option<String> {
    let name = read_name(item)?;
    if !claims.has_body() {
        item.fault("the request has no body to put a cursor into", "give the request json or form, or use query");
        return None;
    }
    claims.claim_body(item, &name)?;
    Some(name)
}

/// `Some(None)`: the request's templates say where the number goes.
fn read_param(
    section: &mut Section<'_>,
    mend: &str,
    claims: &mut Claims,
    cursor: Option<bool>,
) -> Option<Option<String>> {
    let item = match cursor {
        Some(true) => section.optional("param"),
        _ => Some(section.required("param", mend)?),
    };
    let Some(item) = item else { return Some(None) };
    if cursor == Some(true) {
        item.fault("the request says {cursor}, too", "keep one of the two");
        return None;
    }
    let name = read_name(&item)?;
    claims.claim_query(&item, &name)?;
    Some(Some(name))
}

fn read_first(section: &mut Section<'_>, default: u64) -> Option<u64> {
    match section.optional("first") {
        Some(item) => item.integer(0..=i64::MAX.unsigned_abs()),
        None => Some(default),
    }
}

/// `size` and `size_param`; `Some(None)` where neither is given, `None` where one is faulty.
fn read_size(section: &mut Section<'_>, claims: &mut Claims) -> Option<Option<PageSize>> {
    let size = section.optional("size");
    let size_param = section.optional("size_param");
    let Some(size) = size else {
        if let Some(item) = size_param {
            item.fault("is of no use without size", "write the number of records to ask for, e.g. size = 100");
            return None;
        }
        return Some(None);
    };
    let size = size.integer(1..=PAGE_SIZE_MAX);
    let param = match size_param {
        Some(item) => {
            let name = read_name(&item)?;
            claims.claim_query(&item, &name)?;
            Some(name)
        }
        None => None,
    };
    Some(Some(PageSize { param, size: size? }))
}

fn read_stop(section: &mut Section<'_>, kind: Kind) -> Option<StopSpec> {
    let numbered = matches!(kind, Kind::Page | Kind::Offset);
    let has_more = optional_expression(section, "has_more");
    let total = optional_expression(section, "total");
    let last_page = if matches!(kind, Kind::Page) { optional_expression(section, "last_page") } else { Some(None) };
    let short_page = if numbered || matches!(kind, Kind::Cursor) {
        section.choice("short_page", &SIGNS, Sign::End)
    } else {
        Some(Sign::End)
    };
    section.accept_words("empty_page", &SIGNS);
    let empty_page = match section.optional("empty_page") {
        Some(item) => item.choice(&SIGNS).map(Some),
        None => Some(None),
    };
    let repeated =
        if numbered { Some(Repeated::Fault) } else { section.choice("repeated", &REPEATED, Repeated::Fault) };
    let stop = StopSpec {
        has_more: has_more?,
        last_page: last_page?,
        total: total?,
        short_page: short_page?,
        empty_page: empty_page?,
        repeated: repeated?,
    };
    let says_more = stop.has_more.is_some() || stop.last_page.is_some() || stop.total.is_some();
    if numbered && stop.empty_page == Some(Sign::GoesOn) && !says_more {
        let place = section.place().key("empty_page", section.place().line);
        let problem = "numbers never run out, so nothing would end the list";
        section.findings().fault(&place, problem, "say has_more, last_page or total, too");
        return None;
    }
    Some(stop)
}

/// Without a size no page is short.
fn check_short_page(section: &Section<'_>, stop: &StopSpec) -> Option<()> {
    if stop.short_page == Sign::End {
        return Some(());
    }
    let place = section.place().key("short_page", section.place().line);
    section.findings().fault(
        &place,
        "is of no use without size",
        "write how many records a full page has, or leave it out",
    );
    None
}
