//! `[source.<name>.pagination]`: how the next page is found.

use super::request::Claims;
use super::text::{expression, optional_expression};
use crate::config::read::{Item, Section};
use crate::config::{CursorPlace, PageSize, PaginationSpec, StopSpec};
use crate::limits::PAGE_SIZE_MAX;
use crate::mapping::Expression;

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

/// Reads how the next page is found, and whether a place in the list stays the same place. `cursor`: does the request say `{cursor}` (`None` where it is faulty)?
pub(super) fn read_pagination(
    mut section: Section<'_>,
    claims: &mut Claims,
    cursor: Option<bool>,
) -> Option<(PaginationSpec, bool)> {
    let kind = section.choice("kind", &KINDS, Kind::None)?;
    if cursor == Some(true) && !matches!(kind, Kind::Cursor) {
        let mend = r#"write kind = "cursor" and from = "…", or take {cursor} out of the request"#;
        section.findings().fault(section.place(), "the request says {cursor}, which only a cursor fills in", mend);
        return None;
    }
    let pagination = match kind {
        Kind::None => Some(PaginationSpec::None),
        Kind::Page => read_page(&mut section, claims),
        Kind::Offset => read_offset(&mut section, claims),
        Kind::Cursor => read_cursor(&mut section, claims, cursor),
        Kind::NextUrl => read_next_url(&mut section),
        Kind::LinkHeader => read_stop(&mut section).map(|stop| PaginationSpec::LinkHeader { stop }),
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

fn read_page(section: &mut Section<'_>, claims: &mut Claims) -> Option<PaginationSpec> {
    let param = read_param(section, r#"write e.g. param = "page""#, claims);
    let first = read_first(section, 1);
    let size = read_size(section, claims);
    let stop = read_stop(section);
    Some(PaginationSpec::Page { param: param?, first: first?, size: size?, stop: stop? })
}

fn read_offset(section: &mut Section<'_>, claims: &mut Claims) -> Option<PaginationSpec> {
    let param = read_param(section, r#"write e.g. param = "offset""#, claims);
    let first = read_first(section, 0);
    let size = read_size(section, claims);
    let stop = read_stop(section);
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
    let from = read_from(section, r#"write from = "…", where the cursor stands, e.g. ".meta.next_cursor""#);
    let stop = read_stop(section);
    Some(PaginationSpec::Cursor { param: param?, from: from?, stop: stop? })
}

fn read_next_url(section: &mut Section<'_>) -> Option<PaginationSpec> {
    let from = read_from(section, r#"write from = "…", where the address of the next page stands, e.g. ".next""#);
    let stop = read_stop(section);
    Some(PaginationSpec::NextUrl { from: from?, stop: stop? })
}

fn read_from(section: &mut Section<'_>, mend: &str) -> Option<Expression> {
    section.required("from", mend).and_then(|item| expression(&item))
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

fn read_param(section: &mut Section<'_>, mend: &str, claims: &mut Claims) -> Option<String> {
    let item = section.required("param", mend)?;
    let name = read_name(&item)?;
    claims.claim_query(&item, &name)?;
    Some(name)
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

fn read_stop(section: &mut Section<'_>) -> Option<StopSpec> {
    let has_more = optional_expression(section, "has_more");
    let total = optional_expression(section, "total");
    Some(StopSpec { has_more: has_more?, total: total? })
}
