//! The whole way, with a real provider: sign in, be known, stay in step, sign out.

use jiff::SignedDuration;
use reqwest::Method;
use rollcall::model::{ExternalId, SourceName};
use rollcall::store::bound_to;
use serde_json::{Value, json};

use super::browser::Browser;
use super::provider::{Provider, account};
use super::site::{APP, Site, callback, place};
use crate::support::{SOURCE_TOKEN, until};

/// A source of logins whose provider is at `ISSUER`.
pub const CONFIG: &str = r#"
[source.id]
preset = "oidc"
edit_url = "https://id.example/account/{external_id}"
mapping = { company = ".company" }

[source.id.login]
issuer = "ISSUER"
client_id = "rollcall"
client_secret = { env = "SOURCE_TOKEN" }
scope = "openid email profile groups offline_access"
redirect_url = "CALLBACK"
return_to = "https://app.example/signed-in"
min_interval = "5m"
refresh_every = "12h"
"#;

/// The provider with these accounts, and Rollcall beside it.
pub async fn opened(accounts: &Value, more: &Value, config: &str) -> (Provider, Site) {
    let (listener, address) = place().await;
    let mut settings = json!({
        "accounts": accounts, "access_token_s": 2, "secret": SOURCE_TOKEN,
        "redirect_uris": { "rollcall": [callback(address)], "other": ["http://127.0.0.1:9/other"] },
    });
    settings.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let provider = Provider::start(&settings);
    let site = Site::open(listener, &config.replace("ISSUER", &provider.issuer)).await;
    (provider, site)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn somebody_signs_in_and_stays_in_step_for_days() {
    let (provider, site) = opened(&json!({ "ada": account("Ada") }), &json!({}), CONFIG).await;
    let signed_in = site.sign_in("ada").await;
    let user = &signed_in["user"];
    assert_eq!(user["email"]["value"], "Ada@example.org");
    assert_eq!((&user["fields"]["first_name"]["value"], &user["groups"]), (&json!("Ada"), &json!(["speakers"])));
    assert_eq!(user["fields"]["company"]["owner"]["source"], "id");
    assert_eq!(user["registrations"][0]["external_id"], "ada");
    assert_eq!(user["attendances"], json!([]), "signing in brings nobody into an event");
    let path = format!("/v1/users/{}", user["id"].as_str().unwrap());

    // What the provider owns is locked, and the answer says where to edit it.
    let (status, locked) = site.ask(Method::PATCH, &path, Some(&json!({ "company": "Mine" }))).await;
    assert_eq!((status, &locked["edit_url"]), (409, &json!("https://id.example/account/ada")));

    // Days go by; each brings something new, and the access token has always ended long ago.
    let day = SignedDuration::from_hours(24);
    for number in 1..=5 {
        site.advance(day);
        provider.be_ahead(number * day.as_secs()).await;
        provider
            .set(
                "ada",
                json!({ "company": format!("Engines {number}"), "groups": ["Speakers", format!("Day {number}")] }),
            )
            .await;
        assert_eq!(site.appliance.app.logins.refresh_due().unwrap(), 1, "day {number}");
        until("it is refreshed", async || site.refreshed("done").await == u64::try_from(number).unwrap()).await;
        let now = site.get(&path).await;
        assert_eq!(now["fields"]["company"]["value"], format!("Engines {number}"));
        assert_eq!(now["groups"], json!([format!("day {number}"), "speakers"]));
        site.settle(&user["id"]).await;
    }
    assert_eq!(provider.asked("/token").await, 6, "a code, and a refresh token a day");

    // Taken back at the provider: marked once, and nothing is lost.
    provider.revoke("ada").await;
    site.advance(day);
    site.appliance.app.logins.refresh_due().unwrap();
    until("it is marked", async || site.refreshed("sign_in_again").await == 1).await;
    site.settle(&user["id"]).await;
    let asked = provider.asked("/token").await;
    for _ in 0..3 {
        site.advance(day);
        assert_eq!(site.appliance.app.logins.refresh_due().unwrap(), 0, "nobody is asked about them any more");
    }
    assert_eq!(provider.asked("/token").await, asked);
    let (status, refreshed) = site.post(&format!("{path}/refresh"), &json!({})).await;
    assert_eq!((status, &refreshed["refresh"]), (200, &json!("sign_in_again")));
    assert_eq!(refreshed["user"]["fields"]["company"]["value"], "Engines 5");
    assert_eq!(site.metric("rollcall_signed_in_people{source=\"id\",standing=\"sign_in_again\"}").await, 1);

    // They sign in again and are the same person.
    let again = site.sign_in("ada").await;
    assert_eq!(again["user"]["id"], user["id"]);
    let profile = format!("/v1/profiles/id/{}", user["id"].as_str().unwrap());
    assert_eq!(site.get(&profile).await["standing"], "signed_in");

    // They sign out: the provider is told, and nothing is kept but who they are.
    let (status, out) = site.ask(Method::DELETE, &profile, None).await;
    assert_eq!((status, out), (200, json!({ "revoked": true })));
    assert_eq!(provider.asked("/token/revocation").await, 1);
    assert_eq!(site.ask(Method::DELETE, &profile, None).await.0, 404);
    assert_eq!(site.get(&path).await["fields"]["company"]["value"], "Engines 5");
    let (_, refreshed) = site.post(&format!("{path}/refresh"), &json!({})).await;
    assert_eq!(refreshed["refresh"], "not_signed_in");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn whoever_refuses_at_the_provider_comes_back_to_the_app_with_the_reason() {
    let (_provider, site) = opened(&json!({ "ada": account("Ada") }), &json!({}), CONFIG).await;
    let mut browser = Browser::default();
    let page = browser.go(&site.login(), APP).await;
    let landing = browser.sign_in(&page, "nobody", APP).await;
    assert_eq!(landing.parameter("error").as_deref(), Some("denied"));
    assert_eq!(landing.parameter("state").as_deref(), Some("of-the-app"));
    assert_eq!((site.ended("denied").await, site.ended("done").await), (1, 0));
}

/// Somebody's access token, as it lies in the store.
pub fn access_token(site: &Site, external_id: &str) -> String {
    let store = &site.appliance.app.store;
    let (source, external_id) = (SourceName::parse("id").unwrap(), ExternalId::new(external_id).unwrap());
    let sealed = store.sign_in(&source, &external_id).unwrap().unwrap().tokens.unwrap();
    let plain = store.vault().open(&bound_to(&source, &external_id), &sealed).unwrap();
    serde_json::from_slice::<Value>(&plain).unwrap()["access"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node and oidc-provider; tests/run runs it"]
async fn a_provider_that_does_not_answer_takes_nothing_from_anybody() {
    let (provider, site) = opened(&json!({ "ada": account("Ada") }), &json!({}), CONFIG).await;
    let user = site.sign_in("ada").await["user"]["id"].as_str().unwrap().to_owned();
    provider.fail("token", 503, 1).await;
    let mut browser = Browser::default();
    let page = browser.go(&site.login(), APP).await;
    let landing = browser.sign_in(&page, "ada", APP).await;
    assert_eq!(landing.parameter("error").as_deref(), Some("failed"), "{}", landing.url);
    assert_eq!(site.ended("failed").await, 1);
    // Neither is a failure at night a reason to have anybody sign in again.
    for path in ["token", "me"] {
        site.advance(SignedDuration::from_hours(25));
        provider.fail(path, 500, 1).await;
        let before = site.refreshed("failed").await;
        site.appliance.app.logins.refresh_due().unwrap();
        until("it failed", async || site.refreshed("failed").await == before + 1).await;
    }
    site.advance(SignedDuration::from_hours(2));
    assert_eq!(site.appliance.app.logins.refresh_due().unwrap(), 1, "it is tried again");
    until("it came", async || site.refreshed("unchanged").await == 1).await;
    assert_eq!(site.get(&format!("/v1/profiles/id/{user}")).await["standing"], "signed_in");
}
