//! The API as the command line asks it: of the running server, or of a router in this process.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tower::ServiceExt;

use super::error::CliError;
use super::serve;
use crate::app::{App, Beacon};
use crate::config::{Config, percent_encode};
use crate::http;
use crate::limits::LIST_LIMIT_MAX;
use crate::sync::Stopping;

/// Longest silence of a server on this machine.
const TIMEOUT: Duration = Duration::from_secs(60);

pub struct Client {
    way: Way,
    token: SecretString,
}

enum Way {
    Server { http: reqwest::Client, base: String },
    Here(Box<App>),
}

impl Client {
    /// Finds the server that runs on the configured data directory; opens the store itself when there is none.
    pub async fn connect(config: Config, stopping: &Stopping) -> Result<Self, CliError> {
        if let Some(beacon) = Beacon::read(&config.store.path)
            && let Some(server) = Self::of_server(&beacon).await?
        {
            return Ok(server);
        }
        let app = serve::open(config, stopping).await?;
        let runner = app.runner.clone();
        // A server sees to it by itself; without one it is every verb's. What failed has been said.
        let _ = tokio::task::spawn_blocking(move || runner.see_to_erasures()).await;
        Ok(Self::of(app))
    }

    /// `None` where the file was left behind: nobody answers there, or somebody to whom our token says nothing, for
    /// another server, of whatever kind, may have the address by now.
    async fn of_server(beacon: &Beacon) -> Result<Option<Self>, CliError> {
        let base = format!("http://{}", beacon.address);
        let http = server_client()?;
        let token = beacon.token();
        let hello = http.get(format!("{base}/v1/runs?limit=1")).bearer_auth(token.expose_secret());
        let knows_us = hello.send().await.is_ok_and(|answer| answer.status().is_success());
        Ok(knows_us.then_some(Self { way: Way::Server { http, base }, token }))
    }

    /// Asks an appliance in this process.
    pub fn of(app: App) -> Self {
        let token = app.local_token.clone();
        Self { way: Way::Here(Box::new(app)), token }
    }

    /// Ends what runs in this process; a server goes on. False when something did not end in time.
    pub async fn close(&self) -> bool {
        match &self.way {
            Way::Here(app) => app.runner.shutdown().await,
            Way::Server { .. } => true,
        }
    }

    pub const fn is_server(&self) -> bool {
        matches!(self.way, Way::Server { .. })
    }

    pub async fn get(&self, path: &str) -> Result<Value, CliError> {
        self.ask(Method::GET, path, None).await
    }

    /// Hands on every item of a list, page by page.
    pub async fn each(&self, path: &str, mut each: impl FnMut(Value) -> Result<(), CliError>) -> Result<(), CliError> {
        let mut cursor = String::new();
        loop {
            let mut page = self.get(&format!("{path}?limit={LIST_LIMIT_MAX}{cursor}")).await?;
            if let Value::Array(items) = page["items"].take() {
                items.into_iter().try_for_each(&mut each)?;
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={}", percent_encode(next)),
                None => return Ok(()),
            }
        }
    }

    /// Every item of a list.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>, CliError> {
        let mut all = Vec::new();
        let take = |item| {
            all.push(item);
            Ok(())
        };
        self.each(path, take).await?;
        Ok(all)
    }

    pub async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        self.ask(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Result<Value, CliError> {
        self.ask(Method::DELETE, path, None).await
    }

    /// The answer's JSON, null for an empty one; a problem is an error.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, CliError> {
        let (status, bytes) = match &self.way {
            Way::Server { http, base } => self.ask_server(http, base, method, path, body).await?,
            Way::Here(app) => self.ask_here(app, method, path, body).await?,
        };
        let answer: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes)
                .map_err(|_| CliError::failed(format!("{path} answered {status}, not JSON")))?
        };
        if (200..300).contains(&status) { Ok(answer) } else { Err(problem(status, &answer)) }
    }

    async fn ask_server(
        &self,
        http: &reqwest::Client,
        base: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), CliError> {
        let mut request = http.request(method, format!("{base}{path}")).bearer_auth(self.token.expose_secret());
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |error: reqwest::Error| CliError::failed(format!("the server does not answer: {error}"));
        let answer = request.send().await.map_err(failed)?;
        let status = answer.status().as_u16();
        Ok((status, answer.bytes().await.map_err(failed)?.to_vec()))
    }

    async fn ask_here(
        &self,
        app: &App,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), CliError> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("authorization", format!("Bearer {}", self.token.expose_secret()));
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).map_err(CliError::usage)?;
        // The router never fails; it answers.
        let Ok(answer) = http::router(app).oneshot(request).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(CliError::failed)?;
        Ok((status, body.to_bytes().to_vec()))
    }
}

/// A client for a server on this machine, over plain HTTP: no proxies, and trust in no certificate.
pub fn server_client() -> Result<reqwest::Client, CliError> {
    // reqwest wants TLS set up, used or not; saying how leaves no default of the process behind.
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(CliError::failed)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let builder = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).tls_backend_preconfigured(tls);
    builder.build().map_err(CliError::failed)
}

/// A problem document (RFC 9457) as one sentence, its faults below it.
fn problem(status: u16, answer: &Value) -> CliError {
    let text = |key: &str| answer[key].as_str().unwrap_or_default();
    let mut message = match (text("title"), text("detail")) {
        ("", "") => format!("the server answered {status}"),
        (title, "") => title.to_owned(),
        (_, detail) => detail.to_owned(),
    };
    for fault in answer["errors"].as_array().into_iter().flatten() {
        let part = |key: &str| fault[key].as_str().unwrap_or_default();
        message.push_str(&format!("\n  {}: {}", part("field"), part("detail")));
    }
    if let Some(hint) = answer["hint"].as_str() {
        message.push_str(&format!("\n  {hint}"));
    }
    if matches!(status, 400 | 404 | 422) { CliError::usage(message) } else { CliError::failed(message) }
}
