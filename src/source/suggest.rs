//! What the first answer suggests where `select` finds nothing, or where the list goes on though `pagination` ends it.
//!
//! Invariant: pure. A suggestion holds names of keys and numbers of records, never a text of the answer.

use reqwest::header::{HeaderMap, LINK};

use super::clues::{Clue, TextKind, jq_path};
use super::link;
use crate::config::{PageSize, PaginationSpec};
use crate::limits::SUGGESTED_LISTS_MAX;
use crate::model::SourceName;

/// Settings that fit the answer better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What the answer shows, in a sentence.
    pub because: String,
    /// To write into the configuration.
    pub toml: String,
}

/// What is known after the first answer.
pub(super) struct Sight<'a> {
    pub(super) source: &'a SourceName,
    pub(super) pagination: &'a PaginationSpec,
    /// Of the body, where it is JSON.
    pub(super) clue: Option<&'a Clue>,
    pub(super) headers: &'a HeaderMap,
    /// Records that `select` found; `None` where it failed.
    pub(super) selected: Option<u64>,
    /// By `pagination` there is no further page.
    pub(super) ends: bool,
}

/// Where systems write the address of the next page.
const NEXT_URLS: [&str; 17] = [
    "next",
    "links/next",
    "_links/next/href",
    "_links/next",
    "links/next/href",
    "next_page_url",
    "next_url",
    "nextUrl",
    "paging/next",
    "paging/next/link",
    "pagination/next",
    "pagination/next_url",
    "meta/next",
    "meta/pagination/links/next",
    "pagination/links/next",
    "@odata.nextLink",
    "nextLink",
];

/// Where systems write the token of the next page, and the parameter in which they mostly want it back.
const CURSORS: [(&str, &str); 18] = [
    ("next_cursor", "cursor"),
    ("nextCursor", "cursor"),
    ("meta/next_cursor", "cursor"),
    ("meta/cursor/next", "cursor"),
    ("pagination/next_cursor", "cursor"),
    ("paging/next_cursor", "cursor"),
    ("response_metadata/next_cursor", "cursor"),
    ("next_page_token", "page_token"),
    ("nextPageToken", "pageToken"),
    ("meta/next_page_token", "page_token"),
    ("continuation", "continuation"),
    ("continuation_token", "continuation_token"),
    ("pagination/continuation", "continuation"),
    ("paging/next/after", "after"),
    ("paging/cursors/after", "after"),
    ("next_page", "page"),
    ("meta/next_page", "page"),
    ("next", "cursor"),
];

/// Where systems write the number of the last page.
const LAST_PAGES: [&str; 17] = [
    "_meta/pageCount",
    "meta/last_page",
    "last_page",
    "meta/total_pages",
    "total_pages",
    "totalPages",
    "meta/totalPages",
    "page_count",
    "pageCount",
    "pages",
    "meta/pagination/total_pages",
    "pagination/total_pages",
    "pagination/totalPages",
    "pagination/page_count",
    "pagination/pages",
    "pagination/last_page",
    "page/totalPages",
];

const HAS_MORE: [&str; 9] = [
    "has_more",
    "hasMore",
    "meta/has_more",
    "pagination/has_more",
    "pagination/has_more_items",
    "paging/has_more",
    "has_next",
    "hasNextPage",
    "pagination/has_next",
];

const TOTALS: [&str; 19] = [
    "total",
    "count",
    "total_count",
    "totalCount",
    "total_results",
    "totalResults",
    "recordsTotal",
    "meta/total",
    "meta/count",
    "meta/total_count",
    "meta/totalCount",
    "_meta/totalCount",
    "meta/pagination/total",
    "pagination/total",
    "pagination/total_count",
    "pagination/object_count",
    "paging/total",
    "page/totalElements",
    "@odata.count",
];

/// What to write instead, the surest first.
pub(super) fn suggestions(sight: &Sight<'_>) -> Vec<Suggestion> {
    let mut found = lists(sight);
    if sight.ends {
        found.extend(capped(sight).or_else(|| next(sight)));
    }
    found
}

