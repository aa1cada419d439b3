//! Budgets, pauses that the source asks for, pages ahead, and stopping.

use std::time::Instant;

use super::*;
use crate::config::{Per, ResetHeader, ResetUnit, WindowSpec};

fn endless() -> PaginationSpec {
    PaginationSpec::Page { param: Some("page".into()), first: 1, size: None, stop: StopSpec::default() }
}

/// A list of this many pages with one record each.
fn list(pages: u64) -> impl Fn(&Seen, usize) -> Reply + Send + Sync {
    move |seen, _| {
        let page: u64 = seen.query("page").unwrap_or("1").parse().unwrap();
        Reply::json(if page <= pages { items(page, page + 1, "") } else { items(0, 0, "") })
    }
}

#[tokio::test]
async fn a_budget_is_shared_and_never_exceeded() {
    let server = Server::start(list(9)).await;
    let mut spec = spec(&server.url("/"), endless());
    spec.budget = vec![WindowSpec { requests: 8, per: Per::Second, resets: None }];
    let source = source(spec);
    assert_eq!(source.allowance().windows[0].left, 8);
    let reads = (0..2).map(|_| all(source.read(&BTreeMap::new())));
    let told = futures_util::future::join_all(reads).await;
    assert!(told.iter().all(|told| told.expect_end().pages.len() == 10));
    assert!(told.iter().any(|told| told.traffic().wait_ms > 500));
    let mut at: Vec<Instant> = server.seen().iter().map(|seen| seen.at).collect();
    at.sort();
    assert_eq!(at.len(), 20);
    for nine in at.windows(9) {
        let span = nine[8] - nine[0];
        assert!(span >= Duration::from_secs(1), "nine requests in {span:?}");
    }
}

#[tokio::test]
async fn a_pause_is_obeyed_in_every_form_and_by_everybody() {
    // Half of the least and most that FAST clamps to tell the forms apart.
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (status, header, least_ms) in [
        (429, Some("1"), 60),
        (429, Some("Sun, 06 Nov 1994 08:49:47 GMT"), 60),
        (429, Some("0"), 20),
        (429, Some("Sun, 06 Nov 1994 08:00:00 GMT"), 20),
        (429, Some("soon"), 20),
        (429, None, 20),
        (503, Some("3600"), 60),
    ] {
        let server = Server::start(move |_, n| match (n, header) {
            (0, Some(after)) => Reply::new(status, &[date, ("retry-after", after)], ""),
            (0, None) => Reply::new(status, &[date], ""),
            _ => Reply::json(items(0, 1, "")),
        })
        .await;
        let source = source(spec(&server.url("/"), PaginationSpec::None));
        let first = tokio::spawn(all(source.read(&BTreeMap::new())));
        while server.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        all(source.read(&BTreeMap::new())).await.expect_end();
        let told = first.await.unwrap();
        told.expect_end();
        assert!(told.traffic().wait_ms >= least_ms / 2, "{header:?}: {:?}", told.traffic());
        let seen = server.seen();
        assert_eq!(seen.len(), 3);
        for later in &seen[1..] {
            let pause = later.at - seen[0].at;
            assert!(pause >= Duration::from_millis(least_ms), "{status} {header:?}: {pause:?}");
        }
    }
}

