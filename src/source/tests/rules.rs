//! The rules of a source on its answers, at work.

use super::*;
use crate::config::{ErrorRule, HeaderRule, Verdict};
use crate::limits::ERROR_BODY_BYTES_MAX;

fn rule(then: Verdict) -> ErrorRule {
    ErrorRule { statuses: Vec::new(), header: None, when: None, contains: None, then, hint: None }
}

fn status(status: u16, then: Verdict) -> ErrorRule {
    ErrorRule { statuses: vec![status..=status], ..rule(then) }
}

fn when(source: &str, then: Verdict) -> ErrorRule {
    ErrorRule { when: Some(jq(source)), ..rule(then) }
}

fn contains(text: &str, then: Verdict) -> ErrorRule {
    ErrorRule { contains: Some(text.into()), ..rule(then) }
}

/// Reads a source of these rules that gives this answer `times` times before a good one.
async fn after(rules: Vec<ErrorRule>, times: usize, reply: Reply) -> (Told, Vec<Seen>) {
    let server = Server::start(move |_, n| if n < times { reply.clone() } else { Reply::json(items(0, 2, "")) }).await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    spec.errors = rules;
    let told = read(spec).await;
    (told, server.seen())
}

async fn always(rules: Vec<ErrorRule>, reply: Reply) -> (Told, Vec<Seen>) {
    after(rules, usize::MAX, reply).await
}

const SECRET_ERROR: &str = r#"{"error":{"code":"busy","message":"ada@example.org must wait"},"items":[{"id":1}]}"#;

#[tokio::test]
async fn an_error_in_a_success_is_tried_again() {
    for rules in [
        vec![when(".error.code == \"busy\"", Verdict::Retry)],
        vec![contains("must wait", Verdict::Retry)],
        vec![ErrorRule { statuses: vec![200..=299], ..when(".error", Verdict::Retry) }],
    ] {
        let (told, seen) = after(rules, 2, Reply::json(SECRET_ERROR)).await;
        assert_eq!(told.expect_end().records(), [[0, 1]]);
        assert_eq!((seen.len(), told.traffic().retries, told.traffic().pages), (3, 2, 1));
        assert_eq!(told.waits, []);
    }
    let (told, seen) = always(vec![when(".error", Verdict::Retry)], Reply::json(SECRET_ERROR)).await;
    let error = told.expect_failure(ErrorReason::Status, "answered 200 (rule 1 of `error`) (3 tries)");
    assert!(!error.message.contains("ada") && seen.len() == 3, "{error:?}");
}

#[tokio::test]
async fn a_failure_by_rule_is_at_once_and_says_which_and_what_to_do() {
    let hint = Some("ask the CRM's team for the scope `people`".to_owned());
    let rules = vec![status(418, Verdict::Fail), ErrorRule { hint: hint.clone(), ..when(".error", Verdict::Fail) }];
    let (told, seen) = always(rules, Reply::json(SECRET_ERROR)).await;
    let error = told.expect_failure(ErrorReason::Status, "/people: answered 200 (rule 2 of `error`)");
    assert_eq!((Some(error.hint.clone()), seen.len(), told.pages.len()), (hint, 1, 0));
    assert!(!error.message.contains("ada"), "{error:?}");
    // What would be tried again without the rule.
    let (told, seen) = always(vec![status(503, Verdict::Fail)], Reply::status(503)).await;
    told.expect_failure(ErrorReason::Status, "answered 503 (rule 1 of `error`)");
    assert_eq!(seen.len(), 1);
    let (told, _) = always(vec![status(403, Verdict::Fail)], Reply::status(403)).await;
    told.expect_failure(ErrorReason::Auth, "answered 403 (rule 1 of `error`)");
}

