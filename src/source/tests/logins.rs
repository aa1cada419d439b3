//! Sources that are logged in to: one login for everybody, renewed in time, kept before it is used.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use secrecy::SecretString;

use super::heard::Heard;
use super::*;
use crate::config::{
    ApiKeyPlace, ClientAuth, ErrorRule, LoginBody, LoginRequestSpec, OAuth2Spec, Per, SecretJson, SessionSpec,
    TokenFrom, TokenLife, TokenSpec, Verdict, WindowSpec,
};
use crate::model::Keepsake;
use crate::source::Keep;

const SECRETS: [&str; 4] = ["cl13nt-s3cret", "acc3ss-", "r3fresh-", "p4ssword"];

fn token_spec() -> TokenSpec {
    TokenSpec {
        from: TokenFrom::Body(jq(".access_token")),
        life: Some(TokenLife::In(jq(".expires_in"))),
        place: ApiKeyPlace::Header("Authorization".into()),
        prefix: "Bearer ".into(),
    }
}

fn oauth2(token_url: &str, grant: &str) -> OAuth2Spec {
    OAuth2Spec {
        token_url: Url::parse(token_url).unwrap(),
        grant: grant.into(),
        client_id: "rollcall".into(),
        client_secret: Some("cl13nt-s3cret".into()),
        client_auth: ClientAuth::Basic,
        scope: None,
        fields: Vec::new(),
        refresh_token: (grant == "refresh_token").then(|| "r3fresh-0".into()),
        next_refresh_token: jq(".refresh_token"),
        token: token_spec(),
    }
}

fn logged_in(server: &Server, auth: OAuth2Spec) -> SourceSpec {
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    spec.auth = AuthSpec::OAuth2(Box::new(auth));
    spec
}

fn with_client_credentials(server: &Server) -> SourceSpec {
    logged_in(server, oauth2(&server.url("/token"), "client_credentials"))
}

fn source_with(spec: SourceSpec, keep: &Arc<Memory>) -> Source {
    let keep: Arc<dyn Keep> = Arc::<Memory>::clone(keep);
    Source::with_pauses(Arc::new(spec), Observer::default(), keep, Clock::System, FAST).unwrap()
}

async fn read_once(source: &Source) -> Told {
    all(source.read(&BTreeMap::new())).await
}

/// A registration system that gives tokens at `/token` and a list to whoever shows the newest of them.
struct Tokens {
    server: Server,
    /// How many tokens were given; the newest bears this number.
    given: Arc<AtomicUsize>,
}

impl Tokens {
    /// `more` are further keys of the answer to the login of this number, from 1.
    async fn start(more: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let given = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&given);
        let server = Server::start(move |seen, _| {
            if seen.target == "/token" {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let body = format!(r#"{{"access_token":"acc3ss-{number}"{}}}"#, more(number));
                return Reply { pause: Duration::from_millis(30), ..Reply::json(body) };
            }
            let newest = format!("Bearer acc3ss-{}", count.load(Ordering::SeqCst));
            if seen.headers.get("authorization") == Some(&newest) {
                Reply::json(items(0, 1, ""))
            } else {
                Reply::status(401)
            }
        })
        .await;
        Self { server, given }
    }

