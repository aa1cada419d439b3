//! Tokens lie sealed, by keys that can be changed, and appear nowhere else.

use std::path::Path;

use jiff::SignedDuration;
use serde_json::json;

use super::plain::{opened, profile, sign_in};
use super::refreshing::eventually;

/// Does any file below a folder hold these bytes?
fn holds(folder: &Path, wanted: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().map(Result::unwrap).any(|entry| match entry.file_type().unwrap().is_dir() {
        true => holds(&entry.path(), wanted),
        false => std::fs::read(entry.path()).unwrap().windows(wanted.len()).any(|window| window == wanted),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_lies_in_clear() {
    let (plain, _server, site) = opened("").await;
    plain.set("7", profile("ada"));
    sign_in(&site, "7").await.unwrap();
    site.advance(SignedDuration::from_hours(25));
    site.appliance.app.logins.refresh_due().unwrap();
    eventually(async || site.refreshed("unchanged").await == 1).await;
    let metrics = site.get("/metrics").await.to_string();
    let folder = site.shut().close().await;
    assert!(holds(folder.path(), b"ada@x.org"), "the search finds what is there");
    for token in ["-of-7", "access-", "refresh-1", "code-of", crate::support::SOURCE_TOKEN] {
        assert!(!holds(folder.path(), token.as_bytes()), "{token}");
        assert!(!metrics.contains(token), "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_changes_and_everybody_stays_signed_in() {
    let (plain, _server, site) = opened("").await;
    for number in 0..5 {
        plain.set(&number.to_string(), profile(&format!("p{number}")));
        sign_in(&site, &number.to_string()).await.unwrap();
    }
    let key = || std::fs::read_to_string(site.appliance.folder().join("data/vault.key")).unwrap();
    let first = key();
    let (status, rotated) = site.post("/v1/keys/rotate", &json!({})).await;
    assert_eq!((status, rotated), (200, json!({ "key": 2, "sealed": 5, "unreadable": 0 })));
    assert_eq!(key().lines().count(), 1, "the former key is gone");
    assert!(!key().contains(first.split_whitespace().nth(1).unwrap()));
    site.advance(SignedDuration::from_hours(25));
    assert_eq!(site.appliance.app.logins.refresh_due().unwrap(), 5);
    eventually(async || site.refreshed("unchanged").await == 5).await;
    let audit = site.get("/v1/audit").await;
    assert_eq!(audit["items"][0]["action"], "key_rotated", "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_keys_that_was_interrupted_is_ended_at_the_next_start() {
    let (plain, server, site) = opened("").await;
    for number in 0..3 {
        plain.set(&number.to_string(), profile(&format!("p{number}")));
        sign_in(&site, &number.to_string()).await.unwrap();
    }
    let base = site.base.clone();
    let appliance = site.shut();
    let path = appliance.folder().join("data/vault.key");
    let folder = appliance.close().await;
    // As a kill leaves it just after the new key was written.
    let ring = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{ring}2 {}\n", "ab".repeat(32))).unwrap();
    let config = server.config(super::plain::CONFIG).replace("CALLBACK", &format!("{base}/v1/login/id/callback"));
    let appliance = crate::support::Appliance::open_at(folder, &config).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("2 ") && text.lines().count() == 1, "everything is sealed by the new key");
    let (listener, _) = super::site::place().await;
    let site = super::site::Site::serve(listener, appliance);
    site.advance(SignedDuration::from_hours(25));
    assert_eq!(site.appliance.app.logins.refresh_due().unwrap(), 3);
    eventually(async || site.refreshed("unchanged").await == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_changes_the_key_beside_a_server_and_without_one() {
    let installation = crate::support::Installation::new("[event.e]\n");
    let mut alone = installation.start(&["key", "rotate"]);
    assert_eq!(alone.code().await, Some(0), "{}", alone.stderr());
    assert_eq!(alone.stdout().trim(), "key 2 seals from now on; 0 values were sealed anew");
    let server = installation.start(&["serve"]);
    server.serves().await;
    let mut beside = installation.start(&["key", "rotate", "--json"]);
    assert_eq!(beside.code().await, Some(0), "{}", beside.stderr());
    let said: serde_json::Value = serde_json::from_str(&beside.stdout()).unwrap();
    assert_eq!(said, json!({ "key": 3, "sealed": 0, "unreadable": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_logs_everything_tells_no_token() {
    let plain = super::plain::Plain::default();
    plain.set("7", profile("ada"));
    let provider = plain.clone();
    let server = crate::support::Scripted::start(move |asked, _| provider.answered(asked)).await;
    // Where the callback is meant to be, nobody listens: the browser is sent to the server itself.
    let callback = "http://127.0.0.1:7070/v1/login/id/callback";
    let config = server.config(super::plain::CONFIG).replace("CALLBACK", callback);
    let log = "[log]\nformat = \"json\"\nlevel = \"trace\"\n";
    let installation = crate::support::Installation::new(&format!("{}{log}", config.replace("\"1d\"", "\"1m\"")));
    let mut program = installation.start(&["serve"]);
    program.serves().await;
    let base = format!("http://{}", program.caller().unwrap().address);
    let mut browser = super::browser::Browser::default();
    let there = browser.go(&format!("{base}/v1/login/id?state=of-the-app"), "http://127.0.0.1:").await;
    let state = there.parameter("state").unwrap();
    let back = format!("{base}/v1/login/id/callback?state={state}&code=code-of-7");
    let landing = browser.go(&back, super::site::APP).await;
    let code = landing.parameter("code").unwrap_or_else(|| panic!("{}", landing.url));
    // Some are refused, which is told in other words.
    for url in [back.as_str(), &format!("{base}/v1/login/id/callback?state=x&code=code-of-7")] {
        assert_eq!(browser.go(url, super::site::APP).await.status, 400);
    }
    program.signal("-TERM");
    assert_eq!(program.code().await, Some(0), "{}", program.stderr());
    let logged = program.stdout() + &program.stderr();
    assert!(logged.contains("a sign-in came to nothing"), "the log is read");
    for token in ["-of-7", "refresh-", &code, &state, crate::support::SOURCE_TOKEN] {
        assert!(!logged.contains(token), "{token} is in the log");
        assert!(!holds(&installation.data(), token.as_bytes()), "{token} is in the data directory");
    }
}
