//! Lists below lists, changes since the last time, lists on condition, and reads that go on.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::config::{IncrementalSpec, ParentList, PartitionSpec, TimeFormat, WatermarkSpec};
use crate::model::{Digest, Validators};
use crate::source::{Bookmark, Start};

fn template(text: &str) -> Template {
    Template::parse(text).unwrap()
}

fn pages() -> PaginationSpec {
    let size = Some(PageSize { param: None, size: 2 });
    PaginationSpec::Page { param: Some("page".into()), first: 1, size, stop: StopSpec::default() }
}

fn parents(spec: &SourceSpec, path: &str, fields: &[(&str, &str)]) -> PartitionSpec {
    PartitionSpec::List(Box::new(ParentList {
        request: RequestSpec { path: template(path), query: Vec::new(), ..spec.request.clone() },
        pagination: pages(),
        select: jq(".items[]"),
        skip_when: Some(jq(".closed")),
        fields: fields.iter().map(|(name, source)| ((*name).to_owned(), jq(source))).collect(),
    }))
}

fn below_events(url: &str) -> SourceSpec {
    let mut spec = spec(url, pages());
    spec.partitions = vec![parents(&spec, "events", &[("event", ".id"), ("title", ".title")])];
    spec.request.path = template("events/{parent.event}/people");
    spec
}

/// Three events on two pages, of which one is closed; people of each.
fn events(seen: &Seen) -> Reply {
    let page = seen.query("page").unwrap();
    let path = seen.target.split('?').next().unwrap();
    Reply::json(match (path, page) {
        ("/events", "1") => {
            r#"{"items":[{"id":"a/b","title":"A \"&\" B"},{"id":"c","closed":true,"title":"C"}]}"#.to_owned()
        }
        ("/events", "2") => r#"{"items":[{"id":"d","title":"D"}]}"#.to_owned(),
        ("/events/a%2Fb/people", "1") => items(1, 3, ""),
        ("/events/a%2Fb/people", "2") => items(3, 4, ""),
        ("/events/d/people", "1") => items(4, 5, ""),
        _ => return Reply::status(404),
    })
}

#[tokio::test]
async fn each_parents_list_is_read_and_its_records_say_whose_they_are() {
    let server = Server::start(|seen, _| events(seen)).await;
    let told = read(below_events(&server.url("/"))).await;
    told.expect_end();
    assert_eq!(told.records(), [vec![1, 2], vec![3], vec![4]]);
    let of = |page: usize| jq(".parent.title").scalar(&told.pages[page].records[0].document().unwrap()).unwrap();
    assert_eq!((of(0).as_deref(), of(2).as_deref()), (Some("A \"&\" B"), Some("D")));
    assert_eq!(server.seen().len(), 5);
    assert!(told.end.as_ref().unwrap().1, "each list reconciles");
}

