//! A provider of OAuth 2.0 without OpenID Connect, scripted: endpoints from the configuration, a profile of the organiser's own API.
//! Each account's tokens and emails are what the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::browser::Browser;
use super::site::{APP, Site, place};
use crate::support::{Asked, Scripted, json as answer};

pub const CONFIG: &str = r#"
[source.id]
base_url = "URL"
request = { path = "me" }
mapping = { external_id = ".id", email = ".mail", first_name = ".first", last_name = ".last", company = ".company" }
groups = { from = ".groups" }
edit_url = "https://id.example/account"

[source.id.login]
authorization_url = "URL/authorize"
token_url = "URL/token"
client_id = "rollcall"
client_secret = { env = "SOURCE_TOKEN" }
redirect_url = "CALLBACK"
return_to = ["https://app.example/signed-in", "com.example.app:/signed-in"]
email_verified = ".verified"
accept_opaque_tokens = true
min_interval = "5m"
refresh_every = "1d"
"#;

/// The provider: profiles by account, and the refresh tokens that are good.
#[derive(Default)]
pub struct Accounts {
    pub profiles: BTreeMap<String, Value>,
    /// By refresh token; one is good once.
    refresh: BTreeMap<String, String>,
    made: u32,
}

#[derive(Clone, Default)]
pub struct Plain(pub Arc<Mutex<Accounts>>);

impl Plain {
    pub fn set(&self, id: &str, profile: Value) {
        let mut profile = profile;
        profile["id"] = id.into();
        self.0.lock().unwrap().profiles.insert(id.to_owned(), profile);
    }

    /// Tokens as if somebody had signed in with the app.
    pub fn tokens(&self, id: &str) -> Value {
        let mut accounts = self.0.lock().unwrap();
        accounts.made += 1;
        let refresh = format!("refresh-{}-of-{id}", accounts.made);
        accounts.refresh.insert(refresh.clone(), id.to_owned());
        json!({ "access_token": format!("access-{}-of-{id}", accounts.made), "refresh_token": refresh, "expires_in": 60 })
    }

    pub fn answered(&self, asked: &Asked) -> Response {
        match asked.path.as_str() {
            "/token" => self.token(asked),
            _ => {
                let shown = asked.header("authorization").unwrap_or_default();
                let id = shown.rsplit_once("-of-").map_or("", |(_, id)| id);
                match self.0.lock().unwrap().profiles.get(id) {
                    Some(profile) => answer(profile),
                    None => StatusCode::UNAUTHORIZED.into_response(),
                }
            }
        }
    }

