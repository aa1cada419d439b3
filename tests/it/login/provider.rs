//! The real provider: npm's `oidc-provider`, started for one test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::browser::client;

pub struct Provider {
    process: Child,
    pub issuer: String,
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One account of the provider's.
pub fn account(name: &str) -> Value {
    json!({
        "email": format!("{name}@example.org"), "email_verified": true,
        "given_name": name, "family_name": "Lovelace", "company": "Engines", "groups": ["Speakers"],
    })
}

impl Provider {
    /// `settings`: as the script takes them.
    pub fn start(settings: &Value) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut command = Command::new("node");
        command.arg(root.join("tests/peers/oidc/provider.mjs")).arg(settings.to_string());
        let command = command.env("OIDC", root.join("target/oidc")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("node: {error}; run tests/run"));
        let mut said = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut said).unwrap();
        let said: Value = serde_json::from_str(&said).expect("the provider starts; run tests/run");
        Self { process, issuer: said["issuer"].as_str().unwrap().to_owned() }
    }

    async fn control(&self, what: &str, given: &Value) -> Value {
        let url = format!("{}/control/{what}", self.issuer);
        let answer = client().post(url).body(given.to_string()).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    pub async fn set(&self, account: &str, claims: Value) {
        self.control(&format!("accounts/{account}"), &claims).await;
    }

    /// Takes back all that was granted about an account.
    pub async fn revoke(&self, account: &str) {
        self.control(&format!("revoke/{account}"), &json!({})).await;
    }

    /// Its clock is so far ahead of the time of day.
    pub async fn be_ahead(&self, seconds: i64) {
        self.control("clock", &json!({ "ahead_s": seconds })).await;
    }

    pub async fn fail(&self, path: &str, status: u16, times: u32) {
        self.control("fail", &json!({ "path": path, "status": status, "times": times })).await;
    }

    /// Tokens of people as if they had signed in with a client.
    pub async fn grants(&self, client: &str, logins: &[String]) -> Vec<Value> {
        let made = self.control("grants", &json!({ "client": client, "logins": logins })).await;
        made.as_array().unwrap().clone()
    }

    /// How often an address was asked.
    pub async fn asked(&self, path: &str) -> usize {
        let log = self.control("log", &json!({})).await;
        log.as_array().unwrap().iter().filter(|entry| entry["path"] == path).count()
    }
}