#[tokio::test]
async fn levels_and_written_parents_multiply() {
    let server = Server::start(|seen, _| match seen.target.split('?').next().unwrap() {
        "/regions/n/chapters" => Reply::json(r#"{"items":[{"id":"x"},{"id":"x"}]}"#),
        "/regions/s/chapters" => Reply::json(r#"{"items":[{"id":"x"}]}"#),
        "/n/x" => Reply::json(items(1, 2, "")),
        "/s/x" => Reply::json(items(2, 3, "")),
        _ => Reply::status(404),
    })
    .await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    let row = |region: &str| BTreeMap::from([("region".to_owned(), region.to_owned())]);
    let mut chapters = parents(&spec, "regions/{parent.region}/chapters", &[("chapter", ".id")]);
    if let PartitionSpec::List(list) = &mut chapters {
        list.pagination = PaginationSpec::None;
    }
    spec.partitions = vec![PartitionSpec::Fixed(vec![row("n"), row("s")]), chapters];
    spec.request.path = template("{parent.region}/{parent.chapter}");
    let told = read(spec).await;
    told.expect_end();
    assert_eq!(told.records(), [[1], [2]], "equal parents are read once, equal ids below different ones are not equal");
}

#[tokio::test]
async fn a_list_that_fails_is_named_by_its_number_and_fails_the_read() {
    let server = Server::start(|seen, _| match seen.target.as_str() {
        "/events/d/people?page=1" => Reply::status(404),
        _ => events(seen),
    })
    .await;
    let told = read(below_events(&server.url("/"))).await;
    let error = told.expect_failure(ErrorReason::Status, "list 2 of 2: page 1: GET");
    assert!(!error.message.contains("A \""), "{error:?}");
    assert_eq!(told.records(), [vec![1, 2], vec![3]]);
}

#[tokio::test]
async fn lists_are_read_together_as_far_as_the_source_allows() {
    let server = Server::start(|seen, _| {
        let reply = if seen.target.starts_with("/events?") { events(seen) } else { Reply::json(items(7, 8, "")) };
        Reply { pause: Duration::from_millis(200), ..reply }
    })
    .await;
    let mut most = [0, 0];
    for (n, concurrency) in [1, 2].into_iter().enumerate() {
        let mut spec = below_events(&server.url("/"));
        spec.limits.concurrency = concurrency;
        let told = read(spec).await;
        told.expect_end();
        assert_eq!(told.pages.len(), 2);
        let seen = server.seen();
        let last: Vec<_> = seen.iter().rev().take(2).map(|seen| seen.at).collect();
        most[n] = if last[0].duration_since(last[1]) < Duration::from_millis(150) { 2 } else { 1 };
    }
    assert_eq!(most, [1, 2]);
}

fn incremental(watermark: WatermarkSpec, lookback: u64) -> IncrementalSpec {
    IncrementalSpec {
        watermark,
        format: TimeFormat::Rfc3339(TimeZone::UTC),
        lookback: Duration::from_secs(lookback),
        full_every: Duration::from_secs(3600),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn end_of(source: &Source, start: Start) -> (Vec<Page>, End) {
    let mut read = source.read_from(start);
    let mut pages = Vec::new();
    loop {
        match read.next().await.unwrap() {
            ReadEvent::Page(page) => pages.push(page),
            ReadEvent::Waiting { .. } => {}
            ReadEvent::End(end) => return (pages, end),
            ReadEvent::Failed { error, .. } => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn what_changed_is_asked_for_and_the_newest_record_tells_from_when_on() {
    let server = Server::start(|seen, _| {
        let date = ("date", "Fri, 01 May 2026 10:00:00 GMT");
        let body = match seen.query("after") {
            None => r#"{"items":[{"id":1,"at":"2026-05-01T08:00:00Z"},{"id":2,"at":"2026-05-01T09:00:00Z"}]}"#,
            Some(_) => r#"{"items":[]}"#,
        };
        Reply::new(200, &[date], body)
    })
    .await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    spec.request.query = vec![("after".into(), template("{since}")), ("fixed".into(), template("1"))];
    spec.incremental = Some(incremental(WatermarkSpec::RecordMax(jq(".at")), 60));
    let source = source(spec);
    let (pages, end) = end_of(&source, Start::default()).await;
    assert_eq!(pages.len(), 1);
    let watermarks = BTreeMap::from([(Digest(0), at("2026-05-01T09:00:00Z"))]);
    assert_eq!(end.watermarks, watermarks);
    let (_, end) = end_of(&source, Start { watermarks: watermarks.clone(), ..Start::default() }).await;
    assert_eq!(end.watermarks, watermarks, "no record: as far as before");
    let targets: Vec<_> = server.seen().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(targets, ["/people?fixed=1", "/people?after=2026-05-01T08%3A59%3A00Z&fixed=1"]);
}

#[tokio::test]
async fn each_partition_has_its_own_watermark_and_a_new_one_is_read_whole() {
    let server = Server::start(|seen, _| {
        let generated = ("x-generated", "2026-05-01T10:00:00Z");
        let reply = if seen.target.starts_with("/events?") { events(seen) } else { Reply::json(items(1, 2, "")) };
        let body = String::from_utf8(reply.bytes).unwrap();
        Reply::new(200, &[generated], body.split_once("\r\n\r\n").unwrap().1)
    })
    .await;
    let mut spec = below_events(&server.url("/"));
    spec.request.query = vec![("after".into(), template("{since}"))];
    spec.incremental = Some(incremental(WatermarkSpec::ResponseHeader("X-Generated".into()), 0));
    let source = source(spec);
    let (_, end) = end_of(&source, Start::default()).await;
    assert_eq!(end.watermarks.len(), 2);
    let known = *end.watermarks.keys().next().unwrap();
    let watermarks = BTreeMap::from([(known, at("2026-05-01T09:00:00Z"))]);
    let (_, end) = end_of(&source, Start { watermarks, ..Start::default() }).await;
    assert_eq!(end.watermarks.values().collect::<Vec<_>>(), [&at("2026-05-01T10:00:00Z"); 2]);
    let people: Vec<_> = server.seen().into_iter().filter(|seen| seen.target.contains("/people")).collect();
    let asked: Vec<_> = people.iter().map(|seen| seen.query("after").is_some()).collect();
    assert_eq!((asked[..2].to_vec(), asked[2..].iter().filter(|since| **since).count()), (vec![false, false], 1));
}

#[tokio::test]
async fn a_list_that_is_as_it_was_costs_one_request_and_no_page() {
    let server = Server::start(|seen, _| {
        let known = seen.headers.get("if-none-match").is_some_and(|etag| etag == "\"v1\"");
        let since = seen.headers.contains_key("if-modified-since");
        let head = [("etag", "\"v1\""), ("last-modified", "Fri, 01 May 2026 10:00:00 GMT")];
        if known && since { Reply::new(304, &head, "") } else { Reply::new(200, &head, items(1, 3, "")) }
    })
    .await;
    let source = source(spec(&server.url("/"), PaginationSpec::None));
    let (pages, end) = end_of(&source, Start::default()).await;
    assert_eq!((pages.len(), end.not_modified), (1, false));
    let unless = end.validators.clone();
    assert_eq!(unless.etag.as_deref(), Some("\"v1\""));
    let (pages, end) = end_of(&source, Start { unless, ..Start::default() }).await;
    assert_eq!((pages.len(), end.not_modified, server.seen().len()), (0, true, 2));
    let unless = Validators { etag: Some("\"v0\"".into()), last_modified: None };
    let (pages, end) = end_of(&source, Start { unless, ..Start::default() }).await;
    assert_eq!((pages.len(), end.not_modified, server.seen().len()), (1, false, 3));
}

#[tokio::test]
async fn a_304_that_nobody_asked_for_is_a_fault() {
    let server = Server::start(|_, _| Reply::status(304)).await;
    read(spec(&server.url("/"), PaginationSpec::None)).await.expect_failure(ErrorReason::Status, "answered 304");
}

/// Reads until `pages` have come, then gives up; returns where each list goes on, through its bytes.
async fn interrupted(source: &Source, pages: usize) -> Start {
    let mut read = source.read(&BTreeMap::new());
    let mut start = Start::default();
    while (start.pages as usize) < pages {
        if let Some(ReadEvent::Page(page)) = read.next().await {
            let bookmark = Bookmark::from_bytes(&page.bookmark.unwrap().to_bytes()).unwrap();
            start.bookmarks.insert(bookmark.partition(), bookmark);
            start.pages = page.number;
        }
    }
    start
}

#[tokio::test]
async fn an_interrupted_read_goes_on_where_it_was() {
    let answer = |seen: &Seen| {
        let page = |key: &str| seen.query(key).map_or(1, |page| page.parse().unwrap());
        let next = |page: u64| {
            if page < 5 { format!(r#","next":"{}","url":"?p={}""#, page + 1, page + 1) } else { String::new() }
        };
        let page: u64 = [page("page"), page("after"), page("p"), page("skip") / 2 + 1].into_iter().max().unwrap();
        let last = if page == 5 { 1 } else { 2 };
        Reply::json(items(page * 2, page * 2 + last, &format!("{},\"total\":9", next(page))))
    };
    let total = || StopSpec { total: Some(jq(".total")), ..StopSpec::default() };
    let size = || PageSize { param: None, size: 2 };
    for pagination in [
        PaginationSpec::Page { param: Some("page".into()), first: 1, size: Some(size()), stop: total() },
        PaginationSpec::Offset { param: Some("skip".into()), first: 0, size: size(), stop: total() },
        PaginationSpec::Cursor {
            param: CursorPlace::Query("after".into()),
            from: CursorSource::Page(jq(".next")),
            size: None,
            stop: total(),
        },
        PaginationSpec::NextUrl { from: jq(".url"), stop: total() },
    ] {
        let kind = format!("{pagination:?}");
        let server = Server::start(move |seen, _| answer(seen)).await;
        let source = source(spec(&server.url("/"), pagination));
        let start = interrupted(&source, 3).await;
        let before = server.seen().len();
        let (pages, end) = end_of(&source, start.clone()).await;
        let numbers: Vec<_> = pages.iter().map(|page| page.number).collect();
        assert_eq!((numbers, end.reconciles), (vec![4, 5], true), "{kind}");
        // The first read may have been ahead by what it was given up with.
        let asked = server.seen().len() - before;
        assert!((2..=4).contains(&asked), "{kind}: {asked}");
        let all = interrupted(&source, 5).await;
        let before = server.seen().len();
        let (pages, _) = end_of(&source, all).await;
        assert_eq!((pages.len(), server.seen().len() - before), (0, 0), "{kind}: nothing is left to read");
    }
}

#[tokio::test]
async fn lists_that_were_read_are_not_read_again() {
    let server = Server::start(|seen, _| events(seen)).await;
    let source = source(below_events(&server.url("/")));
    let start = interrupted(&source, 2).await;
    let (pages, _) = end_of(&source, start).await;
    let numbers: Vec<_> = pages.iter().map(|page| page.number).collect();
    assert_eq!(numbers, [3]);
}
