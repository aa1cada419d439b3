//! Every kind of paging, every sign of the end, every form of loop.

use super::*;
use crate::config::{Repeated, Sign};
use crate::limits;

fn page(size: Option<u64>, stop: StopSpec) -> PaginationSpec {
    let size = size.map(|size| PageSize { param: Some("per".into()), size });
    PaginationSpec::Page { param: Some("page".into()), first: 1, size, stop }
}

fn offset(size: u64, stop: StopSpec) -> PaginationSpec {
    let size = PageSize { param: Some("limit".into()), size };
    PaginationSpec::Offset { param: Some("skip".into()), first: 0, size, stop }
}

fn cursor(stop: StopSpec) -> PaginationSpec {
    tokens(CursorPlace::Query("after".into()), CursorSource::Page(jq(".next")), stop)
}

fn tokens(param: CursorPlace, from: CursorSource, stop: StopSpec) -> PaginationSpec {
    PaginationSpec::Cursor { param, from, size: None, stop }
}

fn next_url(stop: StopSpec) -> PaginationSpec {
    PaginationSpec::NextUrl { from: jq(".next"), stop }
}

fn has_more() -> StopSpec {
    StopSpec { has_more: Some(jq(".more")), ..StopSpec::default() }
}

fn total() -> StopSpec {
    StopSpec { total: Some(jq(".total")), ..StopSpec::default() }
}

fn number(seen: &Seen, name: &str) -> u64 {
    seen.query(name).unwrap_or("0").parse().unwrap()
}

/// The read of a source that answers by `answer`, and the targets it was asked for.
async fn walk(
    pagination: PaginationSpec,
    answer: impl Fn(&Seen, usize) -> String + Send + Sync + 'static,
) -> (Told, Vec<String>) {
    let server = Server::start(move |seen, n| Reply::json(answer(seen, n))).await;
    let told = read(spec(&server.url("/v1/"), pagination)).await;
    let targets = server.seen().into_iter().map(|seen| seen.target).collect();
    (told, targets)
}

