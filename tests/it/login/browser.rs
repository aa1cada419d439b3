//! A browser, as far as signing in needs one: cookies, redirects, one form.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use url::Url;

/// Of one host and port: by path and name.
type Cookies = BTreeMap<(String, String), String>;

#[derive(Default, Clone)]
pub struct Browser {
    cookies: BTreeMap<String, Cookies>,
    /// Every `Set-Cookie` that came.
    pub set: Vec<String>,
}

/// Where the browser ended.
#[derive(Debug)]
pub struct Landing {
    pub url: Url,
    /// 0 where it stopped before asking.
    pub status: u16,
    pub text: String,
}

impl Landing {
    /// A parameter of the address.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// To this machine, without TLS; redirects are answers.
pub fn client() -> Client {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    Client::builder().tls_backend_preconfigured(tls).redirect(Policy::none()).no_proxy().build().unwrap()
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

impl Browser {
    /// Follows redirects from an address on, and stops before it would ask one that begins so.
    pub async fn go(&mut self, url: &str, stop_at: &str) -> Landing {
        let answer = self.ask(Method::GET, url.parse().unwrap(), None).await;
        self.follow(url.parse().unwrap(), answer, stop_at).await
    }

    /// Fills in the provider's page.
    pub async fn sign_in(&mut self, page: &Landing, login: &str, stop_at: &str) -> Landing {
        assert!(page.text.contains("id=\"sign-in\""), "{} {}: {}", page.url, page.status, page.text);
        let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("login", login).finish();
        let answer = self.ask(Method::POST, page.url.clone(), Some(form)).await;
        self.follow(page.url.clone(), answer, stop_at).await
    }

    async fn follow(&mut self, mut url: Url, mut answer: Response, stop_at: &str) -> Landing {
        for _ in 0..20 {
            let Some(next) = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection()) else {
                let status = answer.status().as_u16();
                return Landing { url, status, text: answer.text().await.unwrap() };
            };
            url = url.join(next.to_str().unwrap()).unwrap();
            if url.as_str().starts_with(stop_at) {
                return Landing { url, status: 0, text: String::new() };
            }
            answer = self.ask(Method::GET, url.clone(), None).await;
        }
        panic!("redirected for ever, at last to {url}");
    }

    async fn ask(&mut self, method: Method, url: Url, form: Option<String>) -> Response {
        let mut request = client().request(method, url.clone());
        let cookies = self.shown(&url);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        let answer = request.send().await.unwrap();
        for set in answer.headers().get_all(SET_COOKIE) {
            self.take(&url, set.to_str().unwrap());
        }
        answer
    }

    /// The cookies for an address (RFC 6265 §5.4).
    fn shown(&self, url: &Url) -> String {
        let all = self.cookies.get(&origin(url)).into_iter().flatten();
        let fits =
            |path: &str| url.path() == path || url.path().starts_with(&format!("{}/", path.trim_end_matches('/')));
        let pairs = all.filter(|((path, _), _)| fits(path)).map(|((_, name), value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn take(&mut self, url: &Url, set: &str) {
        self.set.push(set.to_owned());
        let mut parts = set.split(';').map(str::trim);
        let (name, value) = parts.next().and_then(|pair| pair.split_once('=')).unwrap();
        let attributes: Vec<(String, String)> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(key, value)| (key.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let attribute = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let ended = attribute("max-age") == Some("0") || attribute("expires").is_some_and(|at| at.contains("1970"));
        let key = (attribute("path").unwrap_or("/").to_owned(), name.to_owned());
        let cookies = self.cookies.entry(origin(url)).or_default();
        if ended {
            cookies.remove(&key);
        } else {
            cookies.insert(key, value.to_owned());
        }
    }

    /// Changes the names and values of every cookie of an address.
    pub fn tamper(&mut self, url: &str, change: impl Fn(&str, &str) -> (String, String)) {
        let cookies = self.cookies.entry(origin(&url.parse().unwrap())).or_default();
        *cookies = std::mem::take(cookies)
            .into_iter()
            .map(|((path, name), value)| {
                let (name, value) = change(&name, &value);
                ((path, name), value)
            })
            .collect();
    }

    /// The only cookie of an address.
    pub fn cookie(&self, url: &str) -> (String, String) {
        let cookies = &self.cookies[&origin(&url.parse().unwrap())];
        assert_eq!(cookies.len(), 1);
        let ((_, name), value) = cookies.iter().next().unwrap();
        (name.clone(), value.clone())
    }
}