#[tokio::test]
async fn a_status_that_fails_may_be_tried_again_by_rule() {
    for code in [403, 404, 410, 302] {
        let reply = Reply::new(code, &[("location", "/elsewhere")], "{}");
        let (told, seen) = after(vec![status(code, Verdict::Retry)], 1, reply).await;
        assert_eq!((told.expect_end().records().concat().len(), seen.len()), (2, 2), "{code}");
    }
    let limited = vec![ErrorRule {
        header: Some(HeaderRule { name: "x-reason".into(), contains: Some("slow down".into()) }),
        ..rule(Verdict::RateLimited)
    }];
    let reply = Reply::new(403, &[("X-Reason", "please slow down"), ("retry-after", "1")], "");
    let (told, seen) = after(limited, 1, reply.clone()).await;
    told.expect_end();
    let pause = seen[1].at - seen[0].at;
    assert!(pause >= FAST.retry_after_max, "the pause that was asked for, clamped: {pause:?}");
    let (told, seen) = always(vec![contains("nothing", Verdict::RateLimited)], reply).await;
    told.expect_failure(ErrorReason::Auth, "answered 403");
    assert_eq!(seen.len(), 1, "a rule that is not met changes nothing");
}

#[tokio::test]
async fn whoever_is_tried_again_may_ask_for_a_pause() {
    for code in [408, 500, 503] {
        let (told, seen) = after(Vec::new(), 1, Reply::new(code, &[("retry-after", "1")], "")).await;
        told.expect_end();
        let pause = seen[1].at - seen[0].at;
        assert!(pause >= FAST.retry_after_max, "{code}: the pause that was asked for, clamped: {pause:?}");
    }
}

#[tokio::test]
async fn a_quota_that_is_used_up_ends_the_run_and_says_when_it_opens() {
    let rules = || vec![contains("daily quota", Verdict::QuotaExhausted)];
    let body = "the daily quota of ada@example.org is used up";
    for (headers, part) in [
        (
            &[("retry-after", "7200")][..],
            "answered 429: the quota is used up; it opens again in 2 h 0 min (rule 1 of `error`)",
        ),
        (&[], "answered 429: the quota is used up (rule 1 of `error`)"),
        (&[("retry-after", "0")], "answered 429: the quota is used up (rule 1 of `error`)"),
        (&[("retry-after", "99999999999999999999")], "the quota is used up; it opens again in 744 h 0 min"),
    ] {
        let (told, seen) = always(rules(), Reply::new(429, headers, body)).await;
        let error = told.expect_failure(ErrorReason::Quota, part);
        assert!(!error.message.contains("ada") && !error.hint.is_empty(), "{error:?}");
        assert_eq!((seen.len(), told.waits.len()), (1, 0));
    }
    assert_eq!(ErrorReason::Quota.as_str(), "quota");
}

