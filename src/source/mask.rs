//! A request and an answer as they may be shown to who may see the settings and the people, but not the secrets.
//!
//! Invariant: pure. The credential's place shows `***` whatever stands there, and so does what its name says to be a
//! secret. Every text has a bound.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, LINK, RETRY_AFTER, USER_AGENT};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::link;
use super::request::Request;
use crate::config::{ApiKeyPlace, AuthSpec};
use crate::limits::{PREVIEW_HEADERS_MAX, PREVIEW_TEXT_BYTES_MAX};

const MASK: &str = "***";

/// A request as it was sent, but for its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// Words in the name of a parameter or key that holds a secret.
const SECRET_WORDS: [&str; 9] = ["key", "token", "secret", "passw", "auth", "sign", "credential", "session", "cookie"];

/// Names with such words that hold none.
const NO_SECRETS: [&str; 2] = ["keyword", "keywords"];

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !NO_SECRETS.contains(&name.as_str()) && SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// The request that is sent, with the place of the credential that it gets.
pub(super) fn request(request: &Request, auth: &AuthSpec, accept: &str) -> ShownRequest {
    let mut headers = vec![
        (ACCEPT.to_string(), accept.to_owned()),
        (USER_AGENT.to_string(), concat!("rollcall/", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    let (header, query) = place(auth);
    headers.extend(header.map(|name| (name, MASK.to_owned())));
    for (name, value) in &request.headers {
        headers.retain(|(shown, _)| shown != name.as_str());
        // Some sources want a second key in a header of their own, under any name.
        let is_plain = [ACCEPT, CONTENT_TYPE, USER_AGENT].contains(name);
        let value = value.to_str().ok().filter(|_| is_plain).map_or_else(|| MASK.to_owned(), cut);
        headers.push((name.to_string(), value));
    }
    headers.sort();
    ShownRequest {
        method: request.method.to_string(),
        url: url(&request.url, query.as_deref()),
        headers,
        body: request.body.as_ref().map(|body| self::body(body)),
    }
}

/// The header and the parameter that the credential goes into.
fn place(auth: &AuthSpec) -> (Option<String>, Option<String>) {
    let place = match auth {
        AuthSpec::None => return (None, None),
        AuthSpec::Basic { .. } | AuthSpec::Bearer { .. } => return (Some("authorization".into()), None),
        AuthSpec::ApiKey { place, .. } => place,
        AuthSpec::OAuth2(login) => &login.token.place,
        AuthSpec::Session(login) => &login.token.place,
    };
    match place {
        ApiKeyPlace::Header(name) => (Some(name.to_ascii_lowercase()), None),
        ApiKeyPlace::Query(name) => (None, Some(name.clone())),
    }
}

/// Does the credential go into this header?
pub(super) fn is_credential(auth: &AuthSpec, header: &str) -> bool {
    place(auth).0.is_some_and(|name| name.eq_ignore_ascii_case(header))
}

/// A URL with the values of its query, but for secrets. `credential` is the parameter that is added when it is sent.
pub(super) fn url(url: &Url, credential: Option<&str>) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // These fail only for a URL without a host, which holds neither.
    let _ = bare.set_username("").and_then(|()| bare.set_password(None));
    let mut shown = String::from(bare);
    let is_credential = |name: &str| credential == Some(name);
    let pairs = url.query_pairs().filter(|(name, _)| !is_credential(name));
    let pairs = pairs.map(|(name, value)| (encode(&name), if is_secret(&name) { MASK.into() } else { encode(&value) }));
    let pairs = pairs.chain(credential.map(|name| (encode(name), MASK.to_owned())));
    for (n, (name, value)) in pairs.enumerate() {
        shown.push(if n == 0 { '?' } else { '&' });
        shown.push_str(&format!("{name}={value}"));
    }
    cut(&shown)
}

fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn body(body: &[u8]) -> String {
    if let Ok(mut json) = serde_json::from_slice::<Value>(body) {
        mask_json(&mut json);
        return cut(&json.to_string());
    }
    let mut shown = String::new();
    for (name, value) in form_urlencoded::parse(body) {
        let and = if shown.is_empty() { "" } else { "&" };
        let value = if is_secret(&name) { MASK.to_owned() } else { encode(&value) };
        shown.push_str(&format!("{and}{}={value}", encode(&name)));
    }
    cut(&shown)
}

fn mask_json(json: &mut Value) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret(name) { *value = MASK.into() } else { mask_json(value) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask_json),
        _ => {}
    }
}

/// The headers of an answer that say what it is, how the list goes on and what else the source allows. `also` is one
/// that the settings name.
pub(super) fn answer_headers(
    headers: &HeaderMap,
    base: &Url,
    auth: &AuthSpec,
    also: Option<&str>,
) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for (name, value) in headers {
        let Ok(text) = value.to_str() else { continue };
        if *name == LINK {
            // What a link names beside the next page is of no use here.
            let next = link::next_target(text).and_then(|next| base.join(next).ok());
            let (_, query) = place(auth);
            let masked = |next: Url| format!("<{}>; rel=\"next\"", masked_link(&next, query.as_deref()));
            shown.extend(next.map(|next| (name.to_string(), masked(next))));
        } else if is_telling(name) || also.is_some_and(|also| also.eq_ignore_ascii_case(name.as_str())) {
            shown.push((name.to_string(), cut(text)));
        }
    }
    shown.sort();
    shown.truncate(PREVIEW_HEADERS_MAX);
    shown
}