/// The lists that there are, where `select` finds none.
fn lists(sight: &Sight<'_>) -> Vec<Suggestion> {
    if sight.selected.is_some_and(|records| records > 0) {
        return Vec::new();
    }
    let lists = sight.clue.map(Clue::lists).unwrap_or_default();
    let suggestion = |(path, items): (String, u64)| Suggestion {
        because: format!("`select` finds no record, but {path} leads to {items}"),
        toml: format!("[source.{}.records]\nselect = {}", sight.source, text(&path)),
    };
    lists.into_iter().take(SUGGESTED_LISTS_MAX).map(suggestion).collect()
}

/// How many records came, as far as can be told.
fn records(sight: &Sight<'_>) -> u64 {
    let longest = || sight.clue.and_then(|clue| clue.lists().first().map(|(_, items)| *items));
    sight.selected.filter(|records| *records > 0).or_else(longest).unwrap_or(0)
}

/// Fewer records than were asked for, but more that there are: the source cuts its pages shorter.
fn capped(sight: &Sight<'_>) -> Option<Suggestion> {
    let (PaginationSpec::Page { size: Some(PageSize { size, .. }), .. }
    | PaginationSpec::Offset { size: PageSize { size, .. }, .. }) = sight.pagination
    else {
        return None;
    };
    let records = records(sight);
    let (_, total) = total(sight, records)?;
    (records > 0 && records < *size).then(|| Suggestion {
        because: format!(
            "{size} records a page were asked for and {records} of {total} came: the source caps its pages"
        ),
        toml: pagination(sight, &format!("size = {records}")),
    })
}

/// The way to the next page that the answer tells.
fn next(sight: &Sight<'_>) -> Option<Suggestion> {
    let (because, settings) = by_header(sight)
        .or_else(|| by_url(sight.clue?))
        .or_else(|| by_cursor(sight.clue?))
        .or_else(|| by_last_page(sight.clue?))
        .or_else(|| by_has_more(sight.clue?))
        .or_else(|| by_total(sight))?;
    let because = format!("{because}, but by `pagination` the list ends here");
    Some(Suggestion { because, toml: pagination(sight, &settings) })
}

type Way = (String, String);

