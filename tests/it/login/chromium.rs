//! The whole way once in a real browser: headless Chromium, driven by chromedriver's own protocol (WebDriver).

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::browser::client;
use super::provider::account;
use super::story::{CONFIG, opened};

struct Chromium {
    driver: Child,
    url: String,
    session: String,
    _profile: tempfile::TempDir,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // chromedriver takes its browser with it.
        let _ = Command::new("pkill").args(["-P", &self.driver.id().to_string()]).status();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// An element, as WebDriver names it.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Chromium {
    async fn start() -> Self {
        let port = crate::guide::free_port();
        let mut command = Command::new("chromedriver");
        let command = command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = command.spawn().unwrap_or_else(|error| panic!("chromedriver: {error}; run tests/run"));
        let profile = tempfile::tempdir().unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let mut chromium = Self { driver, url, session: String::new(), _profile: profile };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            &format!("--user-data-dir={}", chromium._profile.path().display()),
        ]
        .map(str::to_owned);
        let capabilities =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": { "args": arguments } } } });
        let patience = Instant::now() + Duration::from_secs(60);
        let begun = loop {
            if let Some(begun) = chromium.try_ask(Method::POST, "/session", &capabilities).await {
                break begun;
            }
            assert!(Instant::now() < patience, "chromedriver does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        begun["sessionId"].as_str().unwrap_or_else(|| panic!("{begun}")).clone_into(&mut chromium.session);
        chromium
    }

    async fn try_ask(&self, method: Method, path: &str, body: &Value) -> Option<Value> {
        let mut request = client().request(method.clone(), format!("{}{path}", self.url));
        if method == Method::POST {
            request = request.body(body.to_string());
        }
        let text = request.send().await.ok()?.text().await.ok()?;
        Some(serde_json::from_str::<Value>(&text).ok()?["value"].clone())
    }

    async fn ask(&self, method: Method, what: &str, body: &Value) -> Value {
        let path = format!("/session/{}/{what}", self.session);
        let answer = self.try_ask(method, &path, body).await.expect("chromedriver answers");
        assert!(answer["error"].is_null(), "{what}: {answer}");
        answer
    }

    async fn open(&self, url: &str) {
        self.ask(Method::POST, "url", &json!({ "url": url })).await;
    }

    async fn element(&self, css: &str) -> String {
        let found = self.ask(Method::POST, "element", &json!({ "using": "css selector", "value": css })).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn url(&self) -> url::Url {
        self.ask(Method::GET, "url", &Value::Null).await.as_str().unwrap().parse().unwrap()
    }
}

/// The app: a page that answers everything.
async fn app() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes).await;
            let page =
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 7\r\nconnection: close\r\n\r\nWelcome";
            let _ = stream.write_all(page.as_bytes()).await;
        }
    });
    format!("http://{address}/signed-in")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs node, oidc-provider and chromium; tests/run runs it"]
async fn somebody_signs_in_with_a_real_browser() {
    let app = app().await;
    let config = CONFIG.replace("https://app.example/signed-in", &app);
    let (_provider, site) = opened(&json!({ "ada": account("Ada") }), &json!({}), &config).await;
    let chromium = Chromium::start().await;
    chromium.open(&site.login()).await;
    let login = chromium.element("#login").await;
    chromium.ask(Method::POST, &format!("element/{login}/value"), &json!({ "text": "ada" })).await;
    let button = chromium.element("#sign-in").await;
    chromium.ask(Method::POST, &format!("element/{button}/click"), &json!({})).await;
    let patience = Instant::now() + Duration::from_secs(20);
    let landed = loop {
        let url = chromium.url().await;
        if url.as_str().starts_with(&app) {
            break url;
        }
        assert!(Instant::now() < patience, "it is at {url}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let parameter = |name: &str| landed.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!(parameter("state").as_deref(), Some("of-the-app"));
    let (status, signed_in) = site.post("/v1/login/exchange", &json!({ "code": parameter("code").unwrap() })).await;
    assert_eq!((status, &signed_in["user"]["email"]["value"]), (200, &json!("Ada@example.org")));
    let cookies = chromium.ask(Method::GET, "cookie", &Value::Null).await;
    // A browser tells cookies apart by host alone, so those of the provider are shown here, too.
    let names: Vec<_> = cookies.as_array().unwrap().iter().filter_map(|cookie| cookie["name"].as_str()).collect();
    assert!(names.contains(&"_session") && !names.iter().any(|name| name.starts_with("rollcall")), "{names:?}");
}
