//! Profiles are asked for anew: behind the answer, once, within the budget, and no more than they may be.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::plain::{Plain, opened, profile, sign_in};
use super::site::Site;

/// Until it is so.
pub async fn eventually(mut is_so: impl AsyncFnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(30);
    while !is_so().await {
        assert!(Instant::now() < patience, "it never came to be so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn id(signed_in: &Value) -> String {
    signed_in["user"]["id"].as_str().unwrap().to_owned()
}

async fn refresh(site: &Site, user: &str) -> String {
    let (status, answer) = site.post(&format!("/v1/users/{user}/refresh"), &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    answer["refresh"].as_str().unwrap().to_owned()
}

fn company(plain: &Plain, account: &str, company: &str) {
    let mut profile = profile("ada");
    profile["company"] = company.into();
    plain.set(account, profile);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_is_asked_about_once_in_a_while() {
    let (plain, server, site) = opened("").await;
    plain.set("7", profile("ada"));
    let user = id(&sign_in(&site, "7").await.unwrap());
    assert_eq!(refresh(&site, &user).await, "recent", "it came a moment ago");
    company(&plain, "7", "New");
    site.advance(SignedDuration::from_mins(6));
    server.take();
    assert_eq!(refresh(&site, &user).await, "asked");
    eventually(async || site.refreshed("done").await == 1).await;
    assert_eq!(site.get(&format!("/v1/users/{user}")).await["fields"]["company"]["value"], "New");
    eventually(async || refresh(&site, &user).await == "recent").await;
    // The access token had ended, so one request for another, and one for the profile.
    let asked: Vec<String> = server.take().into_iter().map(|asked| asked.path).collect();
    assert_eq!(asked, ["/token", "/me"]);
    // Nothing new makes no run.
    let runs = site.get("/v1/runs").await["items"].as_array().unwrap().len();
    site.advance(SignedDuration::from_mins(6));
    assert_eq!(refresh(&site, &user).await, "asked");
    eventually(async || site.refreshed("unchanged").await == 1).await;
    assert_eq!(site.get("/v1/runs").await["items"].as_array().unwrap().len(), runs);
    let unknown = site.post("/v1/users/00000000-0000-8000-8000-000000000000/refresh", &json!({})).await;
    assert_eq!(unknown.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_who_come_at_once_cost_no_more_than_the_budget() {
    let budget = "\n[[source.id.budget]]\nrequests = 20\nper = \"1m\"\n";
    // Nobody is signed in by requests: that would use the budget up.
    let (plain, server, site) = opened("").await;
    let mut users = Vec::new();
    for number in 0..1_000 {
        let account = format!("{number}");
        plain.set(&account, profile(&format!("p{number}")));
    }
    let handed = futures_util::future::join_all((0..1_000).map(|number| {
        let (plain, site) = (&plain, &site);
        async move { site.post("/v1/profiles/id", &plain.tokens(&number.to_string())).await }
    }));
    for (status, answer) in handed.await {
        assert_eq!(status, 200, "{answer}");
        users.push(answer["user"]["id"].as_str().unwrap().to_owned());
    }
    let runs = site.appliance.app.runner.runs(None, 10_000, |_| true).unwrap().len();
    assert!(runs < 300, "a thousand sign-ins gathered into {runs} runs");

    // The same people, with a budget.
    let base = site.base.clone();
    let config = server
        .config(&format!("{}{budget}", super::plain::CONFIG))
        .replace("CALLBACK", &format!("{base}/v1/login/id/callback"));
    let appliance = site.shut().reopen(&config).await;
    let (listener, _) = super::site::place().await;
    let site = Site::serve(listener, appliance);
    site.advance(SignedDuration::from_hours(1));
    server.take();
    let began = Instant::now();
    let answers = futures_util::future::join_all(users.iter().map(|user| {
        let site = &site;
        async move {
            let began = Instant::now();
            let answer = refresh(site, user).await;
            (answer, began.elapsed())
        }
    }));
    let answers = answers.await;
    assert!(answers.iter().all(|(answer, _)| answer == "asked"), "everybody is seen to");
    let longest = answers.iter().map(|(_, took)| *took).max().unwrap();
    println!("1,000 answers in {:?}, the longest after {longest:?}", began.elapsed());
    // Whoever comes again meanwhile is not asked about twice.
    assert_eq!(refresh(&site, &users[999]).await, "asked");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let asked = server.asked().len();
    assert!((1..=20).contains(&asked), "{asked} requests, and 20 a minute are allowed");
    // Everybody's answer came from the store while the provider was asked no more.
    assert_eq!(site.get(&format!("/v1/users/{}", users[0])).await["fields"]["company"]["value"], "Engines");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_is_stored_before_it_is_used() {
    let (plain, server, site) = opened("").await;
    plain.set("7", profile("ada"));
    let user = id(&sign_in(&site, "7").await.unwrap());
    // Each refresh token is good once: were one lost, the next day would mark them.
    for day in 1..=3_u64 {
        site.advance(SignedDuration::from_hours(25));
        // The provider breaks off just after it gave a new one.
        company(&plain, "7", &format!("Day {day}"));
        plain.0.lock().unwrap().profiles.get_mut("7").unwrap()["mail"] = Value::Null;
        site.appliance.app.logins.refresh_due().unwrap();
        eventually(async || site.refreshed("rejected").await == day).await;
        company(&plain, "7", &format!("Day {day}"));
        site.advance(SignedDuration::from_hours(2));
        site.appliance.app.logins.refresh_due().unwrap();
        eventually(async || site.refreshed("done").await == day).await;
        assert_eq!(site.get(&format!("/v1/users/{user}")).await["fields"]["company"]["value"], format!("Day {day}"));
    }
    assert_eq!(site.refreshed("sign_in_again").await, 0);
    assert!(server.asked().iter().filter(|asked| asked.path == "/token").count() >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_profile_is_asked_for_after_the_final_sync() {
    let list = r#"
[source.crm]
base_url = "URL"
request = { path = "list" }
records = { select = ".[]" }
mapping = { external_id = ".id", email = ".mail", first_name = ".first", last_name = ".last" }
[event.summit]
feed = [{ source = "crm" }]
schedule = { kind = "hourly", final_sync = "2026-03-02T08:00:00Z" }
"#;
    let plain = Plain::default();
    let provider = plain.clone();
    let ticket = json!([{ "id": "t1", "mail": "ada@x.org", "first": "Ada", "last": "Byron" }]);
    let server = crate::support::Scripted::start(move |asked, _| match asked.path.as_str() {
        "/list" => crate::support::json(&ticket),
        _ => provider.answered(asked),
    });
    let server = server.await;
    let (listener, _) = super::site::place().await;
    let site = Site::open(listener, &server.config(&format!("{}{list}", super::plain::CONFIG))).await;
    plain.set("7", profile("ada"));
    plain.set("8", profile("eve"));
    site.appliance.sync("summit", "crm", false, false).await;
    let (ada, eve) = (id(&sign_in(&site, "7").await.unwrap()), id(&sign_in(&site, "8").await.unwrap()));
    site.advance(SignedDuration::from_hours(30));
    assert_eq!(refresh(&site, &ada).await, "asked", "the final sync is to come");
    eventually(async || site.refreshed("unchanged").await == 1).await;
    site.appliance.sync("summit", "crm", false, false).await;
    site.advance(SignedDuration::from_hours(30));
    assert_eq!(refresh(&site, &ada).await, "over");
    assert_eq!(site.appliance.app.logins.refresh_due().unwrap(), 1, "of the two, she who attends nothing that is over");
    eventually(async || site.refreshed("unchanged").await == 2).await;
    assert_eq!(refresh(&site, &eve).await, "recent");
}
