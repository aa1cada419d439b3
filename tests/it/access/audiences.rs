//! Audiences: sizes, lines, and readers who stall.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use rollcall::http;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use super::crowd::Crowd;
use crate::by_hand::world::{World, record};

/// The size of an audience, and the emails of its lines, which must be as many.
pub async fn audience(world: &World, query: &Value) -> Vec<String> {
    let size = world.ask("POST", "/v1/audiences/size", Some(query)).await.good()["people"].as_u64().unwrap();
    let lines = lines(world, query).await;
    assert_eq!(lines.len() as u64, size, "{query}");
    lines.into_iter().map(|line| line["email"].as_str().unwrap().to_owned()).collect()
}

async fn lines(world: &World, query: &Value) -> Vec<Value> {
    let token = world.appliance.app.local_token.expose_secret().to_owned();
    let request = Request::post("/v1/audiences").header("authorization", format!("Bearer {token}"));
    let request = request.header("content-type", "application/json").body(Body::from(query.to_string())).unwrap();
    let Ok(answer) = http::router(&world.appliance.app).oneshot(request).await;
    assert_eq!(
        (answer.status(), &answer.headers()["content-type"]),
        (200.try_into().unwrap(), &"application/x-ndjson".parse().unwrap())
    );
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
    std::str::from_utf8(&bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn conditions_meet_in_all_any_and_none() {
    let world = World::new().await;
    let of = |id, name, country: &str, groups: Value| record(id, name, json!({"country": country, "groups": groups}));
    let (ada, bob) = (of(1, "ada", "DE", json!(["VIP"])), of(2, "bob", "FR", json!(["VIP", "Press"])));
    let (cyd, dan) = (of(3, "cyd", "DE", json!([])), of(4, "dan", "DE", json!([])));
    world.bring("s-e", &[ada.clone(), bob.clone(), cyd.clone(), dan]).await;
    world.bring("s-e", &[ada, bob, cyd, record(4, "dan", json!({"status": "cancelled", "country": "DE"}))]).await;
    world.bring("s-f", &[of(5, "cyd", "DE", json!(["Press"]))]).await;
    let (group, place) = (|name: &str| json!({"group": name}), |event: &str| json!({"event": event}));
    for (query, expected) in [
        (json!({"all": [group("vip")]}), &["ada", "bob"][..]),
        (json!({"all": [group("Vip"), group("press")]}), &["bob"]),
        (json!({"any": [group("vip"), group("press")]}), &["ada", "bob", "cyd"]),
        (json!({"any": [group("vip"), group("press")], "none": [group("vip")]}), &["cyd"]),
        (json!({"all": [{"group": "press", "event": "e"}]}), &["bob"]),
        (json!({"all": [{"group": "press", "event": "f"}]}), &["cyd"]),
        (json!({"all": [place("e")]}), &["ada", "bob", "cyd"]),
        (json!({"all": [place("e"), place("f")]}), &["cyd"]),
        (json!({"all": [place("e")], "none": [place("f")]}), &["ada", "bob"]),
        (json!({"all": [{"event": "e", "state": "inactive"}]}), &["dan"]),
        (json!({"all": [{"event": "e", "state": "all"}, {"country": "de"}]}), &["ada", "cyd", "dan"]),
        (json!({"all": [place("e")], "none": [{"country": "de"}]}), &["bob"]),
        (json!({"any": [{"country": "fr"}, place("f")]}), &["bob", "cyd"]),
        (json!({"none": [group("vip")]}), &["cyd", "dan"]),
        (json!({"all": [{"account": true}]}), &[]),
        (json!({"all": [{"account": false}]}), &["ada", "bob", "cyd", "dan"]),
        (json!({"all": [{"event": "e", "access": false, "invitation": "none"}]}), &["ada", "bob", "cyd"]),
        (json!({"all": [group("nobody")]}), &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|name| format!("{name}@x.org")).collect();
        assert_eq!(audience(&world, &query).await, expected, "{query}");
    }
    let line = &lines(&world, &json!({"all": [group("vip")]})).await[0];
    assert_eq!(*line, json!({"user": world.id("ada").await, "email": "ada@x.org"}));
}

#[tokio::test]
async fn faulty_queries_are_named() {
    let world = World::new().await;
    let many: Vec<_> = (0..101).map(|n| json!({"group": n.to_string()})).collect();
    for (query, field) in [
        (json!({}), "all"),
        (json!({"any": many}), "all"),
        (json!({"some": []}), "some"),
        (json!({"all": [{}]}), "all[0]"),
        (json!({"all": [{"group": "a", "country": "de"}]}), "all[0]"),
        (json!({"all": [{"group": "a"}, {"group": "a", "event": "e", "state": "all"}]}), "all[1]"),
        (json!({"none": [{"state": "active"}]}), "none[0]"),
        (json!({"any": [{"event": "nowhere"}]}), "any[0].event"),
        (json!({"any": [{"country": " "}]}), "any[0].country"),
        (json!({"any": [{"event": "e", "registration_type": ""}]}), "any[0].registration_type"),
        (json!({"any": [{"group": " "}]}), "any[0].group"),
        (json!({"any": [{"grp": "a"}]}), "any[0].grp"),
    ] {
        for path in ["/v1/audiences", "/v1/audiences/size"] {
            assert_eq!(world.ask("POST", path, Some(&query)).await.problem(422).1, [field], "{query}");
        }
    }
}

/// Whoever asks for very many and then takes nothing keeps nobody waiting, neither readers nor the writer.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_stalls_holds_nothing() {
    let world = World::new().await;
    let crowd = Crowd::new(3, 20_000);
    crowd.enter(&world).await;
    let app = &world.appliance.app;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(http::serve(listener, http::router(app), std::future::pending()));
    let body = json!({"none": [{"group": "nobody"}]}).to_string();
    let request = format!(
        "POST /v1/audiences HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        app.local_token.expose_secret(),
        body.len()
    );
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut begun = [0; 12];
        connection.read_exact(&mut begun).await.unwrap();
        assert_eq!(&begun, b"HTTP/1.1 200");
        stalled.push(connection);
    }
    // Meanwhile people are read and written.
    let work = async {
        world.bring("t-e", &[record(1, "zoe", json!({}))]).await;
        world.put("/v1/groups/late", json!({})).await.good();
        assert_eq!(audience(&world, &json!({"all": [{"event": "e"}]})).await.last().unwrap(), "zoe@x.org");
    };
    tokio::time::timeout(Duration::from_secs(60), work).await.expect("nobody waits for those who stall");
    // And who stalled gets everything that was there at the beginning.
    let mut text = String::new();
    stalled.pop().unwrap().read_to_string(&mut text).await.unwrap();
    let emails = text.lines().filter(|line| line.contains("@x.org")).count();
    assert!(emails >= 20_000, "{emails} people");
    assert!(text.ends_with("0\r\n\r\n"), "whole");
}
