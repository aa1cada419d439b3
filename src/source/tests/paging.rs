//! Every kind of paging, every sign of the end, every form of loop.

use super::*;
use crate::limits;

fn page(size: Option<u64>, stop: StopSpec) -> PaginationSpec {
    let size = size.map(|size| PageSize { param: Some("per".into()), size });
    PaginationSpec::Page { param: "page".into(), first: 1, size, stop }
}

fn offset(size: u64, stop: StopSpec) -> PaginationSpec {
    let size = PageSize { param: Some("limit".into()), size };
    PaginationSpec::Offset { param: "skip".into(), first: 0, size, stop }
}

fn cursor(stop: StopSpec) -> PaginationSpec {
    PaginationSpec::Cursor { param: CursorPlace::Query("after".into()), from: jq(".next"), stop }
}

fn next_url(stop: StopSpec) -> PaginationSpec {
    PaginationSpec::NextUrl { from: jq(".next"), stop }
}

fn has_more() -> StopSpec {
    StopSpec { has_more: Some(jq(".more")), total: None }
}

fn total() -> StopSpec {
    StopSpec { has_more: None, total: Some(jq(".total")) }
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
    let error = told.expect_failure(ErrorReason::Select, "`.total` (the total) is no whole number");
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
    let paging = PaginationSpec::Cursor { param: CursorPlace::Templates, from: jq(".next"), stop: StopSpec::default() };
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
    let mut spec =
        spec(&server.url("/"), PaginationSpec::Cursor { param: place, from: jq(".next"), stop: StopSpec::default() });
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