#[tokio::test]
async fn a_token_that_a_rule_calls_bad_is_one_that_a_401_does() {
    let expired = vec![when(".error == \"expired\"", Verdict::RefreshToken)];
    let (told, seen) = always(expired, Reply::json(r#"{"error":"expired"}"#)).await;
    told.expect_failure(ErrorReason::Auth, "answered 200 (rule 1 of `error`)");
    assert_eq!(seen.len(), 1);
}

#[tokio::test]
async fn what_is_ignored_ends_the_list_which_is_then_not_complete() {
    let size = || Some(PageSize { param: None, size: 2 });
    let total = StopSpec { total: Some(jq(".total")), ..StopSpec::default() };
    for stop in [StopSpec::default(), total] {
        let server = Server::start(|seen, _| match seen.query("page") {
            Some("1") => Reply::json(items(0, 2, r#","total":6"#)),
            Some("2") => Reply::json(items(2, 4, r#","total":6"#)),
            _ => Reply::new(404, &[], "no such page, ada@example.org"),
        })
        .await;
        let paging = PaginationSpec::Page { param: Some("page".into()), first: 1, size: size(), stop };
        let mut spec = spec(&server.url("/"), paging);
        spec.errors = vec![status(404, Verdict::Ignore)];
        let told = read(spec).await;
        assert_eq!(told.expect_end().records().concat(), [0, 1, 2, 3]);
        let (traffic, reconciles, note) = told.end.clone().unwrap();
        assert_eq!((traffic.pages, traffic.requests, reconciles), (2, 3, false));
        let note = note.unwrap();
        assert!(note.starts_with("page 3: GET http://127.0.0.1:"), "{note}");
        assert!(
            note.ends_with(
                "answered 404, which is ignored (rule 1 of `error`): the list ends there and is not complete"
            )
        );
        assert!(!note.contains("ada"));
    }
    let (told, _) = always(vec![when(".error", Verdict::Ignore)], Reply::json(SECRET_ERROR)).await;
    assert_eq!((told.expect_end().pages.len(), told.end.unwrap().1), (0, false));
}

#[tokio::test]
async fn the_body_of_an_error_is_read_as_far_as_a_rule_needs_it() {
    let rules = || vec![contains("needle", Verdict::Ignore)];
    let hay = |before: usize| format!("{}needle", "x".repeat(before));
    let (told, _) = always(rules(), Reply::new(400, &[], hay(ERROR_BODY_BYTES_MAX - 6))).await;
    told.expect_end();
    // Beyond the bound nothing is looked at, however much more there is.
    let (told, _) = always(rules(), Reply::new(400, &[], hay(ERROR_BODY_BYTES_MAX))).await;
    told.expect_failure(ErrorReason::Status, "answered 400");
    let endless = Reply { stall: true, ..Reply::raw(format!("HTTP/1.1 400 X\r\n\r\n{}", "x".repeat(1_000_000))) };
    let (told, _) = always(rules(), endless).await;
    told.expect_failure(ErrorReason::Status, "answered 400");
    // One that breaks off, or stalls, is as good as what has come of it.
    for stall in [false, true] {
        let cut = Reply { stall, ..Reply::raw("HTTP/1.1 400 X\r\ncontent-length: 100\r\n\r\na needle") };
        let server = Server::start(move |_, _| cut.clone()).await;
        let mut spec = spec(&server.url("/"), PaginationSpec::None);
        (spec.errors, spec.limits.idle_timeout) = (rules(), Duration::from_millis(100));
        read(spec).await.expect_end();
    }
    // Where no rule looks into it, an answer with a body that never ends is none to wait for.
    let stalled = Reply { stall: true, ..Reply::raw("HTTP/1.1 400 X\r\ncontent-length: 100\r\n\r\n") };
    let (told, _) = always(vec![status(400, Verdict::Fail)], stalled).await;
    told.expect_failure(ErrorReason::Status, "answered 400 (rule 1 of `error`)");
}

#[tokio::test]
async fn pages_that_meet_no_rule_are_read_as_ever() {
    let rules = || vec![when(".error", Verdict::Fail), contains("no such text", Verdict::Fail)];
    let (told, _) = always(rules(), Reply::json(items(0, 3, r#","error":null"#))).await;
    assert_eq!(told.expect_end().records(), [[0, 1, 2]]);
    for (body, part) in [("{\"items\":[", "the body ends too early"), ("\u{feff}?", "expected a value")] {
        let (told, _) = always(rules(), Reply::json(body)).await;
        told.expect_failure(ErrorReason::Decode, part);
    }
    // By lines, too: the rule looks for JSON, the page is the list.
    let server =
        Server::start(|_, n| Reply::json(if n == 0 { "{\"error\":1}" } else { "{\"id\":1}\n{\"id\":2}\n" })).await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    (spec.format, spec.mapping.select) = (Format::Ndjson, jq(".[]"));
    spec.errors = vec![when(".error", Verdict::Retry)];
    let told = read(spec).await;
    assert_eq!((told.expect_end().records(), told.traffic().retries), (vec![vec![1, 2]], 1));
}