    fn token(&self, asked: &Asked) -> Response {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect();
        let id = match form["grant_type"].as_str() {
            // The code is whose it is, so that a test needs no page to sign in on.
            "authorization_code" => form["code"].strip_prefix("code-of-").map(ToOwned::to_owned),
            _ => self.0.lock().unwrap().refresh.remove(&form["refresh_token"]),
        };
        match id {
            Some(id) => {
                let mut tokens = self.tokens(&id);
                tokens["token_type"] = "bearer".into();
                answer(&tokens)
            }
            None => (StatusCode::BAD_REQUEST, r#"{"error":"invalid_grant"}"#).into_response(),
        }
    }
}

pub async fn opened(more: &str) -> (Plain, Scripted, Site) {
    let (listener, _) = place().await;
    opened_on(listener, more).await
}

pub async fn opened_on(listener: TcpListener, more: &str) -> (Plain, Scripted, Site) {
    let plain = Plain::default();
    let provider = plain.clone();
    let server = Scripted::start(move |asked, _| provider.answered(asked)).await;
    let site = Site::open(listener, &server.config(&format!("{CONFIG}{more}"))).await;
    (plain, server, site)
}

pub fn profile(name: &str) -> Value {
    json!({ "mail": format!("{name}@x.org"), "verified": true, "first": name, "last": "L", "company": "Engines", "groups": ["Staff"] })
}

/// Signs an account in as a browser would, and returns what the app is told.
pub async fn sign_in(site: &Site, id: &str) -> Result<Value, String> {
    let mut browser = Browser::default();
    let there = browser.go(&site.login(), "http://127.0.0.1:").await;
    let state = there.parameter("state").unwrap();
    let back = format!("{}/v1/login/id/callback?state={state}&code=code-of-{id}", site.base);
    let landing = browser.go(&back, APP).await;
    match landing.parameter("error") {
        Some(error) => Err(error),
        None => Ok(site.exchange(&landing).await.1),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_without_openid_connect() {
    let (plain, server, site) = opened("").await;
    plain.set("7", profile("ada"));
    let mut browser = Browser::default();
    let there = browser.go(&site.login(), "http://127.0.0.1:").await;
    assert!(there.url.path() == "/authorize", "{}", there.url);
    for (name, value) in [("client_id", "rollcall"), ("response_type", "code"), ("code_challenge_method", "S256")] {
        assert_eq!(there.parameter(name).as_deref(), Some(value));
    }
    assert!(there.parameter("nonce").is_none(), "there is no ID token to hold it");
    let set = &browser.set[0];
    assert!(
        set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Path=/v1/login/id/callback"),
        "{set}"
    );
    let signed_in = sign_in(&site, "7").await.unwrap();
    assert_eq!(signed_in["user"]["registrations"][0]["external_id"], "7");
    let asked = server.asked();
    let token = asked.iter().find(|asked| asked.path == "/token").unwrap();
    assert!(token.body.contains("code_verifier=") && token.header("authorization").unwrap().starts_with("Basic "));
    // On a phone, the app's own address.
    let query = "return_to=com.example.app%3A%2Fsigned-in&state=s";
    let (status, _) = site.ask(Method::GET, &format!("/v1/login/id?{query}"), None).await;
    assert_eq!(status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_email_that_nobody_vouches_for_makes_nobody_and_joins_nobody() {
    let (plain, _server, site) = opened("").await;
    plain.set("1", profile("ada"));
    let ada = sign_in(&site, "1").await.unwrap();
    let mut eve = profile("ada");
    eve["verified"] = false.into();
    for verified in [json!(false), json!("false"), Value::Null, json!(1)] {
        eve["verified"] = verified.clone();
        plain.set("2", eve.clone());
        assert_eq!(sign_in(&site, "2").await, Err("email_unverified".into()), "{verified}");
    }
    eve["mail"] = "eve@x.org".into();
    plain.set("2", eve.clone());
    assert_eq!(sign_in(&site, "2").await, Err("email_unverified".into()), "nor does it wait for the email's owner");
    assert_eq!(site.appliance.app.store.user_count(), 1);
    // Some write truth as a text.
    eve["verified"] = "true".into();
    plain.set("2", eve.clone());
    let signed_in = sign_in(&site, "2").await.unwrap();
    // Who is known and has changed the email without proving it stays who they are, and is let in.
    eve["mail"] = "ada@x.org".into();
    eve["verified"] = false.into();
    plain.set("2", eve.clone());
    let again = sign_in(&site, "2").await.unwrap();
    assert_eq!(
        (&again["user"]["id"], &again["user"]["email"]["value"]),
        (&signed_in["user"]["id"], &json!("eve@x.org"))
    );
    // With proof, they are the other one.
    eve["verified"] = true.into();
    plain.set("2", eve);
    assert_eq!(sign_in(&site, "2").await.unwrap()["user"]["id"], ada["user"]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_in_a_provider_is_said_in_so_many_words() {
    let (plain, _server, site) = opened("trust_email = true\n").await;
    plain.set("1", json!({ "mail": "ada@x.org", "first": "Ada", "last": "L" }));
    assert!(sign_in(&site, "1").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_lacks_something_is_refused_by_name() {
    let (plain, _server, site) = opened("").await;
    plain.set("1", json!({ "mail": "ada@x.org", "verified": true, "first": "Ada" }));
    assert_eq!(sign_in(&site, "1").await, Err("rejected".into()));
    let (status, answer) = site.post("/v1/profiles/id", &plain.tokens("1")).await;
    assert_eq!(
        (status, answer["detail"].as_str().unwrap()),
        (422, "the profile cannot be used: last_name (missing_field)")
    );
    assert_eq!(sign_in(&site, "nobody").await, Err("unknown".into()), "the profile's own API does not know the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attendee_and_the_account_are_one_person_by_precedence() {
    let list = r#"
[source.crm]
base_url = "URL"
request = { path = "list" }
records = { select = ".[]" }
mapping = { external_id = ".id", email = ".mail", first_name = ".first", last_name = ".last", company = ".company" }
priority = 5
[event.summit]
feed = [{ source = "crm" }]
"#;
    for (priority, company, owner) in [(0, "List", "crm"), (9, "Account", "id")] {
        let config =
            format!("{}{list}", CONFIG.replacen("[source.id]", &format!("[source.id]\npriority = {priority}"), 1));
        let plain = Plain::default();
        let provider = plain.clone();
        let ticket = json!([{ "id": "t1", "mail": "Ada@x.org", "first": "Ada", "last": "Byron", "company": "List" }]);
        let script =
            move |asked: &Asked, _| if asked.path == "/list" { answer(&ticket) } else { provider.answered(asked) };
        let server = Scripted::start(script).await;
        let (listener, _) = place().await;
        let site = Site::open(listener, &server.config(&config)).await;
        site.appliance.sync("summit", "crm", false, false).await;
        let mut ada = profile("ada");
        ada["company"] = "Account".into();
        plain.set("7", ada);
        let signed_in = sign_in(&site, "7").await.unwrap();
        let user = &signed_in["user"];
        assert_eq!(site.appliance.app.store.user_count(), 1, "they are one");
        assert_eq!(user["fields"]["company"]["value"], company);
        assert_eq!(user["fields"]["company"]["owner"]["source"], owner);
        assert_eq!(user["attendances"][0]["event"], "summit");
        // The account's groups count in every event.
        let id = user["id"].as_str().unwrap();
        // All that is stored of them, but for their keys.
        let export = site.get(&format!("/v1/users/{id}/export")).await;
        assert_eq!(export["sign_ins"][0]["standing"], "signed_in", "{export}");
        assert!(!export.to_string().contains("-of-7"));
        let attendee = site.get(&format!("/v1/events/summit/attendees/{id}")).await;
        assert_eq!(attendee["groups"], json!(["staff"]));

        // Why they are here, and that the account is no place in an event.
        let (status, explained) = site.post("/v1/events/summit/explain", &json!({ "user": id })).await;
        let text = explained.to_string();
        assert!(status == 200 && text.contains("they attend summit") && !text.contains("signed in"), "{explained}");
        plain.set("8", profile("eve"));
        let eve = sign_in(&site, "8").await.unwrap();
        let (_, explained) = site.post("/v1/events/summit/explain", &json!({ "user": eve["user"]["id"] })).await;
        assert!(
            explained.to_string().contains("they signed in with id, which brings nobody into an event"),
            "{explained}"
        );
        let (status, _) =
            site.ask(Method::PATCH, &format!("/v1/users/{id}"), Some(&json!({ "company": "Mine" }))).await;
        assert_eq!(status, 409);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_erased_stays_out() {
    let (plain, _server, site) = opened("").await;
    plain.set("7", profile("ada"));
    let user = sign_in(&site, "7").await.unwrap()["user"]["id"].as_str().unwrap().to_owned();
    let sign_ins = || site.appliance.app.logins.standings().iter().map(|facts| facts.people).sum::<usize>();
    assert_eq!(sign_ins(), 1);
    let (status, answer) = site.ask(Method::DELETE, &format!("/v1/users/{user}"), None).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(sign_ins(), 0, "their tokens went with them");
    assert_eq!(sign_in(&site, "7").await, Err("erased".into()));
    // Under another email it is the same account.
    plain.set("7", profile("other"));
    assert_eq!(sign_in(&site, "7").await, Err("erased".into()));
    let (status, answer) = site.post("/v1/profiles/id", &plain.tokens("7")).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(site.appliance.app.store.user_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_can_be_undone() {
    let (plain, _server, site) = opened("").await;
    plain.set("7", profile("ada"));
    let user = sign_in(&site, "7").await.unwrap()["user"]["id"].as_str().unwrap().to_owned();
    let mut changed = profile("ada");
    changed["company"] = "Others".into();
    plain.set("7", changed);
    site.advance(SignedDuration::from_mins(10));
    sign_in(&site, "7").await.unwrap();
    let company = async || site.get(&format!("/v1/users/{user}")).await["fields"]["company"]["value"].clone();
    assert_eq!(company().await, "Others");
    let runs = site.get("/v1/runs").await;
    let newest = &runs["items"][0];
    assert_eq!(
        (&newest["trigger"], &newest["event"], &newest["source"]),
        (&json!("sign_in"), &json!("@community"), &json!("id"))
    );
    let changes = site.get(&format!("/v1/runs/{}/changes", newest["id"])).await;
    assert_eq!(changes["items"][0]["user"], user.as_str(), "{changes}");
    let (status, undo) = site.post(&format!("/v1/runs/{}/undo", newest["id"]), &json!({})).await;
    assert!(status < 300, "{status} {undo}");
    super::refreshing::eventually(async || company().await == "Engines").await;
    // The run that made them, too: nobody is left, nor their tokens.
    let first = &runs["items"][1];
    let (status, undo) = site.post(&format!("/v1/runs/{}/undo", first["id"]), &json!({})).await;
    assert!(status < 300, "{status} {undo}");
    super::refreshing::eventually(async || site.appliance.app.store.user_count() == 0).await;
    assert_eq!(site.appliance.app.logins.standings().iter().map(|facts| facts.people).sum::<usize>(), 0);
    // And they can sign in again.
    assert!(sign_in(&site, "7").await.is_ok());
}
