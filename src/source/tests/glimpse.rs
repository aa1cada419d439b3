//! The first page, to look at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::config::{
    ApiKeyPlace, LoginBody, LoginRequestSpec, PartitionSpec, Per, SessionSpec, TokenFrom, TokenSpec, WindowSpec,
};
use crate::source::{Glimpse, Onward};

const SECRET: &str = "s3cret";

fn by_query() -> AuthSpec {
    AuthSpec::ApiKey { place: ApiKeyPlace::Query("k".into()), prefix: String::new(), key: SECRET.into() }
}

fn by_page() -> PaginationSpec {
    PaginationSpec::Page { param: Some("page".into()), first: 1, size: None, stop: StopSpec::default() }
}

async fn glimpse(spec: SourceSpec) -> Glimpse {
    let glimpse = source(spec).glimpse(&BTreeMap::new()).await;
    let shown = format!("{:?} {:?} {:?}", glimpse.request, glimpse.answer, glimpse.onward);
    assert!(!shown.contains(SECRET), "{shown}");
    glimpse
}

#[tokio::test]
async fn it_is_one_page_with_what_was_asked_and_what_came() {
    let headers = [("content-type", "application/json"), ("x-ratelimit-remaining", "9"), ("set-cookie", "a=s3cret")];
    let server = Server::start(move |_, _| Reply::new(200, &headers, items(0, 3, ""))).await;
    let mut spec = SourceSpec { auth: by_query(), ..spec(&server.url("/"), by_page()) };
    spec.request.query = vec![("event".into(), Template::parse("a b").unwrap())];
    let glimpse = glimpse(spec).await;
    let base = server.url("/people");
    let request = glimpse.request.unwrap();
    assert_eq!((request.method.as_str(), request.url), ("GET", format!("{base}?event=a+b&page=1&k=***")));
    let answer = glimpse.answer.unwrap();
    let shown = [("content-type", "application/json"), ("x-ratelimit-remaining", "9")];
    assert_eq!(answer.headers, shown.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((answer.status, answer.bytes), (200, items(0, 3, "").len() as u64));
    assert_eq!(glimpse.page.unwrap().records.len(), 3);
    let Some(Onward::Next(next)) = glimpse.onward else { panic!() };
    assert_eq!(next.url, format!("{base}?event=a+b&page=2&k=***"));
    assert!(glimpse.suggestions.is_empty(), "{:?}", glimpse.suggestions);
    let seen = server.seen();
    assert_eq!((seen.len(), seen[0].query("k")), (1, Some(SECRET)), "one request, with the credential");
}

#[tokio::test]
async fn the_sign_of_the_end_is_named_and_what_speaks_against_it() {
    let server = Server::start(|_, _| Reply::json(items(0, 2, r#","total":9"#))).await;
    let glimpse = glimpse(spec(&server.url("/"), PaginationSpec::None)).await;
    let Some(Onward::End(sign)) = glimpse.onward else { panic!() };
    assert!(sign.contains("one answer"), "{sign}");
    let expected = "[source.crm.pagination]\nkind = \"page\"\nparam = \"page\"\nsize = 2\ntotal = \".total\"";
    assert_eq!(glimpse.suggestions[0].toml, expected);
}

#[tokio::test]
async fn a_next_page_elsewhere_is_a_fault_beside_the_page() {
    let server = Server::start(|_, _| Reply::json(items(0, 2, r#","next":"https://b.example/?k=s3cret""#))).await;
    let next = PaginationSpec::NextUrl { from: jq(".next"), stop: StopSpec::default() };
    let glimpse = glimpse(SourceSpec { auth: by_query(), ..spec(&server.url("/"), next) }).await;
    let Some(Onward::Fault(fault)) = glimpse.onward else { panic!() };
    assert!(fault.contains("another origin"), "{fault}");
    assert_eq!(glimpse.page.unwrap().records.len(), 2);
}

#[tokio::test]
async fn a_read_that_fails_shows_how_far_it_came() {
    let server = Server::start(|_, _| Reply::status(401)).await;
    let refused = glimpse(SourceSpec { auth: by_query(), ..spec(&server.url("/"), PaginationSpec::None) }).await;
    assert!(refused.request.is_some() && refused.onward.is_none());
    assert_eq!(refused.answer.unwrap().status, 401);
    let error = refused.page.unwrap_err();
    assert_eq!(error.reason, ErrorReason::Auth);
    assert!(error.hint.contains("credential"), "{error:?}");

    let server = Server::start(|_, _| Reply::json(r#"{"people": {"list": [{"id": 1}]}}"#)).await;
    let astray = glimpse(spec(&server.url("/"), PaginationSpec::None)).await;
    assert_eq!(astray.page.unwrap_err().reason, ErrorReason::Select);
    assert_eq!(astray.answer.unwrap().bytes, 33);
    assert_eq!(astray.suggestions[0].toml, "[source.crm.records]\nselect = \".people.list[]\"");

    let nobody = glimpse(spec("http://127.0.0.1:1/", PaginationSpec::None)).await;
    assert!(nobody.request.is_some() && nobody.answer.is_none());
    assert_eq!(nobody.page.unwrap_err().reason, ErrorReason::Connect);
}

#[tokio::test]
async fn it_tries_again_as_a_sync_does() {
    let server = Server::start(|_, before| if before == 0 { Reply::status(503) } else { Reply::json(items(0, 1, "")) });
    let server = server.await;
    let glimpse = glimpse(spec(&server.url("/"), PaginationSpec::None)).await;
    assert!(glimpse.page.is_ok());
    assert_eq!((glimpse.traffic.requests, glimpse.traffic.retries), (2, 1));
}

#[tokio::test]
async fn of_several_lists_it_is_the_first() {
    let server = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    let row = |event: &str| BTreeMap::from([("event".to_owned(), event.to_owned())]);
    spec.partitions = vec![PartitionSpec::Fixed(vec![row("a"), row("b")])];
    spec.request.path = Template::parse("{parent.event}/people").unwrap();
    let first = glimpse(spec.clone()).await;
    assert_eq!(first.request.unwrap().url, server.url("/a/people"));
    assert_eq!(first.page.unwrap().records.len(), 1);
    spec.partitions = vec![PartitionSpec::Fixed(Vec::new())];
    let none = glimpse(spec).await.page.unwrap_err();
    assert!(none.message.contains("no parent"), "{none:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn it_ends_with_the_time_of_a_run() {
    let server = Server::start(|_, _| Reply { stall: true, ..Reply::default() }).await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    spec.limits.run_timeout = Duration::from_millis(50);
    let slow = glimpse(spec).await;
    assert!(slow.request.is_some());
    assert_eq!(slow.page.unwrap_err().reason, ErrorReason::Timeout);
}

#[tokio::test]
async fn other_settings_share_the_allowance_of_the_same_origin_only() {
    let server = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
    let other = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
    let mut saved = spec(&server.url("/"), PaginationSpec::None);
    saved.budget = vec![WindowSpec { requests: 10, per: Per::Minute, resets: None }];
    let saved = source(saved);
    let left = || saved.allowance().windows[0].left;
    for (base, expected) in [(other.url("/"), 10), (server.url("/v2/"), 9)] {
        let spec = Arc::new(spec(&base, PaginationSpec::None));
        let tried = saved.with(spec, Memory::new(), false).unwrap();
        assert!(tried.glimpse(&BTreeMap::new()).await.page.is_ok());
        assert_eq!(left(), expected, "{base}");
    }
}

#[tokio::test]
async fn other_settings_may_share_the_login_and_its_token_is_not_shown() {
    let server = Server::start(|seen, _| match seen.target.as_str() {
        "/login" => Reply::json(r#"{"token": "s3cret"}"#),
        _ => Reply::json(items(0, 1, "")),
    });
    let server = server.await;
    let mut saved = spec(&server.url("/"), PaginationSpec::None);
    let request = LoginRequestSpec {
        method: Method::Post,
        url: Url::parse(&server.url("/login")).unwrap(),
        query: Vec::new(),
        headers: Vec::new(),
        body: LoginBody::None,
    };
    let place = ApiKeyPlace::Query("t".into());
    let token = TokenSpec { from: TokenFrom::Body(jq(".token")), life: None, place, prefix: String::new() };
    saved.auth = AuthSpec::Session(Box::new(SessionSpec { request, token }));
    let tried = Arc::new(saved.clone());
    let saved = source(saved);
    for (source, logins) in [
        (saved.clone(), 1),
        (saved.with(Arc::clone(&tried), Memory::new(), true).unwrap(), 1),
        (saved.with(tried, Memory::new(), false).unwrap(), 2),
    ] {
        let glimpse = source.glimpse(&BTreeMap::new()).await;
        assert!(glimpse.page.is_ok());
        assert_eq!(glimpse.request.unwrap().url, server.url("/people?t=***"));
        let seen = server.seen();
        assert_eq!(seen.iter().filter(|seen| seen.target == "/login").count(), logins);
        assert_eq!(seen.last().unwrap().query("t"), Some(SECRET));
    }
}
