//! The description of the API is the API.

use std::collections::BTreeSet;

use rollcall::http::routes;
use serde_json::Value;

use super::fixture::Fixture;

async fn document() -> Value {
    let answer = Fixture::new(1).await.get("/openapi.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    answer.json()
}

#[tokio::test]
async fn it_lists_exactly_the_routes_with_their_scopes() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut described = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scope = operation["security"][0]["token"][0].as_str().unwrap_or("").to_owned();
            assert!(operation["security"].is_array(), "{method} {path} says nothing of tokens");
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
            assert!(ids.insert(operation["operationId"].to_string()), "{} twice", operation["operationId"]);
            described.insert((method.to_uppercase(), path.clone(), scope));
        }
    }
    let scope = |scope: Option<rollcall::http::Scope>| scope.map_or("", rollcall::http::Scope::as_str).to_owned();
    let real = routes().into_iter().map(|r| (r.method.to_string(), r.path.to_owned(), scope(r.scope)));
    assert_eq!(described, real.collect());
    assert_eq!(document["components"]["securitySchemes"]["token"]["scheme"], "bearer");
}

#[tokio::test]
async fn every_problem_has_its_shape_and_every_reference_its_end() {
    let document = document().await;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_problem = status.starts_with(['4', '5']) && path != "/readyz";
                let schema = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert!(
                    !is_problem || schema == "#/components/schemas/Problem",
                    "{method} {path} {status}: {response}"
                );
            }
        }
    }
    let mut references = BTreeSet::new();
    collect(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            references.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| collect(member, references));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}

/// A `default` answer would make any answer a described one.
#[tokio::test]
async fn every_answer_stands_alone_and_every_input_says_what_it_may_be() {
    let document = document().await;
    let body = |path: &str, method: &str| {
        let schema = &document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let schema = document.pointer(schema.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{path}");
        schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(body("/v1/tokens", "post"), ["name", "scopes"]);
    let settings = ["access", "ends_at", "feeds", "links", "schedule", "starts_at", "title", "zone"];
    assert_eq!(body("/v1/events/{event}", "put"), settings);
    assert_eq!(body("/v1/users/lookup", "post"), ["email", "event", "external_id", "source"]);
    let settings = &document["components"]["schemas"]["PreviewSettings"];
    assert_eq!(settings["additionalProperties"], false, "{settings}");
    assert_eq!(settings["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), ["mapping", "params", "source"]);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let answers: Vec<_> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
            let guarded = !operation["security"].as_array().unwrap().is_empty();
            let expected: &[_] = if guarded { &["400", "401", "403", "413", "500", "503"] } else { &["413"] };
            assert!(expected.iter().all(|status| answers.contains(status)), "{method} {path}: {answers:?}");
            assert!(!answers.contains(&"default"), "{method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let schema = &parameter["schema"];
                let name = parameter["name"].as_str().unwrap();
                assert!(!matches!(name, "event" | "source") || schema["pattern"].is_string(), "{path} {parameter}");
                assert!(name != "user" || schema["format"] == "uuid", "{path} {parameter}");
            }
        }
    }
}
