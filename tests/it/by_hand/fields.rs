//! Who owns a field, who may edit it, and what a source does to one that is there.

use serde_json::{Value, json};

use super::world::{World, record};
use crate::support::Scripted;

fn of(value: &str, source: &str) -> (Value, Value) {
    (json!(value), json!(source))
}

fn local(value: &str) -> (Value, Value) {
    (json!(value), Value::Null)
}

const NONE: (Value, Value) = (Value::Null, Value::Null);

#[tokio::test]
async fn a_source_s_value_is_locked_and_the_answer_says_where_it_is_edited() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({"company": "Engines"}))]).await;
    let ada = world.id("ada").await;
    let before = world.user(&ada).await;
    assert_eq!(before["fields"]["company"]["owner"], json!({"source": "s", "run": 1, "at": "2026-03-01T08:01:00Z"}));
    assert_eq!(before["locked"], json!(["email", "first_name", "last_name", "company"]));

    let refused = world.patch(&ada, json!({"company": "Mills", "job_title": "Countess"})).await;
    assert_eq!(refused.problem(409), ("locked", vec![]));
    let url = "https://s.example/s-e/1";
    assert_eq!(refused.json["edit_url"], url);
    assert_eq!(refused.json["locked"], json!([{"field": "company", "source": "s", "edit_url": url}]));
    assert_eq!(world.user(&ada).await, before, "nothing of a refused edit is done");
    assert_eq!(world.patch(&ada, json!({"email": "countess@x.org"})).await.problem(409).0, "locked");

    world.patch(&ada, json!({"company": "Engines", "job_title": "Countess"})).await.good();
    world.bring("s-e", &[record(1, "ada", json!({"company": "Mills"}))]).await;
    assert_eq!(world.field(&ada, "company").await, of("Mills", "s"));
    assert_eq!(world.user(&ada).await["fields"]["company"]["owner"]["run"], 2);
    assert_eq!(world.field(&ada, "job_title").await, local("Countess"), "a sync leaves what no source maps");
}

#[tokio::test]
async fn an_edit_is_a_merge_patch_of_checked_values() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    let ada = world.id("ada").await;
    let body = json!({"title": "  Prof. ", "custom.langs": ["en", " fr "], "custom.age": 36, "custom.vip": true});
    let user = world.patch(&ada, body).await.good();
    let value = |name: &str| user["fields"][name]["value"].clone();
    assert_eq!([value("title"), value("custom.langs")], [json!("Prof."), json!(["en", "fr"])]);
    assert_eq!([value("custom.age"), value("custom.vip")], [json!(36), json!(true)]);
    let user = world.patch(&ada, json!({"title": null, "custom.age": " ", "custom.none": null})).await.good();
    let left: Vec<_> = user["fields"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(left, ["custom.langs", "custom.vip", "first_name", "last_name"]);
    assert_eq!(world.user(&ada).await, user);

    for (body, fields) in [
        (json!({"nickname": "A", "title": "Dr."}), vec!["nickname"]),
        (json!({"custom.Diet": 1}), vec!["custom.Diet"]),
        (json!({"email": "nobody", "x": 1}), vec!["email", "x"]),
        (json!({"email": null}), vec!["email"]),
        (json!({"first_name": null}), vec!["first_name"]),
        (json!({"title": {"a": 1}, "custom.b": [{}]}), vec!["title", "custom.b"]),
        (json!({"title": "a\u{0}b"}), vec!["title"]),
        (json!({"title": "x".repeat(1_000_000)}), vec!["title"]),
    ] {
        assert_eq!(world.patch(&ada, body).await.problem(422), ("invalid", fields));
    }
    assert_eq!(world.user(&ada).await, user);
    let many: serde_json::Map<_, _> = (0..300).map(|n| (format!("custom.f{n}"), json!(n))).collect();
    assert_eq!(world.patch(&ada, Value::Object(many)).await.problem(409).0, "conflict");
    assert_eq!(world.user(&ada).await, user);
    let nobody = "00000000-0000-8000-8000-000000000000";
    world.patch(nobody, json!({"title": "Dr."})).await.problem(404);
    let reader = world.ask("POST", "/v1/tokens", Some(&json!({"name": "r", "scopes": ["read", "sync"]}))).await.good();
    let reader = reader["token"].as_str().unwrap();
    world.ask_as(reader, "PATCH", &format!("/v1/users/{ada}"), Some(&json!({}))).await.problem(403);
}

