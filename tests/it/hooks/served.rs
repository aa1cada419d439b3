//! The real server: what it says of hooks, and what becomes of them when it stops.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::system::signature;
use crate::support::{Installation, Program, SOURCE_TOKEN, Scripted, json as answer, until};

async fn post(program: &Program, path: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(program.caller().unwrap().address).await.unwrap();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_is_nowhere_and_what_is_pending_at_a_stop_is_said_by_number() {
    let list = json!([{"email": "ada@x.org", "first": "Ada", "last": "Lovelace"}]);
    let server = Scripted::start(move |_, _| answer(&list)).await;
    let source = |name: &str, hook: &str| {
        format!(
            "[source.{name}]\nbase_url = \"URL\"\nrequest = {{ path = \"people\" }}\nrecords = {{ select = \".[]\" }}\n\
             mapping = {{ email = \".email\", first_name = \".first\", last_name = \".last\" }}\n\
             [source.{name}.hook]\n{hook}\nmin_interval = \"1h\"\n"
        )
    };
    let path = source("path", "path_secret = { env = \"SOURCE_TOKEN\" }");
    let signed = source("signed", "secret = { env = \"SOURCE_TOKEN\" }\nsignature_header = \"X-Sign\"");
    let events = "[event.e]\nfeed = [{ source = \"path\" }, { source = \"signed\" }]\n[log]\nformat = \"json\"\nlevel = \"trace\"\n";
    let installation = Installation::new(&server.config(&format!("{path}{signed}{events}")));
    let mut program = installation.start(&["serve", "--config", "rollcall.toml"]);
    program.serves().await;

    let mut answers = String::new();
    for (path, headers, body, status) in [
        (format!("/v1/sources/path/hook/{SOURCE_TOKEN}"), String::new(), "{\"n\": 1}", "202"),
        (format!("/v1/sources/path/hook/{SOURCE_TOKEN}"), String::new(), "nope", "400"),
        (format!("/v1/sources/path/hook/{SOURCE_TOKEN}x"), String::new(), "{}", "401"),
        (format!("/v1/sources/path/hook/{SOURCE_TOKEN}/x"), String::new(), "{}", "404"),
        (format!("/v1/sources/nothing/hook/{SOURCE_TOKEN}"), String::new(), "{}", "404"),
        ("/v1/sources/signed/hook".into(), format!("x-sign: {}\r\n", signature("{}")), "{}", "202"),
        ("/v1/sources/signed/hook".into(), format!("x-sign: {}\r\n", signature("[]")), "{}", "401"),
    ] {
        let text = post(&program, &path, &headers, body).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {text}");
        answers.push_str(&text);
    }
    until("both were synced", async || {
        let runs = program.get("/v1/runs").await.unwrap();
        let runs = runs["items"].as_array().unwrap().clone();
        assert!(runs.iter().all(|run| run["trigger"] == "hook"), "{runs:?}");
        runs.len() == 2 && runs.iter().all(|run| run["outcome"] == "done")
    })
    .await;
    // The hour is not over.
    let text = post(&program, &format!("/v1/sources/path/hook/{SOURCE_TOKEN}"), "", "{\"n\": 2}").await;
    assert!(text.starts_with("HTTP/1.1 202 "), "{text}");
    for path in ["/v1/sources", "/v1/runs", "/v1/status", "/v1/runs/1/log"] {
        answers.push_str(&program.get(path).await.unwrap().to_string());
    }
    assert!(program.get("/v1/sources/path").await.unwrap()["last_hook_at"].is_string());
    let token: serde_json::Value =
        serde_json::from_slice(&std::fs::read(installation.data().join("server.json")).unwrap()).unwrap();
    let mut stream = TcpStream::connect(program.caller().unwrap().address).await.unwrap();
    let request = format!(
        "GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nconnection: close\r\n\r\n",
        token["token"].as_str().unwrap()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut metrics = String::new();
    stream.read_to_string(&mut metrics).await.unwrap();
    for line in [
        r#"rollcall_hooks_total{source="path",outcome="accepted"} 2"#,
        r#"rollcall_hooks_total{source="path",outcome="malformed"} 1"#,
        r#"rollcall_hooks_total{source="signed",outcome="refused"} 1"#,
        r#"route="/v1/sources/{source}/hook/{secret}""#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    program.signal("-TERM");
    assert_eq!(program.code().await, Some(0), "{}", program.stderr());
    let log = program.stderr();
    let dropped: Vec<_> = log.lines().filter(|line| line.contains("hints dropped")).collect();
    assert_eq!(dropped.len(), 1, "{log}");
    assert!(dropped[0].contains(r#""source":"path""#) && dropped[0].contains(r#""everything":true"#), "{dropped:?}");
    for (what, text) in [("the log", &log), ("an answer", &answers), ("the metrics", &metrics)] {
        assert!(!text.contains(SOURCE_TOKEN), "{what} shows the secret:\n{text}");
    }
}