fn by_header(sight: &Sight<'_>) -> Option<Way> {
    let mut links = sight.headers.get_all(LINK).into_iter().filter_map(|value| value.to_str().ok());
    let because = "the `Link` header names a next page".to_owned();
    links.any(|link| link::next_target(link).is_some()).then(|| (because, r#"kind = "link_header""#.to_owned()))
}

fn by_url(clue: &Clue) -> Option<Way> {
    let path = NEXT_URLS.iter().find(|path| clue.at(path) == Some(&Clue::Text(TextKind::Url)))?;
    let path = jq_path(path);
    Some((
        format!("the answer names the address of a next page in {path}"),
        format!("kind = \"next_url\"\nfrom = {}", text(&path)),
    ))
}

fn by_cursor(clue: &Clue) -> Option<Way> {
    let is_token = |clue: &Clue| matches!(clue, Clue::Text(TextKind::Other) | Clue::Number(Some(1..)));
    let (path, query) = CURSORS.iter().find(|(path, _)| clue.at(path).is_some_and(is_token))?;
    let path = jq_path(path);
    let more = HAS_MORE.iter().find(|more| matches!(clue.at(more), Some(Clue::Flag(_))));
    let more = more.map(|more| format!("\nhas_more = {}", text(&jq_path(more)))).unwrap_or_default();
    Some((
        format!("the answer holds what looks like the token of a next page in {path}"),
        format!("kind = \"cursor\"\nquery = \"{query}\"\nfrom = {}{more}", text(&path)),
    ))
}

fn by_last_page(clue: &Clue) -> Option<Way> {
    let pages = |path: &&str| match clue.at(path) {
        Some(Clue::Number(Some(pages @ 2..))) => Some((jq_path(path), *pages)),
        _ => None,
    };
    let (path, pages) = LAST_PAGES.iter().find_map(pages)?;
    Some((
        format!("the answer speaks of {pages} pages in {path}"),
        format!("kind = \"page\"\nparam = \"page\"\nlast_page = {}", text(&path)),
    ))
}

fn by_has_more(clue: &Clue) -> Option<Way> {
    let path = HAS_MORE.iter().find(|path| clue.at(path) == Some(&Clue::Flag(true)))?;
    let path = jq_path(path);
    Some((
        format!("the answer says in {path} that there is more"),
        format!("kind = \"page\"\nparam = \"page\"\nhas_more = {}", text(&path)),
    ))
}

fn by_total(sight: &Sight<'_>) -> Option<Way> {
    let records = records(sight);
    let (path, total) = total(sight, records).filter(|_| records > 0)?;
    Some((
        format!("the answer speaks of {total} records in {path} and holds {records}"),
        format!("kind = \"page\"\nparam = \"page\"\nsize = {records}\ntotal = {}", text(&path)),
    ))
}

/// A number of records greater than those that came.
fn total(sight: &Sight<'_>, records: u64) -> Option<(String, u64)> {
    let clue = sight.clue?;
    TOTALS.iter().find_map(|path| match clue.at(path) {
        Some(Clue::Number(Some(total))) if *total > records => Some((jq_path(path), *total)),
        _ => None,
    })
}

fn pagination(sight: &Sight<'_>, settings: &str) -> String {
    format!("[source.{}.pagination]\n{settings}", sight.source)
}

/// A text as TOML writes it.
fn text(text: &str) -> String {
    if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::config::StopSpec;

    fn suggested(body: &str, headers: &HeaderMap, pagination: &PaginationSpec, selected: Option<u64>) -> Vec<String> {
        let source = SourceName::parse("crm").unwrap();
        let clue = Clue::of(body.as_bytes());
        let sight = Sight { source: &source, pagination, clue: clue.as_ref(), headers, selected, ends: true };
        let found = suggestions(&sight);
        assert!(found.iter().all(|suggestion| !format!("{suggestion:?}").contains("hopper")), "{found:?}");
        found.into_iter().map(|suggestion| suggestion.toml).collect()
    }

    fn page_of(size: u64) -> PaginationSpec {
        let size = Some(PageSize { param: None, size });
        PaginationSpec::Page { param: Some("page".into()), first: 1, size, stop: StopSpec::default() }
    }

    /// Bodies as the systems in question send them, but for the people.
    #[test]
    fn real_answers_tell_how_they_go_on() {
        let people = r#"[{"name": "hopper"}, {"name": "hopper"}]"#;
        for (what, body, expected) in [
            (
                "Django REST",
                format!(
                    r#"{{"count": 200, "next": "https://p.example/?page=2", "previous": null, "results": {people}}}"#
                ),
                "kind = \"next_url\"\nfrom = \".next\"",
            ),
            (
                "JSON:API",
                format!(r#"{{"data": {people}, "links": {{"next": "/people?page%5Bnumber%5D=2"}}}}"#),
                "kind = \"next_url\"\nfrom = \".links.next\"",
            ),
            (
                "HAL",
                format!(r#"{{"items": {people}, "_links": {{"next": {{"href": "?page=2"}}}}}}"#),
                "kind = \"next_url\"\nfrom = \"._links.next.href\"",
            ),
            (
                "OData",
                format!(r#"{{"value": {people}, "@odata.nextLink": "https://g.example/users?$skiptoken=hopper"}}"#),
                "kind = \"next_url\"\nfrom = '.\"@odata.nextLink\"'",
            ),
            (
                "Slack",
                format!(r#"{{"ok": true, "members": {people}, "response_metadata": {{"next_cursor": "hopper="}}}}"#),
                "kind = \"cursor\"\nquery = \"cursor\"\nfrom = \".response_metadata.next_cursor\"",
            ),
            (
                "Google",
                format!(r#"{{"users": {people}, "nextPageToken": "hopper"}}"#),
                "kind = \"cursor\"\nquery = \"pageToken\"\nfrom = \".nextPageToken\"",
            ),
            (
                "HubSpot",
                format!(r#"{{"results": {people}, "paging": {{"next": {{"after": "hopper", "link": "x"}}}}}}"#),
                "kind = \"cursor\"\nquery = \"after\"\nfrom = \".paging.next.after\"",
            ),
            (
                "Eventbrite",
                format!(
                    r#"{{"pagination": {{"object_count": 200, "page_count": 4, "has_more_items": true,
                        "continuation": "hopper"}}, "attendees": {people}}}"#
                ),
                "kind = \"cursor\"\nquery = \"continuation\"\nfrom = \".pagination.continuation\"\n\
                 has_more = \".pagination.has_more_items\"",
            ),
            (
                "Yii",
                format!(r#"{{"items": {people}, "_meta": {{"totalCount": 200, "pageCount": 4, "currentPage": 1}}}}"#),
                "kind = \"page\"\nparam = \"page\"\nlast_page = \"._meta.pageCount\"",
            ),
            (
                "Laravel's paginator without addresses",
                format!(r#"{{"data": {people}, "meta": {{"current_page": 1, "last_page": 9, "total": 18}}}}"#),
                "kind = \"page\"\nparam = \"page\"\nlast_page = \".meta.last_page\"",
            ),
            (
                "Stripe's sign alone",
                format!(r#"{{"object": "list", "data": {people}, "has_more": true}}"#),
                "kind = \"page\"\nparam = \"page\"\nhas_more = \".has_more\"",
            ),
            (
                "a bare count",
                format!(r#"{{"total": 200, "rows": {people}}}"#),
                "kind = \"page\"\nparam = \"page\"\nsize = 2\ntotal = \".total\"",
            ),
        ] {
            let suggested = suggested(&body, &HeaderMap::new(), &PaginationSpec::None, Some(2));
            assert_eq!(suggested, [format!("[source.crm.pagination]\n{expected}")], "{what}");
        }
    }

    #[test]
    fn a_list_that_ends_suggests_nothing() {
        for body in [
            r#"[{"name": "hopper"}, {"name": "hopper"}]"#,
            r#"{"count": 2, "next": null, "results": [{"next": "/a"}, {"total": 9}]}"#,
            r#"{"total": 2, "data": [{}, {}], "has_more": false, "meta": {"last_page": 1, "next_cursor": ""}}"#,
            r#"{"total": "200", "data": [{}, {}]}"#,
        ] {
            let none: [String; 0] = [];
            assert_eq!(suggested(body, &HeaderMap::new(), &PaginationSpec::None, Some(2)), none, "{body}");
        }
    }

    #[test]
    fn the_link_header_counts_before_the_body() {
        let link = HeaderValue::from_static("<https://a.example/?page=2>; rel=\"next\"");
        let headers = HeaderMap::from_iter([(LINK, link)]);
        let body = r#"{"total": 9, "data": [{}]}"#;
        let expected = ["[source.crm.pagination]\nkind = \"link_header\""];
        assert_eq!(suggested(body, &headers, &PaginationSpec::None, Some(1)), expected);
        assert_eq!(suggested("not JSON", &headers, &PaginationSpec::None, Some(1)), expected);
    }

    #[test]
    fn a_select_that_finds_nothing_is_shown_the_lists_there_are() {
        let body = r#"{"data": {"items": [{"name": "hopper"}, {}], "tags": ["hopper"]}, "errors": [], "more": [{}]}"#;
        let expected =
            ["[source.crm.records]\nselect = \".data.items[]\"", "[source.crm.records]\nselect = \".more[]\""];
        for selected in [None, Some(0)] {
            assert_eq!(suggested(body, &HeaderMap::new(), &PaginationSpec::None, selected), expected);
        }
    }

    #[test]
    fn pages_cut_shorter_than_asked_for_are_noticed() {
        let body = r#"{"total": 200, "rows": [{}, {}]}"#;
        let expected = ["[source.crm.pagination]\nsize = 2"];
        assert_eq!(suggested(body, &HeaderMap::new(), &page_of(100), Some(2)), expected);
        let all = r#"{"total": 2, "rows": [{}, {}]}"#;
        assert_eq!(suggested(all, &HeaderMap::new(), &page_of(100), Some(2)), [""; 0]);
    }
}