/// A URL of the source's may hold the credential without being signed.
fn masked_link(link: &Url, credential: Option<&str>) -> String {
    let holds = credential.filter(|name| link.query_pairs().any(|(key, _)| key == *name));
    url(link, holds)
}

fn is_telling(name: &HeaderName) -> bool {
    let name_text = name.as_str();
    let words = ["ratelimit", "rate-limit", "total", "page", "count", "quota"];
    let is_named = [CONTENT_TYPE, RETRY_AFTER].contains(name) || words.iter().any(|word| name_text.contains(word));
    is_named && !is_secret(name_text)
}

fn cut(text: &str) -> String {
    if text.len() <= PREVIEW_TEXT_BYTES_MAX {
        return text.to_owned();
    }
    // The beginning of a text is a boundary of it.
    let end = (0..=PREVIEW_TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::HeaderValue;

    use super::*;

    fn sent(url: &str, headers: &[(&'static str, &'static str)], body: Option<&'static str>) -> Request {
        let header = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        Request {
            method: Method::GET,
            url: Url::parse(url).unwrap(),
            headers: headers.iter().map(header).collect(),
            body: body.map(Into::into),
        }
    }

    #[test]
    fn the_credential_shows_where_it_goes_and_nothing_of_it() {
        let key = |place| AuthSpec::ApiKey { place, prefix: String::new(), key: "s3cret".into() };
        for (auth, part) in [
            (key(ApiKeyPlace::Query("k".into())), "?a=b+c&k=***\""),
            (key(ApiKeyPlace::Header("X-K".into())), "(\"x-k\", \"***\")"),
            (AuthSpec::Bearer { token: "s3cret".into() }, "(\"authorization\", \"***\")"),
            (AuthSpec::Basic { username: "u".into(), password: "s3cret".into() }, "(\"authorization\", \"***\")"),
        ] {
            let shown = request(&sent("https://u:s3cret@a.example/p?a=b%20c&k=s3cret", &[], None), &auth, "x/y");
            let shown = format!("{shown:?}");
            assert!(shown.contains(part), "{part} is not in {shown}");
            assert!(
                matches!(auth, AuthSpec::ApiKey { place: ApiKeyPlace::Query(_), .. }) != shown.contains("k=s3cret")
            );
            assert!(!shown.contains("u:s3cret"), "{shown}");
        }
    }

    #[test]
    fn what_is_named_like_a_secret_is_masked_wherever_it_stands() {
        let request_of = |url: &str, body| {
            request(&sent(url, &[("x-own", "s3cret"), ("accept", "a/b")], body), &AuthSpec::None, "x/y")
        };
        let shown = request_of(
            "https://a.example/?api_key=s3cret&page=2&keyword=x",
            Some(r#"{"a":[{"password":"s3cret"}],"q":1}"#),
        );
        assert_eq!(shown.url, "https://a.example/?api_key=***&page=2&keyword=x");
        assert_eq!(shown.body.as_deref(), Some(r#"{"a":[{"password":"***"}],"q":1}"#));
        assert!(shown.headers.contains(&("accept".into(), "a/b".into())), "{shown:?}");
        assert!(shown.headers.contains(&("x-own".into(), "***".into())), "{shown:?}");
        let form = request_of("https://a.example/", Some("client_secret=s3cret&q=a+b"));
        assert_eq!(form.body.as_deref(), Some("client_secret=***&q=a+b"));
    }

    #[test]
    fn of_an_answer_only_what_tells_of_the_list_is_shown() {
        let pairs = [
            ("content-type", "application/json"),
            ("set-cookie", "session=s3cret"),
            ("x-ratelimit-remaining", "9"),
            ("x-page-token", "s3cret"),
            ("x-cursor", "c"),
            ("link", "</?page=2&k=s3cret>; rel=\"next\", </?k=s3cret>; rel=\"last\""),
        ];
        let headers = sent("https://a.example/", &pairs, None).headers;
        let auth =
            AuthSpec::ApiKey { place: ApiKeyPlace::Query("k".into()), prefix: String::new(), key: "s3cret".into() };
        let shown = answer_headers(&headers, &Url::parse("https://a.example/").unwrap(), &auth, Some("X-Cursor"));
        let expected = [
            ("content-type", "application/json"),
            ("link", "<https://a.example/?page=2&k=***>; rel=\"next\""),
            ("x-cursor", "c"),
            ("x-ratelimit-remaining", "9"),
        ];
        assert_eq!(shown, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn long_texts_are_cut() {
        let long = Url::parse(&format!("https://a.example/?q={}", "é".repeat(5_000))).unwrap();
        assert!(url(&long, None).len() <= PREVIEW_TEXT_BYTES_MAX + '…'.len_utf8());
    }
}
