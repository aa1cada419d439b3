//! Whose hooks are taken, and which.

use std::collections::BTreeSet;
use std::time::Instant;

use rollcall::limits::{API_BODY_BYTES_MAX, API_REFUSAL_PAUSE};
use rollcall::model::Trigger;
use serde_json::json;

use super::system::{NAMING, Stage, signature};
use crate::support::SOURCE_TOKEN;

const PATH: &str = "/v1/sources/s/hook";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_the_sources_is_refused_like_a_wrong_token() {
    let stage = Stage::synced(&format!("{NAMING}\ntimestamp_header = \"X-Time\""), "").await;
    let body = r#"{"ids": 1}"#;
    let now = stage.appliance.app.clock.now().as_second();
    let signed = |time: i64| signature(&format!("{time}.{body}"));
    let good = signed(now);
    let mut answers = BTreeSet::new();
    for (what, path, headers, body) in [
        ("nothing", PATH, vec![], body),
        ("no time", PATH, vec![("x-signature", good.clone())], body),
        ("another time", PATH, vec![("x-signature", good.clone()), ("x-time", (now + 1).to_string())], body),
        ("another body", PATH, vec![("x-signature", good.clone()), ("x-time", now.to_string())], r#"{"ids": 2}"#),
        ("an old one", PATH, vec![("x-signature", signed(now - 301)), ("x-time", (now - 301).to_string())], body),
        ("one to come", PATH, vec![("x-signature", signed(now + 301)), ("x-time", (now + 301).to_string())], body),
        ("no JSON", PATH, vec![("x-signature", "00".repeat(32)), ("x-time", now.to_string())], "nope"),
        ("a path", "/v1/sources/s/hook/0123456789abcdef", vec![("x-signature", good.clone())], body),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let began = Instant::now();
        let answer = stage.post(path, &headers, body).await;
        assert!(began.elapsed() >= API_REFUSAL_PAUSE, "{what} was refused in {:?}", began.elapsed());
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        answers.insert((format!("{:?}", answer.headers), answer.text));
    }
    let wrong_token = stage.post("/v1/events/e/sync", &[("authorization", "Bearer rc_wrong")], "").await;
    answers.insert((format!("{:?}", wrong_token.headers), wrong_token.text));
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!((stage.outcomes("refused"), stage.outcomes("accepted")), (8, 0));
    assert_eq!(stage.metric(r#"rollcall_http_auth_failures_total{reason="missing"}"#), 1);
    assert_eq!(stage.metric(r#"rollcall_http_auth_failures_total{reason="unknown"}"#), 8);
    assert_eq!((stage.asked().len(), stage.runs().len()), (0, 0));

    let headers = [("x-signature", good.as_str()), ("x-time", &now.to_string())];
    assert_eq!(stage.post(PATH, &headers, body).await.status, 202);
    stage.hook_runs(1).await;
    assert_eq!(stage.asked(), ["/people/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_with_the_secret_needs_no_signature_and_without_it_none_helps() {
    let hook = NAMING.replace("secret = ", "path_secret = ").replace("signature_header = \"X-Signature\"", "");
    let stage = Stage::synced(&hook, "").await;
    let body = r#"{"ids": 1}"#;
    let signed = signature(body);
    let mut answers = BTreeSet::new();
    for path in [PATH.to_owned(), format!("{PATH}/{SOURCE_TOKEN}x"), format!("{PATH}/canary-5ecret-tokem")] {
        let answer = stage.post(&path, &[("x-signature", &signed)], body).await;
        assert_eq!(answer.status, 401, "{path}");
        answers.insert(answer.text);
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let good = stage.post(&format!("{PATH}/{SOURCE_TOKEN}"), &[], body).await;
    assert_eq!((good.status, good.text.as_str()), (202, ""));
    stage.hook_runs(1).await;
    assert_eq!(stage.asked(), ["/people/1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_hooks_are_taken_nobody_learns_why() {
    let stage = Stage::with(NAMING, "").await;
    let plain = Stage::of(&crate::support::ONE_FEED.replace("[event.e]", "[event.e]\n")).await;
    let mut answers = BTreeSet::new();
    for (stage, path) in
        [(&plain, PATH), (&plain, "/v1/sources/s/hook/0123456789abcdef"), (&stage, "/v1/sources/nothing/hook")]
    {
        let answer = stage.post(path, &[], "{}").await;
        assert_eq!(answer.status, 404, "{path}");
        answers.insert((format!("{:?}", answer.headers), answer.text));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    let metrics = [&stage, &plain].map(|stage| stage.appliance.app.observer.render());
    assert!(!metrics[0].contains("nothing") && !metrics[1].contains("rollcall_hooks_total{"), "{metrics:?}");
    assert_eq!(stage.post("/v1/sources/..%2F/hook", &[], "{}").await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_told_only_to_the_source_and_changes_nobody() {
    let stage = Stage::synced(NAMING, "").await;
    for (body, status) in [
        ("", 400),
        ("nope", 400),
        (r#"{"ids": 1"#, 400),
        ("\u{0}", 400),
        ("[1]", 422),
        ("7", 422),
        (r#"{"ids": {"email": "ada@x.org"}}"#, 422),
        (r#"{"ids": true}"#, 422),
        (r#"{"ids": [[1]]}"#, 422),
        (r#"{"ids": "a\u0000b"}"#, 422),
        (r#"{"ids": ".."}"#, 422),
    ] {
        let answer = stage.post(PATH, &[("x-signature", &signature(body))], body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        assert!(!answer.text.contains("ada@"), "{}", answer.text);
        assert_eq!(stage.post(PATH, &[], body).await.status, 401, "{body}: unsigned");
    }
    assert_eq!(stage.outcomes("malformed"), 11);
    let large = format!(r#"{{"ids": "{}"}}"#, "x".repeat(API_BODY_BYTES_MAX));
    assert_eq!(stage.post(PATH, &[("x-signature", &signature(&large))], large).await.status, 413);
    assert_eq!((stage.asked().len(), stage.runs().len()), (0, 0));
    assert_eq!(
        stage.hook_text(r#"{"ids": {"email": "ada@x.org"}}"#).await,
        422,
        "what was not taken is not remembered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_id_or_too_many_is_everything() {
    let stage = Stage::synced(&format!("{NAMING}\nmin_interval = \"0s\""), "").await;
    let many: Vec<u32> = (0..10_000).collect();
    for (n, ids) in [json!(null), json!([]), json!(""), json!(many)].into_iter().enumerate() {
        assert_eq!(stage.hook(&json!({"ids": ids})).await, 202);
        let runs = stage.hook_runs(n + 1).await;
        assert_eq!(runs[n].trigger, Trigger::Hook, "{:?}", runs[n]);
        assert_eq!(stage.asked(), ["/people"]);
    }
}
