//! Whoever tries to be somebody else: refused, counted, and told nothing.

use reqwest::Method;
use serde_json::{Value, json};

use super::browser::{Browser, Landing};
use super::provider::account;
use super::site::{APP, Site};
use super::story::{CONFIG, opened};

/// A browser that comes back from the provider signed in, but has not reached Rollcall yet.
async fn on_the_way_back(site: &Site, login: &str) -> (Browser, Landing) {
    let mut browser = Browser::default();
    let page = browser.go(&site.login(), APP).await;
    let back = browser.sign_in(&page, login, &format!("{}/v1/login/id/callback", site.base)).await;
    assert_eq!(back.status, 0, "{}", back.text);
    (browser, back)
}

fn changed(landing: &Landing, name: &str, value: &str) -> String {
    let mut url = landing.url.clone();
    let pairs: Vec<(String, String)> =
        landing.url.query_pairs().filter(|(key, _)| key != name).map(|(k, v)| (k.into(), v.into())).collect();
    url.query_pairs_mut().clear().extend_pairs(pairs).append_pair(name, value);
    url.to_string()
}

/// Two people, one of whom is up to no good.
async fn two() -> (super::provider::Provider, Site) {
    opened(&json!({ "ada": account("Ada"), "eve": account("Eve") }), &json!({}), CONFIG).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn what_comes_back_is_held_against_what_was_begun() {
    let (provider, site) = two().await;
    // Somebody who began nothing is sent an answer that signs them in as another (login CSRF).
    let (_, evil) = on_the_way_back(&site, "eve").await;
    let landing = Browser::default().go(evil.url.as_str(), APP).await;
    assert_eq!((landing.status, site.ended("session").await), (400, 1), "{}", landing.text);
    let (mut victim, _) = on_the_way_back(&site, "ada").await;
    let landing = victim.go(evil.url.as_str(), APP).await;
    assert_eq!((landing.status, site.ended("session").await), (400, 2), "a session of their own does not fit");

    // Another state, with the cookie of this one under its name.
    let (mut browser, back) = on_the_way_back(&site, "eve").await;
    let (other, other_back) = on_the_way_back(&site, "eve").await;
    let (name, _) = other.cookie(&site.base);
    browser.tamper(&site.base, |_, value| (name.clone(), value.to_owned()));
    let landing = browser.go(&changed(&back, "state", &other_back.parameter("state").unwrap()), APP).await;
    assert_eq!((landing.status, site.ended("state").await), (400, 1), "{}", landing.text);
    let landing =
        browser.go(&site.login().replace("/v1/login/id", "/v1/login/id/callback").replace("state", "x"), APP).await;
    assert_eq!((landing.status, site.ended("state").await), (400, 2), "no state at all");

    // A cookie that was made up, or changed in one place.
    let (mut browser, back) = on_the_way_back(&site, "eve").await;
    browser.tamper(&site.base, |name, value| (name.to_owned(), value.chars().rev().collect()));
    assert_eq!((browser.go(back.url.as_str(), APP).await.status, site.ended("session").await), (400, 3));

    // The same answer twice.
    let (mut browser, back) = on_the_way_back(&site, "ada").await;
    let mut again = browser.clone();
    let landing = browser.go(back.url.as_str(), APP).await;
    assert!(landing.parameter("code").is_some(), "{}", landing.url);
    assert_eq!((again.go(back.url.as_str(), APP).await.status, site.ended("replayed").await), (400, 1));

    // Ten minutes are too long.
    let (mut browser, back) = on_the_way_back(&site, "ada").await;
    site.advance(jiff::SignedDuration::from_mins(10));
    assert_eq!((browser.go(back.url.as_str(), APP).await.status, site.ended("session").await), (400, 4));
    assert_eq!(provider.asked("/token").await, 1, "the provider was asked about the good one only");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn codes_are_good_for_whoever_began_and_once() {
    let (_provider, site) = two().await;
    let refused = async |mut browser: Browser, url: String, word: &str, times: u64| {
        let landing = browser.go(&url, APP).await;
        assert_eq!(landing.parameter("error").as_deref(), Some(word), "{} {}", landing.url, landing.text);
        assert_eq!(landing.parameter("code"), None);
        assert_eq!(site.ended(word).await, times);
    };
    let (browser, back) = on_the_way_back(&site, "eve").await;
    refused(browser, changed(&back, "code", "made-up"), "unknown", 1).await;
    // Somebody else's code, put into one's own sign-in (PKCE).
    let (_, stolen) = on_the_way_back(&site, "ada").await;
    let (browser, back) = on_the_way_back(&site, "eve").await;
    refused(browser, changed(&back, "code", &stolen.parameter("code").unwrap()), "unknown", 2).await;
    // A code that was used.
    let (mut ada, back) = on_the_way_back(&site, "ada").await;
    let landing = ada.go(back.url.as_str(), APP).await;
    let (browser, mine) = on_the_way_back(&site, "eve").await;
    refused(browser, changed(&mine, "code", &back.parameter("code").unwrap()), "unknown", 3).await;
    // The answer of another provider.
    let (browser, back) = on_the_way_back(&site, "eve").await;
    refused(browser, changed(&back, "iss", "https://evil.example"), "issuer", 1).await;
    // The app's own code is good once, too, and what is no code is counted.
    assert_eq!(site.exchange(&landing).await.0, 200);
    assert_eq!(site.exchange(&landing).await.0, 404);
    assert_eq!(site.post("/v1/login/exchange", &json!({ "code": "made-up" })).await.0, 404);
    assert_eq!(site.metric("rollcall_http_auth_failures_total{reason=\"code\"}").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn an_id_token_of_another_sign_in_is_refused() {
    let more = json!({ "nonce": "of-another-sign-in" });
    let (_provider, site) = opened(&json!({ "ada": account("Ada") }), &more, CONFIG).await;
    let (mut browser, back) = on_the_way_back(&site, "ada").await;
    let landing = browser.go(back.url.as_str(), APP).await;
    assert_eq!(landing.parameter("error").as_deref(), Some("nonce"));
    assert_eq!((site.ended("nonce").await, site.appliance.app.store.user_count()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn tokens_of_another_app_or_person_are_refused() {
    let (provider, site) = two().await;
    let people = ["ada".to_owned(), "eve".to_owned()];
    let (ours, of_other) = (provider.grants("rollcall", &people).await, provider.grants("other", &people).await);
    let text = |grant: &Value, key: &str| grant[key].as_str().unwrap().to_owned();
    let forged = |token: String, part: usize, with: &str| {
        let mut parts: Vec<&str> = token.split('.').collect();
        parts[part] = with;
        parts.join(".")
    };
    // {"alg":"none"}
    let none = forged(forged(text(&ours[0], "id_token"), 0, "eyJhbGciOiJub25lIn0"), 2, "");
    let (ada, eve) = (0, 1);
    let mut counted = std::collections::BTreeMap::new();
    for (what, access, id_token, word) in [
        ("an access token of another app", text(&of_other[ada], "access_token"), None, "other_audience"),
        (
            "an ID token of another app",
            text(&ours[ada], "access_token"),
            Some(text(&of_other[ada], "id_token")),
            "id_token",
        ),
        (
            "another app's access token beside one's own ID token",
            text(&of_other[ada], "access_token"),
            Some(text(&ours[eve], "id_token")),
            "subject",
        ),
        ("a token that is none", "made-up".to_owned(), None, "unknown"),
        ("an ID token without a signature", text(&ours[ada], "access_token"), Some(none), "id_token"),
        (
            "an ID token with another's claims",
            text(&ours[eve], "access_token"),
            Some(forged(text(&ours[eve], "id_token"), 1, text(&ours[ada], "id_token").split('.').nth(1).unwrap())),
            "id_token",
        ),
        ("a refresh token in its place", text(&ours[ada], "refresh_token"), None, "unknown"),
    ] {
        let mut body = json!({ "access_token": access });
        if let Some(id_token) = id_token {
            body["id_token"] = id_token.into();
        }
        let (status, answer) = site.post("/v1/profiles/id", &body).await;
        assert_eq!(status, 422, "{what}: {answer}");
        let times = counted.entry(word).or_insert(0);
        *times += 1;
        assert_eq!(site.ended(word).await, *times, "{what}: {answer}");
    }
    assert_eq!(site.appliance.app.store.user_count(), 0);

    // What is the app's own does, in each of the ways that prove it.
    let mine = |grant: &Value| json!({ "access_token": grant["access_token"], "refresh_token": grant["refresh_token"], "expires_in": 2 });
    let (status, by_introspection) = site.post("/v1/profiles/id", &mine(&ours[ada])).await;
    assert_eq!((status, &by_introspection["user"]["fields"]["first_name"]["value"]), (200, &json!("Ada")));
    let mut by_id_token = mine(&ours[eve]);
    by_id_token["id_token"] = ours[eve]["id_token"].clone();
    let (status, answer) = site.post("/v1/profiles/id", &by_id_token).await;
    assert_eq!((status, &answer["user"]["fields"]["first_name"]["value"]), (200, &json!("Eve")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn an_opaque_token_is_taken_only_where_the_configuration_says_so() {
    let more = json!({ "introspection": false });
    for (says_so, status) in [(false, 422), (true, 200)] {
        let config = format!("{CONFIG}accept_opaque_tokens = {says_so}\n");
        let (provider, site) = opened(&json!({ "ada": account("Ada") }), &more, &config).await;
        let grant = provider.grants("rollcall", &["ada".into()]).await.remove(0);
        let body = json!({ "access_token": grant["access_token"] });
        let (answered, answer) = site.post("/v1/profiles/id", &body).await;
        assert_eq!(answered, status, "{answer}");
        assert_eq!(site.ended("no_proof").await, u64::from(!says_so));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn a_jwt_says_for_whom_it_was_made() {
    let own_api = r#"
[source.id]
base_url = "ISSUER"
request = { path = "api/me" }
records = { select = ".account" }
mapping = { email = ".email", first_name = ".given_name", last_name = ".family_name" }
[source.id.login]
issuer = "ISSUER"
client_id = "rollcall"
client_secret = { env = "SOURCE_TOKEN" }
scope = "openid email profile groups offline_access"
redirect_url = "CALLBACK"
return_to = "https://app.example/signed-in"
"#;
    let more = json!({ "resource": "urn:the-app", "access_token_s": 3600, "introspection": false });
    for (audience, status) in [("urn:the-app", 200), ("urn:another-app", 422)] {
        let config = format!("{own_api}audience = \"{audience}\"\n");
        let (_provider, site) = opened(&json!({ "ada": account("Ada") }), &more, &config).await;
        // Only a real sign-in makes a token for a resource; where it goes is of no matter here.
        let signed_in = site.sign_in("ada").await;
        assert_eq!(signed_in["user"]["fields"]["first_name"]["value"], "Ada");
        let person = signed_in["user"]["id"].as_str().unwrap();
        let token = super::story::access_token(&site, "ada");
        assert_eq!(token.split('.').count(), 3, "it is a JWT");
        let (answered, answer) = site.post("/v1/profiles/id", &json!({ "access_token": token })).await;
        assert_eq!(answered, status, "{audience}: {answer}");
        assert_eq!(site.ended("other_audience").await, u64::from(status == 422));
        assert!(status != 200 || answer["user"]["id"] == person);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn nobody_is_sent_to_an_address_that_is_not_allowed() {
    let (_provider, site) = two().await;
    let mut times = 0;
    for address in [
        "https://evil.example/signed-in",
        "https://app.example.evil.example/signed-in",
        "https://app.example/signed-in/",
        "https://app.example/signed-in?next=https://evil.example",
        "https://app.example/signed-in#x",
        "https://app.example/",
        "https://app.example/signed-in/../evil",
        "http://app.example/signed-in",
        "https://evil@app.example/signed-in",
        "//evil.example",
        "javascript:alert(1)",
        "",
    ] {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", address).finish();
        let (status, answer) = site.ask(Method::GET, &format!("/v1/login/id?{query}"), None).await;
        times += 1;
        assert_eq!((status, site.ended("return_to").await), (400, times), "{address}: {answer}");
    }
    let query = "return_to=https%3A%2F%2Fapp.example%2Fsigned-in";
    assert_eq!(site.ask(Method::GET, &format!("/v1/login/id?{query}"), None).await.0, 303);
    let state = "x".repeat(2_000);
    assert_eq!(site.ask(Method::GET, &format!("/v1/login/id?state={state}"), None).await.0, 400);
    for nobody in ["/v1/login/crm", "/v1/login/crm/callback", "/v1/login/Nobody"] {
        assert!(matches!(site.ask(Method::GET, nobody, None).await.0, 400 | 404), "{nobody}");
    }
}