#[tokio::test]
async fn a_pause_beyond_the_run_fails_at_once() {
    let server = Server::start(|_, _| Reply::new(429, &[("retry-after", "900")], "")).await;
    let source = Source::new(
        Arc::new(spec(&server.url("/"), PaginationSpec::None)),
        Observer::default(),
        Memory::new(),
        Clock::System,
    )
    .unwrap();
    let started = Instant::now();
    for requests in [1, 0] {
        let told = all(source.read(&BTreeMap::new())).await;
        let error = told.expect_failure(ErrorReason::RateLimited, "the source asks for a pause of ");
        assert!(error.message.contains("longer than what is left of the run's time"), "{error:?}");
        assert_eq!(told.traffic().requests, requests);
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_long_wait_is_told_before_it_begins() {
    let server = Server::start(|_, n| match n {
        0 => Reply::new(429, &[("retry-after", "1")], ""),
        _ => Reply::json(items(0, 1, "")),
    })
    .await;
    let source = Source::new(
        Arc::new(spec(&server.url("/"), PaginationSpec::None)),
        Observer::default(),
        Memory::new(),
        Clock::System,
    )
    .unwrap();
    let started = Instant::now();
    let mut read = source.read(&BTreeMap::new());
    let first = read.next().await;
    assert!(started.elapsed() < Duration::from_millis(900));
    let Some(ReadEvent::Waiting { pause, why: WaitReason::RetryAfter }) = first else { panic!("{first:?}") };
    assert!(pause > Duration::from_millis(900) && pause <= Duration::from_secs(1), "{pause:?}");
    let told = all(read).await;
    told.expect_end();
    assert!(told.traffic().wait_ms >= 900 && started.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn pages_are_fetched_ahead_but_not_without_bound() {
    let server = Server::start(list(40)).await;
    let mut read = source(spec(&server.url("/"), endless())).read(&BTreeMap::new());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.seen().len(), crate::limits::PAGES_AHEAD);
    assert!(matches!(read.next().await, Some(ReadEvent::Page(Page { number: 1, .. }))));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.seen().len(), crate::limits::PAGES_AHEAD + 1);
    drop(read);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.seen().len(), crate::limits::PAGES_AHEAD + 1, "a dropped read asks no more");
}

/// No stretch of the server's log as long as a window holds more units than the window allows.
fn check_log(server: &Server, windows: &[WindowSpec], weight: u32) {
    let mut at: Vec<Instant> = server.seen().iter().map(|seen| seen.at).collect();
    at.sort();
    for window in windows {
        let requests = (window.requests / weight) as usize;
        for one_more in at.windows(requests + 1) {
            let span = one_more[requests] - one_more[0];
            assert!(span >= window.per.duration(), "{} requests in {span:?} of {window:?}", requests + 1);
        }
    }
}

#[tokio::test]
async fn every_window_holds_in_the_servers_log_whoever_asks() {
    let server = Server::start(list(8)).await;
    let mut spec = spec(&server.url("/"), endless());
    let every = |requests, per| WindowSpec { requests, per, resets: None };
    spec.budget = vec![
        every(8, Per::new(Duration::from_millis(300))),
        every(21, Per::Second),
        every(1_000, Per::Minute),
        every(2_000, Per::Day),
    ];
    spec.request.weight = 2;
    let (windows, source) = (spec.budget.clone(), source(spec));
    let reads = (0..3).map(|_| all(source.read(&BTreeMap::new())));
    for told in futures_util::future::join_all(reads).await {
        told.expect_end();
    }
    assert_eq!(server.seen().len(), 27);
    check_log(&server, &windows, 2);
    let allowance = source.allowance();
    let left: Vec<_> = allowance.windows.iter().map(|window| window.left).collect();
    assert_eq!(left[2..], [946, 1_946]);
    assert!(allowance.paused.is_none());
}

#[tokio::test]
async fn nobody_asks_before_retry_after_is_over() {
    // A request in flight fills the window, so whatever comes after the refusal was admitted after it.
    let window = WindowSpec { requests: 1, per: Per::new(Duration::from_millis(100)), resets: None };
    let server = Server::start(|_, n| match n {
        2 => Reply::new(429, &[("x-again", "1"), ("retry-after", "900")], ""),
        _ => Reply::json(items(0, 1, "")),
    })
    .await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    spec.budget = vec![window.clone()];
    spec.budget_headers.retry_after = Some("X-Again".into());
    let source = Source::new(Arc::new(spec), Observer::default(), Memory::new(), Clock::System).unwrap();
    let reads = (0..6).map(|_| all(source.read(&BTreeMap::new())));
    for told in futures_util::future::join_all(reads).await {
        told.expect_end();
    }
    let seen = server.seen();
    assert_eq!(seen.len(), 7);
    let pause = seen[3].at - seen[2].at;
    assert!(pause >= Duration::from_secs(1), "asked again after {pause:?}");
    check_log(&server, &[window], 1);
}

/// A source whose answers tell what is left, by headers that this test gives each.
fn counting(server: &Server, memory: &Arc<Memory>) -> Source {
    let mut spec = spec(&server.url("/"), endless());
    let reset = Some(ResetHeader { name: "X-Reset".into(), unit: ResetUnit::Seconds });
    spec.budget_headers = BudgetHeaders { remaining: Some("X-Left".into()), reset, retry_after: None };
    spec.request.weight = 10;
    Source::new(Arc::new(spec), Observer::default(), memory.clone(), Clock::System).unwrap()
}

#[tokio::test]
async fn what_the_source_says_is_left_is_heeded() {
    let server = Server::start(|seen, n| {
        let page: u64 = seen.query("page").unwrap_or("1").parse().unwrap();
        let left = if n == 1 { "9" } else { "10" };
        let body = if page <= 3 { items(page, page + 1, "") } else { items(0, 0, "") };
        Reply::new(200, &[("x-left", left), ("x-reset", "1")], body)
    })
    .await;
    let told = all(counting(&server, &Memory::new()).read(&BTreeMap::new())).await;
    told.expect_end();
    assert!(told.traffic().wait_ms >= 900, "{:?}", told.traffic());
    let at: Vec<Instant> = server.seen().iter().map(|seen| seen.at).collect();
    assert!(at[2] - at[1] >= Duration::from_secs(1), "{:?}", at[2] - at[1]);
}

#[tokio::test]
async fn a_quota_that_the_source_tells_of_fails_the_read_and_says_when() {
    let server = Server::start(|_, _| Reply::new(200, &[("x-left", "0"), ("x-reset", "3000")], items(0, 1, ""))).await;
    let memory = Memory::new();
    let source = counting(&server, &memory);
    for requests in [1, 0] {
        let told = all(source.read(&BTreeMap::new())).await;
        told.expect_failure(ErrorReason::Quota, "the source's quota is used up; it opens again in 50 min");
        assert_eq!(told.traffic().requests, requests);
        let retry_in = told.retry_in.unwrap().as_secs();
        assert!((2_900..=3_000).contains(&retry_in), "{retry_in}");
    }
    let (_, why) = source.allowance().paused.unwrap();
    assert_eq!(why, WaitReason::Budget);
    // Nor does the next process ask.
    all(counting(&server, &memory).read(&BTreeMap::new())).await.expect_failure(ErrorReason::Quota, "used up");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_day_used_up_is_a_quota_over_restarts_and_a_minute_used_up_is_not() {
    let server = Server::start(list(30)).await;
    let limited = |per, memory: &Arc<Memory>| {
        let mut spec = spec(&server.url("/"), endless());
        spec.budget = vec![WindowSpec { requests: 3, per, resets: None }];
        Source::new(Arc::new(spec), Observer::default(), memory.clone(), Clock::System).unwrap()
    };
    let memory = Memory::new();
    for requests in [3, 0] {
        let told = all(limited(Per::Day, &memory).read(&BTreeMap::new())).await;
        told.expect_failure(ErrorReason::Quota, "it opens again in 24 h 0 min");
        assert_eq!(told.traffic().requests, requests);
        assert!(told.retry_in.unwrap() > Duration::from_secs(23 * 60 * 60));
    }
    let told = all(limited(Per::Minute, &Memory::new()).read(&BTreeMap::new())).await;
    told.expect_failure(ErrorReason::Timeout, "not read to its end");
    assert_eq!(told.retry_in, None);
}
