//! schemathesis over the API's own description: with every scope and with no token, no answer that the description
//! does not have, and no failure of the server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::served::Served;

/// A failure comes again with the same one.
const SEED: &str = "20260301";

const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
    response_headers_conformance,response_schema_conformance,negative_data_rejection,missing_required_header,\
    unsupported_method,allow_header_conformance,use_after_free,ensure_resource_availability,ignored_auth";

/// Who asks, and how much of the API.
struct Caller {
    name: &'static str,
    /// Of its token; `local` is the command line's own token and `none` is no token.
    scopes: &'static str,
    /// Examples for each route.
    examples: &'static str,
    /// Tokens may be revoked, hence not its own.
    may_revoke: bool,
}

const fn caller(name: &'static str, scopes: &'static str, examples: &'static str) -> Caller {
    Caller { name, scopes, examples, may_revoke: true }
}

const CALLERS: [Caller; 8] = [
    caller("none", "none", "3"),
    caller("app", "app", "3"),
    caller("metrics", "metrics", "3"),
    caller("sync", "sync", "6"),
    caller("read", "read", "15"),
    Caller { may_revoke: false, ..caller("admin", "admin", "15") },
    Caller { may_revoke: false, ..caller("all", "read,sync,admin,app,metrics", "15") },
    caller("local", "local", "30"),
];

/// Where `tests/run` puts it.
fn program() -> PathBuf {
    let given = std::env::var_os("SCHEMATHESIS").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/schemathesis/bin/schemathesis"))
}

/// Things that exist, so that not every request ends at a 404.
async fn settings(served: &Served) -> String {
    let list = |path: &'static str, key: &'static str| async move {
        let page: Value = serde_json::from_str(&served.ask("GET", path).await.body).unwrap();
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|item| item[key].clone()).collect::<Vec<_>>()
    };
    let mut text = String::new();
    for (part, values) in [
        ("event", vec!["summit".into(), "made-here".into()]),
        ("source", vec!["demo".into()]),
        ("run", vec![1.into(), 2.into(), 3.into()]),
        ("user", list("/v1/users?limit=5", "id").await),
        ("group", list("/v1/groups", "key").await),
        ("id", list("/v1/tokens", "id").await),
    ] {
        assert!(!values.is_empty(), "there is no {part}");
        let values = serde_json::to_string(&values).unwrap();
        text.push_str(&format!(
            "[dictionaries.{part}]\nvalues = {values}\n\
             [parameters.\"path.{part}\"]\ndictionary = \"{part}\"\nprobability = 0.7\n"
        ));
    }
    text
}

async fn examine(caller: Caller) {
    let served = Served::start(200).await;
    for _ in 0..2 {
        assert_eq!(served.sync().await["outcome"], "done");
    }
    served.token("app").await;
    let token = match caller.scopes {
        "none" => None,
        "local" => Some(served.local_token()),
        scopes => Some(served.token(scopes).await),
    };
    let config = served.folder().join("schemathesis.toml");
    std::fs::write(&config, settings(&served).await).unwrap();
    let mut command = Command::new(program());
    command.arg("--config-file").arg(config).args(["run", &format!("http://{}/openapi.json", served.address)]);
    command.args(["--seed", SEED, "--checks", CHECKS, "--max-examples", caller.examples]);
    command.args(["--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--workers", "1"]);
    command.args(["--continue-on-failure", "--request-timeout", "30", "--no-color", "--warnings", "off"]);
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization: Bearer {token}")]);
    }
    if !caller.may_revoke {
        command.args(["--exclude-operation-id", "revoke_token"]);
    }
    command.current_dir(served.folder()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().expect("tests/run installs schemathesis"));
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "with the token '{}':\n{said}", caller.name);
    let count = said.lines().find(|line| line.contains(" generated, ")).unwrap_or_default();
    println!("{}: {}", caller.name, count.trim());
    let generated: u32 = count.trim().split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    assert!(generated > 500, "only {generated} requests:\n{said}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs schemathesis; tests/run runs it"]
async fn no_scope_gets_an_answer_that_the_description_does_not_have() {
    let mut examining = tokio::task::JoinSet::new();
    for caller in CALLERS {
        examining.spawn(examine(caller));
    }
    while let Some(examined) = examining.join_next().await {
        // What schemathesis says reads best as it says it.
        examined.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
    }
}
