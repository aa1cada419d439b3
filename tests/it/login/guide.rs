//! The guide to signing in, tried line by line against the real provider. The code that its reader copies from the browser's
//! address comes from a browser here, too.

use std::fs;

use serde_json::json;

use super::browser::Browser;
use super::provider::{Provider, account};
use crate::guide::{Practice, blocks, free_port, run, shows};

const LOGIN: &str = include_str!("../../../docs/login.md");
/// Where the guide has its reader copy a code from the browser.
const COPIED: &str = "the-code-from-the-address";

async fn code(begin: String, app: &str) -> String {
    let mut browser = Browser::default();
    let page = browser.go(&begin, app).await;
    let landing = browser.sign_in(&page, "ada", app).await;
    landing.parameter("code").unwrap_or_else(|| panic!("{} {}", landing.url, landing.text))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node, oidc-provider, curl and jq; tests/run runs it"]
async fn the_guide_to_signing_in_works_line_by_line() {
    let api = free_port();
    let callback = format!("http://127.0.0.1:{api}/v1/login/accounts/callback");
    let mut ada = account("Ada");
    ada["email"] = "ada@example.org".into();
    let provider = Provider::start(&json!({
        "accounts": { "ada": ada }, "redirect_uris": { "rollcall": [callback] }, "secret": "the-secret-of-the-client",
    }));
    let folder = tempfile::tempdir().unwrap();
    let here = |text: &str| text.replace("https://id.example", &provider.issuer).replace("7070", &api.to_string());
    let (mut exports, mut said, mut tried) = (String::new(), String::new(), 0);
    let mut server = None;
    for (language, text) in blocks(LOGIN) {
        match language {
            // http on this machine is allowed of all but the address that people edit their account at.
            "toml" => fs::write(folder.path().join("rollcall.toml"), here(text)).unwrap(),
            "sh" => {
                if text.contains("token create") {
                    server = Some(Practice::serve(folder.path(), api));
                }
                let mut text = here(text);
                if text.contains(COPIED) {
                    let begin = format!("http://127.0.0.1:{api}/v1/login/accounts");
                    text = text.replace(COPIED, &code(begin, "http://127.0.0.1:7072/").await);
                }
                said = run(folder.path(), &exports, &text);
                // What is made once is not made again for the next block.
                for line in text.lines().filter(|line| line.starts_with("export ")) {
                    let (name, _) = line["export ".len()..].split_once('=').unwrap();
                    let value = run(folder.path(), &exports, &format!("{line}\nprintf %s \"${name}\""));
                    exports.push_str(&format!("export {name}='{value}'\n"));
                }
                tried += 1;
            }
            "text" => assert!(shows(&here(text), &said), "the guide shows\n{text}\nbut it was\n{said}"),
            other => panic!("a block of {other:?} is neither tried nor shown"),
        }
    }
    assert!(tried >= 6 && server.is_some(), "the guide's lines were found");
}