#[tokio::test]
async fn none_is_one_page() {
    let (told, targets) = walk(PaginationSpec::None, |_, _| items(0, 3, r#","next":"x","more":true"#)).await;
    assert_eq!(told.expect_end().records(), [[0, 1, 2]]);
    assert_eq!(targets, ["/v1/people"]);
    assert_eq!(format!("{:?}", told.pages[0]), "Page { number: 1, records: 3, .. }");
    let bytes = told.pages[0].document.bytes().len() as u64;
    assert_eq!(told.traffic(), Traffic { pages: 1, bytes, requests: 1, retries: 0, wait_ms: 0 });
}

#[tokio::test]
async fn pages_end_with_a_short_or_an_empty_one() {
    // Ten records in pages of four, and of five: the last page is short, or empty.
    for (size, requests) in [(4, 3), (5, 3)] {
        let answer = move |seen: &Seen, _| {
            let from = (number(seen, "page") - 1) * size;
            items(from.min(10), (from + size).min(10), "")
        };
        let (told, targets) = walk(page(Some(size), StopSpec::default()), answer).await;
        assert_eq!(told.expect_end().records().concat(), (0..10).collect::<Vec<_>>());
        assert_eq!(targets.len(), requests);
        assert_eq!(targets[0], format!("/v1/people?page=1&per={size}"));
        assert_eq!(targets[2], format!("/v1/people?page=3&per={size}"));
    }
    // Without a size only an empty page ends the list.
    let answer = |seen: &Seen, _| match number(seen, "page") {
        n @ 1..=3 => items(n * 10, n * 11, ""),
        _ => items(0, 0, ""),
    };
    let (told, targets) = walk(page(None, StopSpec::default()), answer).await;
    assert_eq!(told.expect_end().pages.len(), 4);
    assert_eq!(targets[3], "/v1/people?page=4");
}

#[tokio::test]
async fn offsets_never_leave_a_hole() {
    let answer = |seen: &Seen, _| items(number(seen, "skip").min(9), (number(seen, "skip") + 4).min(9), "");
    let (told, targets) = walk(offset(4, StopSpec::default()), answer).await;
    assert_eq!(told.expect_end().records().concat(), (0..9).collect::<Vec<_>>());
    assert_eq!(targets[2], "/v1/people?skip=8&limit=4");
    // A source that gives at most three a page, whatever it is asked for.
    let answer = |seen: &Seen, _| {
        let from = number(seen, "skip").min(9);
        items(from, (from + 3).min(9), if from < 6 { r#","more":true"# } else { "" })
    };
    let (told, _) = walk(offset(4, has_more()), answer).await;
    assert_eq!(told.expect_end().records().concat(), (0..9).collect::<Vec<_>>());
}

#[tokio::test]
async fn has_more_decides_where_it_is_configured() {
    // Short and even empty pages do not end the list while there is more; a full one does when there is none.
    let answer = |_: &Seen, n| match n {
        0 => items(0, 1, r#","more":true"#),
        1 => items(0, 0, r#","more":true"#),
        _ => items(2, 6, r#","more":false,"next":"more""#),
    };
    let (told, targets) = walk(page(Some(4), has_more()), answer).await;
    assert_eq!(told.expect_end().records().concat(), [0, 2, 3, 4, 5]);
    assert_eq!(targets.len(), 3);
    // A cursor that is still there on the last page (as Eventbrite's) does not matter.
    let (told, targets) = walk(cursor(has_more()), |_, _| items(0, 2, r#","more":false,"next":"same""#)).await;
    assert_eq!((told.expect_end().pages.len(), targets.len()), (1, 1));
    // More without a way on is half a list.
    let (told, _) = walk(cursor(has_more()), |_, _| items(0, 2, r#","more":true"#)).await;
    told.expect_failure(ErrorReason::Select, "page 1: there are more pages, says `has_more`, but `.next`");
}

#[tokio::test]
async fn a_list_that_stays_empty_and_goes_on_is_a_loop() {
    let server = Server::start(|_, _| Reply::json(items(0, 0, r#","more":true"#))).await;
    let mut spec = spec(&server.url("/"), page(None, has_more()));
    spec.limits.pages_max = 1_000;
    read(spec).await.expect_failure(ErrorReason::PagingLoop, "100 pages in a row were empty");
}

#[tokio::test]
async fn total_ends_and_reconciles() {
    let answer = |seen: &Seen, _| {
        let from = (number(seen, "page") - 1) * 2;
        items(from, from + 2, r#","total":6"#)
    };
    let (told, targets) = walk(page(Some(2), total()), answer).await;
    assert_eq!(told.expect_end().records().concat().len(), 6);
    assert_eq!((targets.len(), told.end.as_ref().unwrap().1), (3, true));
    assert_eq!(told.end.unwrap().2, None);
    // The source caps its pages at two: the short first page ends the list, and the end says what is missing.
    let (told, _) = walk(page(Some(5), total()), |_, _| items(0, 2, r#","total":"6""#)).await;
    let (_, reconciles, note) = told.expect_end().end.clone().unwrap();
    assert!(!reconciles);
    let note = note.unwrap();
    assert!(note.contains("6 records, but 2 were read") && note.contains("may cap its pages"), "{note}");
    // A total that is none.
    let (told, _) = walk(page(Some(5), total()), |_, _| items(0, 2, r#","total":"ada@example.org""#)).await;
    let error = told.expect_failure(ErrorReason::Select, "`.total` (`total`) is no whole number");
    assert!(!error.message.contains("ada"));
}

/// The next page is asked for while the one before is understood, where it is foreseen; then too it is asked for once,
/// after the one before has come, and what becomes of the list is the same.
#[tokio::test]
async fn a_page_that_is_foreseen_changes_nothing_but_the_time() {
    // What the third of six pages answers, what is read, and how it ends.
    type Case = (&'static str, u64, Result<&'static str, &'static str>);
    let cases: [Case; 5] = [
        ("full", 12, Ok("")),
        ("short", 5, Ok("12 records, but 5 were read")),
        ("empty", 4, Ok("12 records, but 4 were read")),
        ("broken", 4, Err("page 3: ")),
        ("page 2 again", 4, Err("page 3: it holds the same records as page 2")),
    ];
    for paging in [page(Some(2), total()), offset(2, total())] {
        for (third, read, end) in cases {
            let answer = move |seen: &Seen, _| {
                let skipped = number(seen, "skip").max(number(seen, "page").saturating_sub(1) * 2);
                match (third, skipped) {
                    ("short", 4) => items(4, 5, r#","total":12"#),
                    ("empty", 4) => items(4, 4, r#","total":12"#),
                    ("broken", 4) => r#"{"items":[{"id":4},{"id""#.into(),
                    ("page 2 again", 4) => items(2, 4, r#","total":12"#),
                    _ => items(skipped, skipped + 2, r#","total":12"#),
                }
            };
            let (told, targets) = walk(paging.clone(), answer).await;
            let records = told.records().concat();
            assert_eq!(records, (0..read).collect::<Vec<_>>(), "{third}");
            match end {
                Ok(note) => {
                    assert!(told.expect_end().end.as_ref().unwrap().2.clone().unwrap_or_default().contains(note))
                }
                Err(message) => {
                    assert!(told.failed.as_ref().unwrap().0.message.starts_with(message), "{:?}", told.failed)
                }
            }
            // At most the one that was foreseen is asked for in vain, and none twice.
            let needed = if third == "full" { 6 } else { 3 };
            assert!((needed..=needed + usize::from(third != "full")).contains(&targets.len()), "{third}: {targets:?}");
            let mut once = targets.clone();
            once.dedup();
            assert_eq!(once, targets);
        }
    }
}

/// It is its own failure then, not that of the page before.
#[tokio::test]
async fn a_page_that_is_foreseen_fails_by_its_own_number() {
    let answer = |seen: &Seen, _| match number(seen, "page") {
        3 => Reply { stall: true, ..Reply::default() },
        page => Reply::json(items(page * 2, page * 2 + 2, r#","total":12"#)),
    };
    let server = Server::start(answer).await;
    let mut spec = spec(&server.url("/"), page(Some(2), total()));
    spec.limits.run_timeout = Duration::from_secs(1);
    let told = read(spec.clone()).await;
    told.expect_failure(ErrorReason::Timeout, "page 3: the list was not read to its end within 1 s");
    assert_eq!(told.pages.len(), 2);
    spec.limits.run_timeout = Duration::from_secs(20);
    (spec.limits.connect_timeout, spec.limits.idle_timeout) = (Duration::from_millis(300), Duration::from_millis(300));
    let told = read(spec).await;
    told.expect_failure(ErrorReason::Timeout, "page 3: GET");
    assert_eq!(told.pages.len(), 2);
}

/// Somebody left from a page that was read: the ones after them moved up, and one slipped through between two pages.
#[tokio::test]
async fn a_list_that_moves_does_not_reconcile_though_its_last_total_is_met() {
    let answer = |_: &Seen, n| match n {
        0 => items(0, 2, r#","total":5"#),
        _ => items(3, 5, r#","total":4"#),
    };
    let (told, _) = walk(page(Some(2), total()), answer).await;
    assert_eq!(told.expect_end().records(), vec![vec![0, 1], vec![3, 4]]);
    let (_, reconciles, note) = told.end.unwrap();
    assert!(!reconciles);
    assert_eq!(note.unwrap(), "the list changed while it was read: of 5 records at first, then 4");
}

#[tokio::test]
async fn a_cursor_or_next_url_that_no_request_can_carry_is_refused() {
    let long = "a".repeat(limits::CURSOR_BYTES_MAX + 1);
    for paging in [cursor(StopSpec::default()), next_url(StopSpec::default())] {
        let next = format!(r#","next":"{long}""#);
        let (told, targets) = walk(paging, move |_, _| items(0, 1, &next)).await;
        let error = told.expect_failure(ErrorReason::Select, "that page 1 gives has 32769 bytes");
        assert!(error.message.len() < 200 && targets.len() == 1, "{error:?}");
    }
}

#[tokio::test]
async fn a_cursor_goes_where_the_templates_say() {
    let answer = |seen: &Seen| match seen.target.as_str() {
        "/list/" => items(0, 2, r#","next":"a/b""#),
        "/list/a%2Fb" => items(2, 3, ""),
        other => panic!("{other}"),
    };
    let server = Server::start(move |seen, _| Reply::json(answer(seen))).await;
    let paging = tokens(CursorPlace::Templates, CursorSource::Page(jq(".next")), StopSpec::default());
    let mut spec = spec(&server.url("/"), paging);
    spec.request.path = Template::parse("list/{cursor}").unwrap();
    spec.request.query.clear();
    assert_eq!(read(spec).await.expect_end().records(), vec![vec![0, 1], vec![2]]);
}

#[tokio::test]
async fn cursors_from_the_body_to_query_or_body() {
    let answer = |seen: &Seen, _| match seen.query("after") {
        None => items(0, 2, r#","next":"a b&c""#),
        Some("a+b%26c") => items(2, 4, r#","next":17"#),
        Some("17") => items(4, 5, r#","next":null"#),
        other => panic!("{other:?}"),
    };
    let (told, _) = walk(cursor(StopSpec::default()), answer).await;
    assert_eq!(told.expect_end().records(), vec![vec![0, 1], vec![2, 3], vec![4]]);

    let answer = |seen: &Seen, _| match seen.body.as_str() {
        "event=x" => items(0, 2, r#","next":"c2""#),
        "event=x&after=c2" => items(2, 3, ""),
        other => panic!("{other:?}"),
    };
    let server = Server::start(move |seen, n| Reply::json(answer(seen, n))).await;
    let place = CursorPlace::Body("after".into());
    let mut spec = spec(&server.url("/"), tokens(place, CursorSource::Page(jq(".next")), StopSpec::default()));
    spec.request.method = Method::Post;
    spec.request.body = BodySpec::Form(vec![("event".into(), Template::parse("{param.event}").unwrap())]);
    let params = BTreeMap::from([("event".to_owned(), "x".to_owned())]);
    let told = all(source(spec).read(&params)).await;
    assert_eq!(told.expect_end().records().concat(), [0, 1, 2]);
    assert!(server.seen().iter().all(|seen| seen.method == "POST"));
}

#[tokio::test]
async fn next_urls_absolute_and_relative() {
    let server = Server::start(|seen, n| {
        Reply::json(match n {
            0 => items(0, 2, &format!(r#","next":"http://{}/v1/people?c=%201+2#top""#, seen.headers["host"])),
            1 => items(2, 4, r#","next":"?c=3""#),
            2 => items(4, 6, r#","next":"/v2/x""#),
            _ => items(6, 7, r#","next":"""#),
        })
    })
    .await;
    let told = read(spec(&server.url("/v1/"), next_url(StopSpec::default()))).await;
    assert_eq!(told.expect_end().records().concat(), (0..7).collect::<Vec<_>>());
    let targets: Vec<_> = server.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/v1/people", "/v1/people?c=%201+2", "/v1/people?c=3", "/v2/x"]);
}

#[tokio::test]
async fn link_headers() {
    let server = Server::start(|seen, n| {
        let link = format!("<http://{}/people?p={}>; rel=\"next\"", seen.headers["host"], n + 2);
        let first = [("link", "</people?p=9>; rel=last"), ("link", link.as_str())];
        let n = n as u64;
        Reply::new(200, if n < 2 { &first } else { &first[..1] }, items(n, n + 1, ""))
    })
    .await;
    let told = read(spec(&server.url("/"), PaginationSpec::LinkHeader { stop: StopSpec::default() })).await;
    assert_eq!(told.expect_end().records().concat(), [0, 1, 2]);
    assert_eq!(server.seen()[2].target, "/people?p=3");
}

#[tokio::test]
async fn a_next_page_elsewhere_is_refused() {
    let elsewhere = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
    let port = elsewhere.address.clone();
    for next in [format!("http://{port}/x"), "https://127.0.0.1/x".to_owned(), "//evil.example/x".to_owned()] {
        let body = items(0, 1, &format!(r#","next":"{next}?token=s3cret""#));
        let (told, targets) = walk(next_url(StopSpec::default()), move |_, _| body.clone()).await;
        let error = told.expect_failure(ErrorReason::Redirect, "the next page's URL leads to another origin");
        assert!(!error.message.contains("s3cret"), "{error:?}");
        assert_eq!((told.pages.len(), targets.len()), (1, 1));
    }
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn an_ignored_parameter_is_a_loop_that_is_named() {
    let always = |_: &Seen, n| items(0, 3, &format!(r#","page":{n},"next":"c{n}""#));
    for (pagination, culprit) in [
        (page(None, StopSpec::default()), "page parameter 'page' seems to be ignored"),
        (page(Some(3), StopSpec::default()), "page parameter 'page' seems to be ignored"),
        (offset(3, StopSpec::default()), "offset parameter 'skip' seems to be ignored"),
        (cursor(StopSpec::default()), "cursor parameter 'after' seems to be ignored"),
    ] {
        let (told, targets) = walk(pagination, always).await;
        let error = told.expect_failure(ErrorReason::PagingLoop, culprit);
        assert!(error.message.starts_with("page 2: it holds the same records as page 1"), "{error:?}");
        assert_eq!((told.pages.len(), targets.len()), (1, 2));
    }
}

#[tokio::test]
async fn a_cursor_or_url_seen_before_is_a_loop() {
    let answer = |_: &Seen, n| {
        let n = n as u64;
        items(n, n + 1, r#","next":"s3cret-cursor-that-is-long@x""#)
    };
    let (told, _) = walk(cursor(StopSpec::default()), answer).await;
    let error = told.expect_failure(ErrorReason::PagingLoop, "the cursor after it ('x0xxxx-xxxxxx-xx…')");
    assert!(error.message.starts_with("page 2: ") && error.message.contains("given by page 1 already"), "{error:?}");

    for (back, said) in [("people", "led to page 1"), ("people?key=s3cret", "given by page 1 already")] {
        let answer = move |_: &Seen, n| {
            let n = n as u64;
            items(n, n + 1, &format!(r#","next":"{back}""#))
        };
        let (told, _) = walk(next_url(StopSpec::default()), answer).await;
        let error = told.expect_failure(ErrorReason::PagingLoop, said);
        assert!(error.message.contains("go in a circle") && !error.message.contains("s3cret"), "{error:?}");
    }
}

#[tokio::test]
async fn an_endless_list_is_capped() {
    let answer = |seen: &Seen, _| items(number(seen, "page"), number(seen, "page") + 1, "");
    let (told, targets) = walk(page(None, StopSpec::default()), answer).await;
    told.expect_failure(ErrorReason::PagingLoop, "the list goes on after 50 pages");
    assert_eq!((told.pages.len(), targets.len()), (50, 50));
}

/// The read of a source that answers whole replies, and what it was asked.
async fn walk_replies(
    edit: impl FnOnce(&mut SourceSpec),
    pagination: PaginationSpec,
    answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
) -> (Told, Vec<Seen>) {
    let server = Server::start(answer).await;
    let mut spec = spec(&server.url("/"), pagination);
    edit(&mut spec);
    let told = read(spec).await;
    (told, server.seen())
}

fn after(from: CursorSource, stop: StopSpec) -> PaginationSpec {
    tokens(CursorPlace::Query("after".into()), from, stop)
}

#[tokio::test]
async fn a_cursor_may_be_the_last_raw_records_or_a_headers() {
    // The last record of each page is one that `skip_when` leaves out later: the list goes on after it all the same.
    let answer = |seen: &Seen, _: usize| {
        let from = seen.query("after").map_or(0, |after| after.parse::<u64>().unwrap() + 1);
        Reply::json(items(from.min(7), (from + 3).min(7), ""))
    };
    let from = CursorSource::LastRecord(jq(".id"));
    let skip = |spec: &mut SourceSpec| spec.mapping.skip_when = Some(jq(".id % 3 == 2"));
    let (told, seen) = walk_replies(skip, after(from.clone(), StopSpec::default()), answer).await;
    assert_eq!(told.expect_end().records(), vec![vec![0, 1, 2], vec![3, 4, 5], vec![6], vec![]]);
    let targets: Vec<_> = seen.iter().map(|seen| seen.target.as_str()).collect();
    assert_eq!(targets, ["/people", "/people?after=2", "/people?after=5", "/people?after=6"]);
    // With a size, the short page is the last; one more request is saved.
    let paging = PaginationSpec::Cursor {
        param: CursorPlace::Query("after".into()),
        from: from.clone(),
        size: Some(3),
        stop: StopSpec::default(),
    };
    let (told, seen) = walk_replies(|_| {}, paging, answer).await;
    assert_eq!((told.expect_end().records().concat().len(), seen.len()), (7, 3));
    // More without a record to go on from is half a list.
    let (told, _) =
        walk_replies(|_| {}, after(from, has_more()), |_, _| Reply::json(items(0, 0, r#","more":true"#))).await;
    told.expect_failure(ErrorReason::Select, "says `has_more`, but `.id` of the last record leads to none");

    let answer = |seen: &Seen, _: usize| match seen.query("after") {
        None => Reply::new(200, &[("X-Next", " t/1 ")], items(0, 2, "")),
        Some("t%2F1") => Reply::new(200, &[("x-next", "")], items(2, 3, "")),
        other => panic!("{other:?}"),
    };
    let from = || CursorSource::Header("X-Next".into());
    let (told, seen) = walk_replies(|_| {}, after(from(), StopSpec::default()), answer).await;
    assert_eq!((told.expect_end().records().concat(), seen.len()), (vec![0, 1, 2], 2));
    let (told, _) =
        walk_replies(|_| {}, after(from(), has_more()), |_, _| Reply::json(items(0, 1, r#","more":1"#))).await;
    told.expect_failure(ErrorReason::Select, "but the header `X-Next` leads to none");
}

#[tokio::test]
async fn numbers_go_wherever_the_templates_say() {
    let json = |spec: &mut SourceSpec| {
        let text = crate::config::JsonTemplate::Text(Template::parse("{cursor}").unwrap());
        spec.request.method = Method::Post;
        spec.request.body = BodySpec::Json(crate::config::JsonTemplate::Object(vec![("page".into(), text)]));
    };
    let form = |spec: &mut SourceSpec| {
        spec.request.method = Method::Post;
        spec.request.body = BodySpec::Form(vec![("page".into(), Template::parse("{cursor}").unwrap())]);
    };
    let path = |spec: &mut SourceSpec| spec.request.path = Template::parse("people/{cursor}").unwrap();
    let header =
        |spec: &mut SourceSpec| spec.request.headers = vec![("X-Page".into(), Template::parse("p{cursor}").unwrap())];
    type Edit = fn(&mut SourceSpec);
    type Found = fn(&Seen) -> String;
    let cases: [(Edit, Found, [&str; 3]); 4] = [
        (json, |seen| seen.body.clone(), [r#"{"page":1}"#, r#"{"page":2}"#, r#"{"page":3}"#]),
        (form, |seen| seen.body.clone(), ["page=1", "page=2", "page=3"]),
        (path, |seen| seen.target.clone(), ["/people/1", "/people/2", "/people/3"]),
        (header, |seen| seen.headers["x-page"].clone(), ["p1", "p2", "p3"]),
    ];
    for (edit, found, expected) in cases {
        let size = Some(PageSize { param: None, size: 2 });
        let paging = PaginationSpec::Page { param: None, first: 1, size, stop: StopSpec::default() };
        let answer = |_: &Seen, n: usize| Reply::json(items(n as u64 * 2, (n as u64 * 2 + 2).min(5), ""));
        let (told, seen) = walk_replies(edit, paging, answer).await;
        assert_eq!(told.expect_end().records().concat(), (0..5).collect::<Vec<_>>());
        assert_eq!(seen.iter().map(found).collect::<Vec<_>>(), expected);
    }
    // An offset, and the parameter of its size beside it.
    let size = PageSize { param: Some("top".into()), size: 2 };
    let paging = PaginationSpec::Offset { param: None, first: 0, size, stop: StopSpec::default() };
    let answer = |_: &Seen, n: usize| Reply::json(items(n as u64 * 2, (n as u64 * 2 + 2).min(3), ""));
    let (told, seen) = walk_replies(path, paging, answer).await;
    told.expect_end();
    assert_eq!(
        seen.iter().map(|seen| seen.target.as_str()).collect::<Vec<_>>(),
        ["/people/0?top=2", "/people/2?top=2"]
    );
    // Where the source ignores it, the placeholder is what is named.
    let paging = PaginationSpec::Page { param: None, first: 1, size: None, stop: StopSpec::default() };
    let (told, _) = walk_replies(path, paging, |_, _| Reply::json(items(0, 2, ""))).await;
    told.expect_failure(ErrorReason::PagingLoop, "placeholder '{cursor}' seems to be ignored");
}

#[tokio::test]
async fn parameters_may_have_brackets() {
    let size = Some(PageSize { param: Some("page[size]".into()), size: 2 });
    let paging = PaginationSpec::Page { param: Some("page[number]".into()), first: 1, size, stop: StopSpec::default() };
    let answer = |_: &Seen, n: usize| Reply::json(items(n as u64 * 2, (n as u64 * 2 + 2).min(3), ""));
    let (told, seen) = walk_replies(|_| {}, paging, answer).await;
    told.expect_end();
    assert_eq!(seen[1].target, "/people?page%5Bnumber%5D=2&page%5Bsize%5D=2");
}

/// Eight records on pages of which some are short or empty, for the source filters them after it cuts them.
fn filtered(n: u64, more: &str) -> String {
    match n {
        1 => items(0, 3, more),
        2 => items(3, 4, more),
        3 => items(4, 4, more),
        4 => items(4, 7, more),
        _ => items(7, 7, more),
    }
}

#[tokio::test]
async fn short_and_empty_pages_end_a_list_as_configured() {
    let (ends, goes_on) = (Sign::End, Sign::GoesOn);
    let stop =
        |short_page, empty_page, last| StopSpec { short_page, empty_page, last_page: last, ..StopSpec::default() };
    let last = || Some(jq(".last"));
    // The signs, then how many records and how many requests.
    for (stop, records, requests) in [
        (stop(ends, None, None), 4, 2),
        (stop(goes_on, None, None), 4, 3),
        (stop(goes_on, Some(ends), None), 4, 3),
        (stop(ends, None, last()), 7, 5),
        (stop(goes_on, Some(goes_on), last()), 7, 5),
    ] {
        let name = format!("{stop:?}");
        let answer = |seen: &Seen, _| filtered(number(seen, "page"), r#","last":5"#);
        let (told, targets) = walk(page(Some(3), stop), answer).await;
        assert_eq!((told.expect_end().records().concat().len(), targets.len()), (records, requests), "{name}");
        assert!(told.end.unwrap().1, "{name}: nothing contradicts it");
    }
    // A source that gives at most three, whatever it is asked for: by offset, all are read without a hole.
    let answer = |seen: &Seen, _| {
        let from = number(seen, "skip").min(7);
        items(from, (from + 3).min(7), "")
    };
    let (told, targets) = walk(offset(4, stop(goes_on, None, None)), answer).await;
    assert_eq!((told.expect_end().records().concat(), targets.len()), ((0..7).collect(), 4));
    // A cursor's presence decides, but where an empty page is said to.
    for (empty_page, records, requests) in [(None, 7, 5), (Some(goes_on), 7, 5), (Some(ends), 4, 3)] {
        let answer = |_: &Seen, n: usize| {
            let next = if n < 4 { format!(r#","next":"c{n}""#) } else { String::new() };
            filtered(n as u64 + 1, &next)
        };
        let (told, targets) = walk(cursor(StopSpec { empty_page, ..StopSpec::default() }), answer).await;
        assert_eq!((told.expect_end().records().concat().len(), targets.len()), (records, requests), "{empty_page:?}");
    }
}

#[tokio::test]
async fn a_last_page_is_read_or_the_list_is_not_complete() {
    let stop = || StopSpec { last_page: Some(jq(".pages")), ..StopSpec::default() };
    let answer = |pages: &'static str| {
        move |seen: &Seen, _: usize| {
            let n = number(seen, "page");
            items(n * 2, n * 2 + 2, &format!(r#","pages":{pages},"more":{}"#, n < 2))
        }
    };
    let (told, targets) = walk(page(None, stop()), answer("3")).await;
    assert_eq!((told.expect_end().pages.len(), targets.len(), told.end.unwrap().1), (3, 3, true));
    let (told, targets) = walk(page(None, stop()), answer("0")).await;
    assert_eq!((told.expect_end().pages.len(), targets.len(), told.end.unwrap().1), (1, 1, true));
    // `has_more` is above it, and contradicts it.
    let (told, _) = walk(page(None, StopSpec { has_more: Some(jq(".more")), ..stop() }), answer("3")).await;
    let (_, reconciles, note) = told.expect_end().end.clone().unwrap();
    assert!(!reconciles);
    assert_eq!(note.unwrap(), "the source says that page 3 is the last, but the list ended at page 2");
    let (told, _) = walk(page(None, stop()), answer("\"Ada\"")).await;
    let error = told.expect_failure(ErrorReason::Select, "`.pages` (`last_page`) is no whole number");
    assert!(!error.message.contains("Ada"));
    // The list became longer while it was read.
    let grows =
        |_: &Seen, n: usize| items(n as u64, n as u64 + 1, &format!(r#","pages":{}"#, if n < 2 { 3 } else { 4 }));
    let (told, targets) = walk(page(None, stop()), grows).await;
    let (_, reconciles, note) = told.expect_end().end.clone().unwrap();
    assert_eq!((reconciles, targets.len()), (false, 4));
    assert_eq!(note.unwrap(), "the list changed while it was read: of 3 pages at first, then 4");
}

/// With a last page, too, what is foreseen changes nothing: a list that shrinks, or a page that fails.
#[tokio::test]
async fn a_page_that_a_last_page_foretells_changes_nothing_but_the_time() {
    let stop = || StopSpec { last_page: Some(jq(".pages")), ..StopSpec::default() };
    for (pages, read, requests) in [(&[4, 4, 4, 4][..], 8, 4..=4), (&[4, 4, 3], 6, 3..=4), (&[4, 2], 4, 2..=3)] {
        let answer = move |seen: &Seen, _: usize| {
            let n = number(seen, "page");
            let last = pages.get(n as usize - 1).unwrap_or(&4);
            items(n * 2, n * 2 + 2, &format!(r#","pages":{last}"#))
        };
        let (told, targets) = walk(page(None, stop()), answer).await;
        assert_eq!(told.expect_end().records().concat().len(), read, "{pages:?}");
        assert!(requests.contains(&targets.len()), "{targets:?}");
        let mut once = targets.clone();
        once.dedup();
        assert_eq!(once, targets);
    }
}

#[tokio::test]
async fn a_page_that_names_itself_is_a_loop_or_the_end() {
    let ends = || StopSpec { repeated: Repeated::End, ..StopSpec::default() };
    // Three pages; the last names the token that it was asked for with.
    let token = |_: &Seen, n: usize| {
        let n = n as u64;
        items(n, n + 1, &format!(r#","next":"t{}""#, (n + 1).min(2)))
    };
    let (told, targets) = walk(cursor(ends()), token).await;
    assert_eq!((told.expect_end().records().concat(), targets.len()), (vec![0, 1, 2], 3));
    let (told, _) = walk(cursor(StopSpec::default()), token).await;
    told.expect_failure(ErrorReason::PagingLoop, "page 3: the cursor after it ('t2') was given by page 2 already");
    let url = |_: &Seen, n: usize| {
        let n = n as u64;
        items(n, n + 1, &format!(r#","next":"/v1/people?p={}""#, (n + 1).min(2)))
    };
    let (told, targets) = walk(next_url(ends()), url).await;
    assert_eq!((told.expect_end().records().concat(), targets.len()), (vec![0, 1, 2], 3));
    // One page that names itself from the beginning.
    let (told, targets) = walk(next_url(ends()), |_, _| items(0, 1, r#","next":"/v1/people""#)).await;
    assert_eq!((told.expect_end().records().concat(), targets.len()), (vec![0], 1));
    // One further back is no end, but a circle; and `has_more` above it says that there is no way on.
    let circle = |_: &Seen, n: usize| items(n as u64, n as u64 + 1, &format!(r#","next":"t{}""#, n % 2));
    let (told, _) = walk(cursor(ends()), circle).await;
    told.expect_failure(ErrorReason::PagingLoop, "was given by page 1 already");
    let more = |_: &Seen, n: usize| items(n as u64, n as u64 + 1, r#","next":"same","more":true"#);
    let (told, _) = walk(cursor(StopSpec { repeated: Repeated::End, ..has_more() }), more).await;
    told.expect_failure(ErrorReason::Select, "page 2: there are more pages, says `has_more`");
}