#[tokio::test]
async fn if_empty_fills_if_new_fills_the_new_and_clear_blank_clears() {
    let world = World::new().await;
    let all = json!({"phone": "1", "biography": "B1", "country": "C1", "badge": "https://x.org/1.png"});
    world.bring("s-e", &[record(1, "ada", all), record(2, "bob", json!({}))]).await;
    let (ada, bob) = (world.id("ada").await, world.id("bob").await);
    assert_eq!(world.field(&ada, "phone").await, of("1", "s"), "what it filled is told");
    assert_eq!(world.user(&ada).await["locked"], json!(["email", "first_name", "last_name", "country"]));

    world.patch(&ada, json!({"phone": "2"})).await.good();
    world.patch(&bob, json!({"phone": "9"})).await.good();
    let all = json!({"phone": "3", "biography": "B3"});
    world.bring("s-e", &[record(1, "ada", all.clone()), record(2, "bob", all.clone())]).await;
    assert_eq!(world.field(&ada, "phone").await, local("2"));
    assert_eq!(world.field(&ada, "biography").await, of("B1", "s"), "only of somebody new");
    assert_eq!(world.field(&ada, "country").await, NONE, "the source says that it is blank");
    assert_eq!(world.user(&ada).await["attendances"][0]["badge_url"], Value::Null);
    assert_eq!(world.field(&bob, "phone").await, local("9"));
    assert_eq!(world.field(&bob, "biography").await, NONE);

    world.patch(&ada, json!({"phone": null})).await.good();
    let run = world.sync("s-e").await;
    assert_eq!(run.counts.unchanged, 2);
    let changed = json!({"phone": "4", "biography": "B3"});
    world.bring("s-e", &[record(1, "ada", changed), record(2, "bob", all)]).await;
    assert_eq!(world.field(&ada, "phone").await, of("4", "s"), "an empty field is filled when the record is mapped");
}

/// Without the rule a blank leaves the value, which is nobody's then.
#[tokio::test]
async fn a_blank_keeps_what_was_there_where_clear_blank_is_not_said() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({"company": "Engines"}))]).await;
    world.bring("s-e", &[record(1, "ada", json!({"country": "Iceland"}))]).await;
    let ada = world.id("ada").await;
    assert_eq!(world.field(&ada, "company").await, of("Engines", "s"));
    let world =
        world.reopened(|config| config.replacen("[source.s.field.country]", "[source.s.field.company]", 1)).await;
    world.sync("s-e").await;
    assert_eq!(world.field(&ada, "company").await, NONE, "a changed rule maps everybody anew");
}

#[tokio::test]
async fn a_protected_field_is_the_organiser_s_until_it_is_given_back() {
    let world = World::new().await;
    world
        .bring("s-e", &[record(1, "ada", json!({"company": "Engines"})), record(2, "bob", json!({"company": "B"}))])
        .await;
    let (ada, bob) = (world.id("ada").await, world.id("bob").await);
    let path = format!("/v1/users/{ada}/protected");
    let user = world.put(&path, json!({"fields": ["company"]})).await.good();
    assert_eq!(
        (&user["protected"], &user["locked"]),
        (&json!({"all": false, "fields": ["company"]}), &json!(["email", "first_name", "last_name"]))
    );
    assert_eq!(world.field(&ada, "company").await, local("Engines"), "the value stays");
    world.patch(&ada, json!({"company": "Mills"})).await.good();
    let records = [record(1, "ada", json!({"company": "Looms"})), record(2, "bob", json!({"company": "C"}))];
    world.bring("s-e", &records).await;
    assert_eq!(world.field(&ada, "company").await, local("Mills"));
    assert_eq!(world.field(&bob, "company").await, of("C", "s"), "others are not protected");

    world.put(&path, json!({"all": true})).await.good();
    let records = [record(1, "ada", json!({"first": "Augusta", "company": "Looms"})), records[1].clone()];
    world.bring("s-e", &records).await;
    assert_eq!(world.field(&ada, "first_name").await, local("ada"));
    assert_eq!(world.field(&ada, "company").await, local("Mills"));

    world.put(&path, json!({"fields": []})).await.good();
    assert_eq!(world.field(&ada, "company").await, local("Mills"), "until a sync reads the record");
    let run = world.sync("s-e").await;
    assert_eq!((run.counts.update, run.counts.unchanged), (1, 1), "the list is as it was");
    assert_eq!(world.field(&ada, "company").await, of("Looms", "s"));
    assert_eq!(world.field(&ada, "first_name").await, of("Augusta", "s"));
    assert_eq!(world.sync("s-e").await.counts.unchanged, 2);

    for (body, field) in [
        (json!({}), "fields"),
        (json!({"fields": [], "all": true}), "fields"),
        (json!({"fields": ["company", "email"]}), "fields[1]"),
        (json!({"field": []}), "field"),
    ] {
        assert_eq!(world.put(&path, body).await.problem(422).1, [field]);
    }
}