    async fn plain() -> Self {
        Self::start(|_| r#","expires_in":3600"#.into()).await
    }

    fn spec(&self) -> SourceSpec {
        with_client_credentials(&self.server)
    }

    /// From now on the source refuses every token it gave.
    fn revoke(&self) {
        self.given.fetch_add(1, Ordering::SeqCst);
    }

    fn lists(&self) -> Vec<Seen> {
        self.server.seen().into_iter().filter(|seen| seen.target != "/token").collect()
    }

    fn logins(&self) -> Vec<Seen> {
        self.server.seen().into_iter().filter(|seen| seen.target == "/token").collect()
    }
}

#[tokio::test]
async fn one_login_serves_many_concurrent_reads() {
    let tokens = Tokens::plain().await;
    let source = source(tokens.spec());
    let told = join_all((0..20).map(|_| read_once(&source))).await;
    told.iter().for_each(|told| assert_eq!(told.expect_end().records(), [[0]]));
    assert_eq!((tokens.logins().len(), tokens.lists().len()), (1, 20));
    // Whoever logged in counts it; the others asked for one page each.
    assert_eq!(told.iter().map(|told| told.traffic().requests).sum::<u64>(), 21);
    let login = &tokens.logins()[0];
    assert_eq!((login.method.as_str(), login.body.as_str()), ("POST", "grant_type=client_credentials"));
    assert_eq!(login.headers["authorization"], "Basic cm9sbGNhbGw6Y2wxM250LXMzY3JldA==");
    assert!(source.credential_expires_at().is_some());
}

#[tokio::test]
async fn neither_origin_sees_what_is_the_others() {
    let login = Server::start(|_, _| Reply::json(r#"{"access_token":"acc3ss-1"}"#)).await;
    let data = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
    let told = read(logged_in(&data, oauth2(&login.url("/token"), "client_credentials"))).await;
    told.expect_end();
    assert_eq!((login.seen().len(), data.seen().len()), (1, 1));
    assert!(!format!("{:?}", login.seen()).contains("acc3ss-"));
    assert_eq!(data.seen()[0].headers["authorization"], "Bearer acc3ss-1");
    assert!(!format!("{:?}", data.seen()).contains("Basic"));
}

#[tokio::test]
async fn a_login_is_not_redirected() {
    for status in [301, 307] {
        let elsewhere = Server::start(|_, _| Reply::json(r#"{"access_token":"acc3ss-1"}"#)).await;
        let location = elsewhere.url("/token");
        let server = Server::start(move |_, _| Reply::new(status, &[("location", &location)], "")).await;
        let told = read(with_client_credentials(&server)).await;
        told.expect_failure(ErrorReason::Status, &format!("/token: answered {status}"));
        assert_eq!((server.seen().len(), elsewhere.seen().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_the_request_repeated_once() {
    let tokens = Tokens::plain().await;
    let source = source(tokens.spec());
    read_once(&source).await.expect_end();
    tokens.revoke();
    let told = read_once(&source).await;
    assert_eq!(told.expect_end().traffic().requests, 3, "refused, login, repeated");
    assert_eq!((tokens.logins().len(), tokens.lists().len()), (2, 3));
}

#[tokio::test]
async fn a_second_refusal_fails_the_read() {
    let server = Server::start(|seen, _| match seen.target.as_str() {
        "/token" => Reply::json(r#"{"access_token":"acc3ss-1"}"#),
        _ => Reply::status(401),
    })
    .await;
    let source = source(with_client_credentials(&server));
    let told = read_once(&source).await;
    told.expect_failure(ErrorReason::Auth, "page 1: GET");
    let targets = |from: usize| server.seen()[from..].iter().map(|seen| seen.target.clone()).collect::<Vec<_>>();
    assert_eq!(targets(0), ["/token", "/people", "/token", "/people"]);
    // The next read may try again, but does not begin with a login: perhaps that token is well by now.
    read_once(&source).await.expect_failure(ErrorReason::Auth, "answered 401");
    assert_eq!(targets(4), ["/people", "/token", "/people"]);
}

#[tokio::test]
async fn a_rule_may_say_that_a_token_is_no_good() {
    let server = Server::start(|seen, before| match seen.target.as_str() {
        "/token" => Reply::json(format!(r#"{{"access_token":"acc3ss-{before}"}}"#)),
        _ if before < 2 => Reply::json(r#"{"error":"session_over"}"#),
        _ => Reply::json(items(0, 1, "")),
    })
    .await;
    let mut spec = with_client_credentials(&server);
    spec.errors = vec![ErrorRule {
        statuses: Vec::new(),
        header: None,
        when: Some(jq(".error == \"session_over\"")),
        contains: None,
        then: Verdict::RefreshToken,
        hint: None,
    }];
    read_once(&source(spec)).await.expect_end();
    let targets: Vec<_> = server.seen().iter().map(|seen| seen.target.clone()).collect();
    assert_eq!(targets, ["/token", "/people", "/token", "/people"]);
}

#[tokio::test]
async fn many_refused_reads_renew_the_token_once() {
    let tokens = Tokens::plain().await;
    let source = source(tokens.spec());
    read_once(&source).await.expect_end();
    tokens.revoke();
    for told in join_all((0..20).map(|_| read_once(&source))).await {
        told.expect_end();
    }
    assert_eq!(tokens.logins().len(), 2);
}

#[tokio::test]
async fn a_token_that_was_new_and_refused_is_not_renewed_for_reads_that_go_on() {
    let server = Server::start(|seen, n| match seen.target.as_str() {
        "/token" => Reply::json(format!(r#"{{"access_token":"acc3ss-{n}"}}"#)),
        _ => Reply::status(401),
    })
    .await;
    let source = source(with_client_credentials(&server));
    let goes_on = source.inner.auth.begin_read();
    read_once(&source).await.expect_failure(ErrorReason::Auth, "answered 401");
    let shown = source.inner.auth.ready().unwrap();
    assert!(!source.inner.auth.give_up(&shown, goes_on), "it would be refused again");
    let next = source.inner.auth.begin_read();
    assert!(source.inner.auth.give_up(&shown, next), "the next run tries once more");
}

#[tokio::test]
async fn reads_that_are_refused_one_after_the_other_share_one_renewal() {
    let server = Server::start(|seen, n| match seen.target.as_str() {
        "/token" => Reply::json(format!(r#"{{"access_token":"acc3ss-{n}"}}"#)),
        _ => Reply { pause: Duration::from_millis(n as u64 * 5), ..Reply::status(401) },
    })
    .await;
    let source = source(with_client_credentials(&server));
    for told in join_all((0..10).map(|_| read_once(&source))).await {
        told.expect_failure(ErrorReason::Auth, "answered 401");
    }
    let logins = server.seen().iter().filter(|seen| seen.target == "/token").count();
    assert_eq!(logins, 2, "the first, and one renewal for all");
}

#[tokio::test]
async fn a_refused_login_fails_every_read_that_goes_on_and_is_tried_again_by_the_next() {
    for status in [400, 401, 403, 422] {
        let body = r#"{"error":"invalid_client","error_description":"cl13nt-s3cret is wrong"}"#;
        let server =
            Server::start(move |_, _| Reply { pause: Duration::from_millis(30), ..Reply::new(status, &[], body) })
                .await;
        let source = source(with_client_credentials(&server));
        for told in join_all((0..20).map(|_| read_once(&source))).await {
            let part = format!("/token: the login was refused with {status} (invalid_client)");
            let error = told.expect_failure(ErrorReason::Auth, &part);
            assert_eq!(error.hint, "check `client_id` and `client_secret`, and whether `client_auth` fits");
        }
        assert_eq!(server.seen().len(), 1);
        read_once(&source).await.expect_failure(ErrorReason::Auth, "the login was refused");
        assert_eq!(server.seen().len(), 2);
    }
}

#[tokio::test]
async fn only_the_known_words_of_a_refusal_are_shown() {
    for (body, shown) in [
        (r#"{"error":"invalid_grant"}"#, "refused with 400 (invalid_grant)"),
        (r#"{"error":"invalid_scope"}"#, "refused with 400 (invalid_scope)"),
        (r#"{"error":"acc3ss-1 is bad"}"#, "refused with 400"),
        (r#"{"error":{"code":"acc3ss-1"}}"#, "refused with 400"),
        ("acc3ss-1", "refused with 400"),
        ("", "refused with 400"),
    ] {
        let server = Server::start(move |_, _| Reply::new(400, &[], body)).await;
        let told = read(with_client_credentials(&server)).await;
        let error = told.expect_failure(ErrorReason::Auth, shown);
        assert!(error.message.ends_with(shown), "{error:?}");
    }
}

#[tokio::test]
async fn a_login_is_tried_again_where_that_can_help() {
    for (first, requests) in [
        (Reply::status(503), 3),
        (Reply::new(500, &[], "x".repeat(70_000)), 3),
        (Reply::new(429, &[("retry-after", "0")], ""), 3),
        (Reply::raw(""), 3),
        (Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{"), 3),
    ] {
        let server = Server::start(move |seen, n| match (seen.target.as_str(), n) {
            ("/token", 0) => first.clone(),
            ("/token", _) => Reply::json(r#"{"access_token":"acc3ss-1"}"#),
            _ => Reply::json(items(0, 1, "")),
        })
        .await;
        let told = read(with_client_credentials(&server)).await;
        assert_eq!(told.expect_end().traffic().requests, requests);
        assert_eq!(told.traffic().retries, 1);
    }
    let server = Server::start(|_, _| Reply::status(500)).await;
    let source = source(with_client_credentials(&server));
    for told in join_all((0..5).map(|_| read_once(&source))).await {
        told.expect_failure(ErrorReason::Status, "/token: answered 500");
    }
    assert_eq!(server.seen().len(), 3, "the tries of one login, for all who waited");
}

#[tokio::test]
async fn a_pause_asked_of_a_login_elsewhere_is_obeyed() {
    let login = Server::start(|_, n| match n {
        0 => Reply::new(429, &[("retry-after", "1")], ""),
        _ => Reply::json(r#"{"access_token":"acc3ss-1"}"#),
    })
    .await;
    let data = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
    read(logged_in(&data, oauth2(&login.url("/token"), "client_credentials"))).await.expect_end();
    let seen = login.seen();
    assert!(seen[1].at - seen[0].at >= FAST.retry_after_max, "{:?}", seen[1].at - seen[0].at);
}

#[tokio::test]
async fn an_answer_too_large_or_without_a_token_says_so() {
    let large = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(70_000));
    for (body, reason, part) in [
        (large, ErrorReason::Decode, "the login's answer is larger than 64 KiB"),
        ("<html>".into(), ErrorReason::Decode, "the login's answer is no JSON"),
        ("{}".into(), ErrorReason::Select, "`.access_token` holds no token"),
        (r#"{"access_token":"acc3ss-\n1"}"#.into(), ErrorReason::Select, "holds characters that no header can carry"),
    ] {
        let server = Server::start(move |_, _| Reply::json(&body)).await;
        read(with_client_credentials(&server)).await.expect_failure(reason, part);
        assert_eq!(server.seen().len(), 1, "{part}");
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let tokens = Tokens::plain().await;
    let source = source(tokens.spec());
    read_once(&source).await.expect_end();
    // A life of 3600 s, less the minute that it is renewed ahead.
    for (pass, logins) in [(3500, 1), (45, 2), (3500, 2), (45, 3)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(pass)).await;
        tokio::time::resume();
        read_once(&source).await.expect_end();
        assert_eq!(tokens.logins().len(), logins);
    }
    assert_eq!(tokens.lists().len(), 5, "no request was refused");
}

#[tokio::test]
async fn a_token_that_expires_in_the_wait_for_the_budget_is_not_shown() {
    let given = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&given);
    let login = Server::start(move |_, _| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let life = if number == 1 { "0.1" } else { "60" };
        Reply::json(format!(r#"{{"access_token":"acc3ss-{number}","expires_in":{life}}}"#))
    })
    .await;
    let data = Server::start(|_, _| Reply::json(items(0, 1, ""))).await;
    let source = source(logged_in(&data, oauth2(&login.url("/token"), "client_credentials")));
    source.inner.budget.pause(Duration::from_millis(400));
    read_once(&source).await.expect_end();
    let seen = data.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].headers["authorization"], "Bearer acc3ss-2");
}

#[tokio::test]
async fn a_login_to_the_source_itself_counts_in_its_budget_and_cannot_lock_it() {
    let tokens = Tokens::plain().await;
    let mut spec = tokens.spec();
    spec.budget = vec![WindowSpec { requests: 1, per: Per::Second, resets: None }];
    let source = source(spec);
    for told in join_all((0..2).map(|_| read_once(&source))).await {
        told.expect_end();
    }
    let mut at: Vec<_> = tokens.server.seen().iter().map(|seen| seen.at).collect();
    at.sort();
    assert_eq!(at.len(), 3);
    assert!(at.windows(2).all(|two| two[1] - two[0] >= Duration::from_millis(990)), "{at:?}");
}

#[tokio::test]
async fn a_login_goes_on_when_the_read_that_began_it_is_given_up() {
    let tokens = Tokens::plain().await;
    let source = source(tokens.spec());
    let first = source.read(&BTreeMap::new());
    while tokens.logins().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(first);
    read_once(&source).await.expect_end();
    assert_eq!((tokens.logins().len(), tokens.lists().len()), (1, 1));
}

// ── what outlives the process ───────────────────────────────────────────────────────────────────────────

/// Gives the access and refresh token of the next number to whoever shows the newest refresh token.
async fn rotating(keep: &Arc<Memory>) -> Server {
    let keep = Arc::clone(keep);
    let newest = AtomicUsize::new(0);
    Server::start(move |seen, _| {
        let number = newest.load(Ordering::SeqCst);
        if seen.target == "/token" {
            if seen.body != format!("grant_type=refresh_token&refresh_token=r3fresh-{number}") {
                return Reply::new(400, &[], r#"{"error":"invalid_grant"}"#);
            }
            let next = newest.fetch_add(1, Ordering::SeqCst) + 1;
            let tokens = format!(r#""access_token":"acc3ss-{next}","refresh_token":"r3fresh-{next}""#);
            return Reply::json(format!(r#"{{{tokens},"expires_in":3600}}"#));
        }
        assert_eq!(keep.kept(), number, "every refresh token was stored before its access token is shown");
        if seen.headers["authorization"] == format!("Bearer acc3ss-{number}") {
            Reply::json(items(0, 1, ""))
        } else {
            Reply::status(401)
        }
    })
    .await
}

fn rotated(server: &Server) -> SourceSpec {
    logged_in(server, oauth2(&server.url("/token"), "refresh_token"))
}

async fn let_expire() {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(3600)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_rotated_refresh_token_is_stored_before_its_access_token_is_used() {
    let keep = Memory::new();
    let server = rotating(&keep).await;
    let source = source_with(rotated(&server), &keep);
    for kept in 1..4 {
        read_once(&source).await.expect_end();
        assert_eq!(keep.kept(), kept);
        let_expire().await;
    }
}

#[tokio::test]
async fn the_next_process_goes_on_with_what_the_last_one_kept() {
    let keep = Memory::new();
    let server = rotating(&keep).await;
    read_once(&source_with(rotated(&server), &keep)).await.expect_end();
    // The access token serves on, without a login …
    let second = source_with(rotated(&server), &keep);
    assert!(second.credential_expires_at().is_some());
    read_once(&second).await.expect_end();
    assert_eq!(keep.kept(), 1);
    // … and the refresh token is the rotated one.
    let_expire().await;
    read_once(&second).await.expect_end();
    assert_eq!(keep.kept(), 2);
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_stored_fails_the_read_and_is_stored_later() {
    for is_disk_full in [true, false] {
        let keep = Memory::new();
        let server = rotating(&keep).await;
        let source = source_with(rotated(&server), &keep);
        keep.fail(Some(is_disk_full));
        let reason = if is_disk_full { ErrorReason::DiskFull } else { ErrorReason::Store };
        for _ in 0..2 {
            let told = read_once(&source).await;
            let error = told.expect_failure(reason, "the source's new refresh token could not be stored: ");
            assert!(error.hint.contains("before the server is stopped"), "{error:?}");
            assert_eq!(server.seen().len(), 1, "one login, and no request with what is not stored");
        }
        keep.fail(None);
        read_once(&source).await.expect_end();
        let targets: Vec<_> = server.seen().iter().map(|seen| seen.target.clone()).collect();
        assert_eq!((targets, keep.kept()), (vec!["/token".to_owned(), "/people".to_owned()], 1));
    }
}

#[tokio::test]
async fn a_token_that_can_be_had_again_is_used_even_if_it_cannot_be_stored() {
    let tokens = Tokens::plain().await;
    let keep = Memory::new();
    keep.fail(Some(true));
    let source = source_with(tokens.spec(), &keep);
    for _ in 0..2 {
        read_once(&source).await.expect_end();
    }
    assert_eq!(tokens.logins().len(), 1);
}

#[tokio::test]
async fn a_restart_does_not_log_in_again_unless_the_key_or_the_login_is_another() {
    let tokens = Tokens::plain().await;
    let keep = Memory::new();
    for _ in 0..3 {
        read_once(&source_with(tokens.spec(), &keep)).await.expect_end();
        assert_eq!(tokens.logins().len(), 1);
    }
    let mut changed = oauth2(&tokens.server.url("/token"), "client_credentials");
    changed.client_secret = Some("an0ther".into());
    read_once(&source_with(logged_in(&tokens.server, changed), &keep)).await.expect_end();
    assert_eq!(tokens.logins().len(), 2);
    keep.change_key();
    let source = source_with(tokens.spec(), &keep);
    assert_eq!(source.credential_expires_at(), None);
    read_once(&source).await.expect_end();
    assert_eq!(tokens.logins().len(), 3);
}

#[tokio::test]
async fn a_newly_configured_refresh_token_wins_and_another_scope_keeps_the_rotated_one() {
    let keep = Memory::new();
    let server = Server::start(|seen, n| match seen.target.as_str() {
        "/token" => Reply::json(format!(r#"{{"access_token":"acc3ss-{n}","refresh_token":"r3fresh-{n}x"}}"#)),
        _ => Reply::json(items(0, 1, "")),
    })
    .await;
    let spec = |refresh: &str, scope: Option<&str>| {
        let mut auth = oauth2(&server.url("/token"), "refresh_token");
        auth.refresh_token = Some(refresh.into());
        auth.scope = scope.map(str::to_owned);
        logged_in(&server, auth)
    };
    for (refresh, scope, shown) in [
        ("r3fresh-a", None, Some("refresh_token=r3fresh-a")),
        ("r3fresh-a", None, None),
        ("r3fresh-a", Some("people"), Some("refresh_token=r3fresh-0x&scope=people")),
        ("r3fresh-b", Some("people"), Some("refresh_token=r3fresh-b&scope=people")),
    ] {
        let before = server.seen().len();
        read_once(&source_with(spec(refresh, scope), &keep)).await.expect_end();
        let seen = server.seen();
        let login = seen[before..].iter().find(|seen| seen.target == "/token");
        let expected = shown.map(|shown| format!("grant_type=refresh_token&{shown}"));
        assert_eq!(login.map(|login| login.body.clone()), expected, "{refresh} {scope:?}");
    }
}

#[tokio::test]
async fn another_grant_uses_the_refresh_token_it_gave_until_that_is_refused() {
    let refuse = Arc::new(AtomicBool::new(false));
    let refuses = Arc::clone(&refuse);
    let server = Server::start(move |seen, _| {
        if seen.target != "/token" {
            return Reply::json(items(0, 1, ""));
        }
        if seen.body.starts_with("grant_type=refresh_token") && refuses.load(Ordering::SeqCst) {
            return Reply::status(400);
        }
        Reply::json(r#"{"access_token":"acc3ss-1","refresh_token":"r3fresh-1","expires_in":3600}"#)
    })
    .await;
    let mut auth = oauth2(&server.url("/token"), "password");
    auth.fields = vec![("username".into(), "u".into()), ("password".into(), "p4ssword".into())];
    let source = source(logged_in(&server, auth));
    for refused in [false, false, true] {
        refuse.store(refused, Ordering::SeqCst);
        read_once(&source).await.expect_end();
        let_expire().await;
    }
    let logins: Vec<_> =
        server.seen().into_iter().filter(|seen| seen.target == "/token").map(|seen| seen.body).collect();
    let own = "grant_type=password&username=u&password=p4ssword";
    let refresh = "grant_type=refresh_token&refresh_token=r3fresh-1";
    assert_eq!(logins, [own, refresh, refresh, own]);
}

// ── sessions ────────────────────────────────────────────────────────────────────────────────────────────

fn session(server: &Server, from: TokenFrom, place: ApiKeyPlace, prefix: &str) -> SourceSpec {
    let body = vec![
        ("LoginId".to_owned(), SecretJson::Text("rollcall".into())),
        ("Password".to_owned(), SecretJson::Text("p4ssword".into())),
    ];
    let request = LoginRequestSpec {
        method: Method::Post,
        url: Url::parse(&server.url("/login")).unwrap(),
        query: vec![("v".into(), SecretString::from("2"))],
        headers: Vec::new(),
        body: LoginBody::Json(SecretJson::Object(body)),
    };
    let life = Some(TokenLife::Fixed(Duration::from_secs(20 * 60)));
    let token = TokenSpec { from, life, place, prefix: prefix.into() };
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    spec.auth = AuthSpec::Session(Box::new(SessionSpec { request, token }));
    spec
}

#[tokio::test]
async fn a_session_begins_with_a_login_and_shows_its_token_where_it_is_wanted() {
    let header = |name: &str| ApiKeyPlace::Header(name.into());
    for (from, place, prefix, shown) in [
        (TokenFrom::Body(jq(".session.id")), header("X-Session"), "", ("x-session", "acc3ss-b")),
        (TokenFrom::Header("X-Token".into()), header("Authorization"), "Token ", ("authorization", "Token acc3ss-h")),
        (TokenFrom::Cookie("sid".into()), header("Cookie"), "sid=", ("cookie", "sid=acc3ss-c")),
        (TokenFrom::Body(jq(".session.id")), ApiKeyPlace::Query("token".into()), "", ("", "/people?token=acc3ss-b")),
    ] {
        let server = Server::start(|seen, _| match seen.target.as_str() {
            "/login?v=2" => {
                let headers = [("x-token", "acc3ss-h"), ("set-cookie", "sid=acc3ss-c; HttpOnly")];
                Reply::new(200, &headers, r#"{"session":{"id":"acc3ss-b"}}"#)
            }
            _ => Reply::json(items(0, 1, "")),
        })
        .await;
        let source = source(session(&server, from, place, prefix));
        for _ in 0..2 {
            read_once(&source).await.expect_end();
        }
        let seen = server.seen();
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[0].body, r#"{"LoginId":"rollcall","Password":"p4ssword"}"#);
        assert_eq!(seen[0].headers["content-type"], "application/json");
        match shown {
            ("", target) => assert_eq!(seen[1].target, target),
            (name, value) => assert_eq!(seen[1].headers[name], value),
        }
    }
}

// ── secrets stay secret ─────────────────────────────────────────────────────────────────────────────────

#[tokio::test]
async fn no_token_and_no_secret_reaches_a_log_an_error_a_metric_or_the_disk() {
    let log = Heard::from(tracing::Level::TRACE);
    let echo = "cl13nt-s3cret acc3ss-1 r3fresh-0 p4ssword";
    let mut told = Vec::new();
    for (status, body) in [
        (200, r#"{"access_token":"acc3ss-1","refresh_token":"r3fresh-1","expires_in":60}"#.to_owned()),
        (200, format!(r#"{{"access_token":"acc3ss-1 \n","refresh_token":"r3fresh-1","echo":"{echo}"}}"#)),
        (200, format!(r#"{{"access_token":["{echo}"]}}"#)),
        (200, format!(r#"{{"access_token":"acc3ss-1","expires_in":"{echo}"}}"#)),
        (200, echo.to_owned()),
        (400, format!(r#"{{"error":"invalid_grant","error_description":"{echo}"}}"#)),
        (404, echo.to_owned()),
        (500, echo.to_owned()),
    ] {
        let server = Server::start(move |seen, _| match seen.target.as_str() {
            "/token?key=p4ssword" => Reply::new(status, &[], &body),
            _ => Reply::status(401),
        })
        .await;
        for is_disk_full in [None, Some(true)] {
            let mut auth = oauth2(&server.url("/token?key=p4ssword"), "refresh_token");
            auth.fields = vec![("password".into(), "p4ssword".into())];
            let keep = Memory::new();
            keep.fail(is_disk_full);
            let spec = logged_in(&server, auth);
            let source = source_with(spec, &keep);
            let read = read_once(&source).await;
            assert!(read.failed.is_some(), "{status}");
            let sealed = keep.load(Keepsake::Credential).unwrap_or_default();
            told.push(format!("{read:?} {source:?} {}", source.inner.observer.render()));
            told.push(String::from_utf8_lossy(&sealed).into_owned());
        }
    }
    told.push(log.text());
    let told = told.join("\n");
    assert!(told.contains("source request") && told.contains("credential held"), "the log was heard");
    for secret in SECRETS {
        let at = told.find(secret);
        assert_eq!(at, None, "{secret}: {:?}", at.map(|at| &told[at.saturating_sub(200)..at]));
    }
}
