//! Budgets, pauses that the source asks for, pages ahead, and stopping.

use std::time::Instant;

use super::*;
use crate::config::{Per, WindowSpec};

fn endless() -> PaginationSpec {
    PaginationSpec::Page { param: "page".into(), first: 1, size: None, stop: StopSpec::default() }
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