/// A list that is one answer is asked for on condition; a protection that is lifted asks for it again.
#[tokio::test]
async fn a_field_is_given_back_even_where_the_source_says_not_modified() {
    let source = Scripted::start(|asked, _| {
        use axum::response::IntoResponse;
        if asked.header("if-none-match") == Some("\"1\"") {
            return axum::http::StatusCode::NOT_MODIFIED.into_response();
        }
        let list = json!({"items": [record(1, "ada", json!({"company": "Engines"}))]}).to_string();
        ([("content-type", "application/json"), ("etag", "\"1\"")], list).into_response()
    })
    .await;
    let url = format!("http://{}", source.address);
    let world = World::with(|config| {
        config
            .lines()
            .map(
                |line| {
                    if line.starts_with("base_url") { format!("base_url = \"{url}\"\n") } else { format!("{line}\n") }
                },
            )
            .collect()
    })
    .await;
    world.sync("s-e").await;
    let ada = world.id("ada").await;
    let path = format!("/v1/users/{ada}/protected");
    world.put(&path, json!({"fields": ["company"]})).await.good();
    world.sync("s-e").await;
    assert_eq!(world.field(&ada, "company").await, local("Engines"));
    world.put(&path, json!({"fields": []})).await.good();
    world.sync("s-e").await;
    assert_eq!(world.field(&ada, "company").await, of("Engines", "s"));
}

#[tokio::test]
async fn a_field_that_is_mapped_no_longer_is_released() {
    let world = World::new().await;
    let records = [record(1, "ada", json!({"company": "Engines"}))];
    world.bring("s-e", &records).await;
    let ada = world.id("ada").await;
    let world = world.reopened(|config| config.replacen("company = \".company\"\n", "", 1)).await;
    world.patch(&ada, json!({"company": "Mills"})).await.problem(409);
    world.sync("s-e").await;
    assert_eq!(world.field(&ada, "company").await, local("Engines"), "the value stays, and is nobody's");
    world.patch(&ada, json!({"company": "Mills"})).await.good();
    world.sync("s-e").await;
    assert_eq!(world.field(&ada, "company").await, local("Mills"));
}

/// Whom a source deletes and an organiser has added lives on without registrations: the email is nobody's.
#[tokio::test]
async fn an_email_that_no_source_sets_can_be_edited_and_stays_unique() {
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({})), record(2, "bob", json!({}))]).await;
    let (ada, bob) = (world.id("ada").await, world.id("bob").await);
    world.put(&format!("/v1/events/f/attendees/{ada}"), json!({})).await.good();
    let run = world.bring("s-e", &[json!({"id": 1, "erase": true}), record(2, "bob", json!({}))]).await;
    assert_eq!(run.counts.delete, 0);
    let user = world.user(&ada).await;
    assert_eq!((&user["email"]["owner"], &user["registrations"]), (&Value::Null, &json!([])));
    assert_eq!(user["fields"], json!({}), "what the source brought is gone");
    world.patch(&ada, json!({"first_name": "Ada", "last_name": "Lovelace"})).await.good();

    assert_eq!(world.patch(&ada, json!({"email": "BOB@x.org "})).await.problem(409).0, "email-taken");
    world.patch(&ada, json!({"email": "Countess@x.org"})).await.good();
    assert_eq!(world.id("countess").await, ada);
    let body = json!({"email": "ada@x.org"});
    assert_eq!(world.ask("POST", "/v1/users/lookup", Some(&body)).await.status, 404);
    world.bring("s-e", &[record(3, "countess", json!({})), record(2, "bob", json!({}))]).await;
    assert_eq!((world.id("countess").await, world.id("bob").await), (ada, bob), "a record under it is theirs");
}
