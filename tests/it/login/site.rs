//! Rollcall as browsers and an app see it: served on an address of its own.

use std::net::SocketAddr;

use jiff::SignedDuration;
use reqwest::Method;
use rollcall::http;
use rollcall::model::UserId;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::browser::{Browser, Landing, client};
use crate::support::Appliance;

/// Where people are to end up; nobody listens there.
pub const APP: &str = "https://app.example/signed-in";

pub struct Site {
    pub appliance: Appliance,
    pub base: String,
    stop: Option<oneshot::Sender<()>>,
}

/// An address to listen on, which the provider must know before.
pub async fn place() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Where the provider sends browsers back to.
pub fn callback(address: SocketAddr) -> String {
    format!("http://{address}/v1/login/id/callback")
}

impl Site {
    /// Serves a configuration; `CALLBACK` in it is the address of the callback.
    pub async fn open(listener: TcpListener, config: &str) -> Self {
        let address = listener.local_addr().unwrap();
        let appliance = Appliance::open(&config.replace("CALLBACK", &callback(address))).await;
        Self::serve(listener, appliance)
    }

    pub fn serve(listener: TcpListener, appliance: Appliance) -> Self {
        let base = format!("http://{}", listener.local_addr().unwrap());
        let router = http::router(&appliance.app);
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(http::serve(listener, router, async move { drop(stopped.await) }));
        Self { appliance, base, stop: Some(stop) }
    }

    /// Lets nobody in any more; what is open ends.
    pub fn shut(mut self) -> Appliance {
        drop(self.stop.take());
        self.appliance
    }

    /// The address by which a sign-in begins.
    pub fn login(&self) -> String {
        format!("{}/v1/login/id?state=of-the-app", self.base)
    }

    /// As the app: with a token.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let token = self.appliance.app.local_token.expose_secret();
        let mut request = client().request(method, format!("{}{path}", self.base)).bearer_auth(token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.1
    }

    /// Whom a browser that landed at the app stands for.
    pub async fn exchange(&self, landing: &Landing) -> (u16, Value) {
        assert!(landing.url.as_str().starts_with(APP), "{} {}: {}", landing.url, landing.status, landing.text);
        assert_eq!(landing.parameter("state").as_deref(), Some("of-the-app"), "{}", landing.url);
        let code = landing.parameter("code").unwrap_or_else(|| panic!("no code: {}", landing.url));
        self.post("/v1/login/exchange", &serde_json::json!({ "code": code })).await
    }

    /// Signs somebody in from beginning to end.
    pub async fn sign_in(&self, login: &str) -> Value {
        let mut browser = Browser::default();
        let page = browser.go(&self.login(), APP).await;
        let landing = browser.sign_in(&page, login, APP).await;
        let (status, signed_in) = self.exchange(&landing).await;
        assert_eq!(status, 200, "{signed_in}");
        signed_in
    }

    pub async fn metric(&self, name: &str) -> u64 {
        let Value::String(text) = self.get("/metrics").await else { panic!("no metrics") };
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name}"));
        line.trim().parse().unwrap()
    }

    /// So many sign-ins ended so.
    pub async fn ended(&self, outcome: &str) -> u64 {
        self.metric(&format!("rollcall_sign_ins_total{{source=\"id\",outcome=\"{outcome}\"}}")).await
    }

    pub async fn refreshed(&self, outcome: &str) -> u64 {
        self.metric(&format!("rollcall_profile_refreshes_total{{source=\"id\",outcome=\"{outcome}\"}}")).await
    }

    /// Time goes by here.
    pub fn advance(&self, by: SignedDuration) {
        self.appliance.clock.advance(by);
    }

    /// Until nobody's profile is being asked for.
    pub async fn settle(&self, user: &Value) {
        let user = UserId::parse(user.as_str().unwrap()).unwrap();
        while self.appliance.app.logins.is_refreshing(user) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}
