//! What a client may write into a request: cursors, tokens, times, parts of paths and queries.

use std::fmt::Write as _;

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rollcall::config::parse_duration;
use serde_json::Value;

use super::mutation::{mutated, mutated_text, mutations};
use crate::api::fixture::{Answer, Fixture};

/// Every list with a cursor, and the word by which its cursors are known.
const LISTS: [(&str, &str); 9] = [
    ("/v1/events", "event"),
    ("/v1/events/summit/attendees", "attendee"),
    ("/v1/users", "user"),
    ("/v1/groups", "group"),
    ("/v1/groups/speakers/members", "user"),
    ("/v1/runs", "run"),
    ("/v1/runs/1/changes", "change"),
    ("/v1/sources", "source"),
    ("/v1/tokens", "token"),
];

fn encoded(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02x}");
        text
    })
}

/// A page or a problem; never a failure of the server.
fn is_page_or_problem(answer: &Answer) -> Result<(), TestCaseError> {
    match answer.status {
        200 => prop_assert!(answer.json()["items"].is_array(), "{}", answer.text),
        400 => prop_assert_eq!(answer.problem(400), ["cursor"]),
        status => prop_assert!(false, "{}: {}", status, answer.text),
    }
    Ok(())
}

/// Runs a property on a fixture's own runtime, which must live as long as its requests.
fn check<S: Strategy>(
    strategy: &S,
    property: impl Fn(&tokio::runtime::Runtime, &Fixture, S::Value) -> Result<(), TestCaseError>,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let fixture = runtime.block_on(Fixture::synced(30));
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() });
    runner.run(strategy, |value| property(&runtime, &fixture, value)).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn mutated_cursors() {
    let strategy = (0..LISTS.len(), 0..LISTS.len(), any::<u64>(), mutations());
    check(&strategy, |runtime, fixture, (list, other, number, mutations)| {
        let text = URL_SAFE_NO_PAD.encode(format!("{}:{number}", LISTS[other].1));
        let path = format!("{}?limit=3&cursor={}", LISTS[list].0, encoded(&mutated(text.as_bytes(), &mutations)));
        is_page_or_problem(&runtime.block_on(fixture.get(&path)))
    });
}

/// Well-formed cursors of any list, with any key.
#[test]
fn forged_cursors() {
    let key = prop_oneof![
        any::<u64>().prop_map(|n| n.to_string()),
        any::<u32>().prop_map(|n| n.to_string()),
        proptest::sample::select(vec![
            "0",
            "-1",
            "4294967295",
            "18446744073709551615",
            "18446744073709551616",
            "",
            ":"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,20}",
    ];
    check(&(0..LISTS.len(), 0..LISTS.len(), key), |runtime, fixture, (list, other, key)| {
        let cursor = URL_SAFE_NO_PAD.encode(format!("{}:{key}", LISTS[other].1));
        let answer = runtime.block_on(fixture.get(&format!("{}?limit=3&cursor={cursor}", LISTS[list].0)));
        let is_of_another = LISTS[list].1 != LISTS[other].1;
        prop_assert!(!is_of_another || answer.status == 400, "{}: {cursor}: {}", LISTS[list].0, answer.text);
        is_page_or_problem(&answer)
    });
}

#[test]
fn the_cursor_of_a_run_that_will_never_be_is_the_newest_page() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fixture = Fixture::synced(5).await;
        for run in [2, 3, u64::MAX] {
            let cursor = URL_SAFE_NO_PAD.encode(format!("run:{run}"));
            let page: Value = fixture.get(&format!("/v1/runs?cursor={cursor}")).await.json();
            assert_eq!(
                (page["items"][0]["id"].as_u64(), page["items"].as_array().unwrap().len()),
                (Some(1), 1),
                "{run}"
            );
        }
    });
}

#[test]
fn paths_and_queries() {
    const PATHS: [&str; 9] = [
        "/v1/events/",
        "/v1/events/summit/attendees/",
        "/v1/users/",
        "/v1/groups/",
        "/v1/runs/",
        "/v1/sources/",
        "/v1/events/summit/attendees?group=",
        "/v1/runs?event=",
        "/v1/runs/1/changes?action=",
    ];
    let part = prop_oneof![vec(any::<u8>(), 0..30), "[./%0a-fA-F&=+;?]{0,30}".prop_map(String::into_bytes)];
    check(&(0..PATHS.len(), part, any::<bool>()), |runtime, fixture, (path, part, as_it_is)| {
        let part = if as_it_is { String::from_utf8_lossy(&part).into_owned() } else { encoded(&part) };
        let Ok(request) = Request::get(format!("{}{part}", PATHS[path]))
            .header(
                "authorization",
                format!("Bearer {}", secrecy::ExposeSecret::expose_secret(&fixture.app.local_token)),
            )
            .body(Body::empty())
        else {
            return Ok(());
        };
        let answer = runtime.block_on(fixture.send(request));
        match answer.status {
            200 => {}
            status @ (400 | 404) => drop(answer.problem(status)),
            status => prop_assert!(false, "{}{}: {} {}", PATHS[path], part, status, answer.text),
        }
        Ok(())
    });
}

/// Refusals take their time, so many are asked for at once.
#[test]
fn tokens() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let fixture = Fixture::new(1).await;
        let real = format!("Bearer {}", fixture.token(&["read"]).await);
        let mut runner = TestRunner::deterministic();
        let unchanged = real.clone();
        let garbage = prop_oneof![
            vec(any::<u8>(), 0..60),
            "(Bearer|bearer|BEARER|Basic|Digest|)[ \t]{0,3}(rc_)?[A-Za-z0-9_=-]{0,60}".prop_map(String::into_bytes),
            mutations().prop_map(move |mutations| mutated(real.as_bytes(), &mutations)),
        ];
        let cases = ProptestConfig::default().cases as usize * 2;
        let values = (0..cases).map(|_| garbage.new_tree(&mut runner).unwrap().current());
        // A mutation may put a byte where the same one was.
        let values = values.filter(|value| value != unchanged.as_bytes());
        let headers: Vec<_> = values.filter_map(|value| HeaderValue::from_bytes(&value).ok()).collect();
        assert!(headers.len() > cases / 2);
        let token = fixture.token(&["read"]).await;
        let asked = headers.iter().map(|value| {
            let request = Request::get("/v1/events").header("authorization", value.clone());
            fixture.send(request.body(Body::empty()).unwrap())
        });
        for (answer, header) in join_all(asked).await.iter().zip(&headers) {
            assert_eq!(answer.status, 401, "{header:?}: {}", answer.text);
        }
        let good = Request::get("/v1/events").header("authorization", format!("bEARER  {token} "));
        assert_eq!(fixture.send(good.body(Body::empty()).unwrap()).await.status, 200);
    });
}

proptest! {
    #[test]
    fn times(text in prop_oneof!["\\PC{0,30}", "([0-9]{0,20}(ms|s|m|h|d|x|))*"]) {
        if let Some(time) = parse_duration(&text) {
            prop_assert!(!text.is_empty() && u64::try_from(time.as_millis()).is_ok(), "{}", text);
        }
    }

    #[test]
    fn mutated_times(mutations in mutations()) {
        let _ = parse_duration(&mutated_text("1d2h30m15s250ms", &mutations));
    }
}
