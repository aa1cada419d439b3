//! One exchange with the source: signed, timed, capped.
//!
//! Invariant: a client sends nothing to another origin than its own, so a credential never goes elsewhere. That is
//! the base URL's, or for logins the one the operator named. Redirects are answers here; whether to follow one is decided elsewhere, and what is followed comes through here again.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use reqwest::redirect;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::time::timeout;
use url::{Host, Origin, Url};

use super::auth::Credential;
use super::budget::Permit;
use super::fault::{Fault, RequestLine, shown_origin};
use super::request::Request;
use super::rules;
use crate::config::{ErrorRule, SourceLimits, SourceSpec};
use crate::limits::{ERROR_BODY_BYTES_MAX, LOGIN_BYTES_MAX};
use crate::model::SourceName;

/// The capacity that a body's announced length may reserve, in bytes; beyond it, only what has come counts.
const RESERVE_BYTES_MAX: u64 = 1024 * 1024;

/// How much later than connecting the silence from the start may be noticed, so that a server which cannot be
/// connected to is not told, now and then, as a silent one.
const CONNECT_GRACE: Duration = Duration::from_millis(50);

/// Why a source cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("source '{source_name}': its credential cannot be sent: {problem} (check `auth`)")]
    Credential { source_name: SourceName, problem: String },
    #[error("source '{source_name}': no CA certificates to verify its server with (install `ca-certificates`)")]
    Trust {
        source_name: SourceName,
        #[source]
        cause: rustls::Error,
    },
    #[error("source '{source_name}': cannot set up the HTTP client")]
    Client {
        source_name: SourceName,
        #[source]
        cause: reqwest::Error,
    },
}

/// A source's connections. Redirects are never followed by themselves, nor proxies used for loopback.
pub(super) struct Client {
    http: reqwest::Client,
    origin: Origin,
    limits: SourceLimits,
    reads_refusals: bool,
}

/// An answer. The body is read where the status is a success; of another, as much as the rules on errors, or a login,
/// look at.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Client {
    pub(super) fn new(spec: &SourceSpec) -> Result<Self, SourceError> {
        let base = &spec.request.base_url;
        Ok(Self { http: http(spec, base)?, origin: base.origin(), limits: spec.limits, reads_refusals: false })
    }

    /// A client for logins at this address alone, whose answers are short and whose refusals say why.
    pub(super) fn for_logins(&self, spec: &SourceSpec, address: &Url) -> Result<Self, SourceError> {
        let origin = address.origin();
        let http = if origin == self.origin { self.http.clone() } else { http(spec, address)? };
        let limits = SourceLimits { page_bytes_max: LOGIN_BYTES_MAX, ..self.limits };
        Ok(Self { http, origin, limits, reads_refusals: true })
    }

    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sends a request and reads the answer. The permit, if any, ends when the answer begins.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        credential: &Credential,
        permit: Option<Permit>,
        rules: &[ErrorRule],
    ) -> Result<Answer, Fault> {
        let line = RequestLine::new(&request.method, &request.url);
        if request.url.origin() != self.origin {
            let target = shown_origin(&request.url);
            return Err(Fault::OtherOrigin { request: line, what: "the request", target });
        }
        let (mut url, mut headers) = (without_userinfo(&request.url), request.headers.clone());
        credential.sign(&mut url, &mut headers);
        let mut sending = self.http.request(request.method.clone(), url).headers(headers);
        if let Some(body) = &request.body {
            sending = sending.body(body.clone());
        }
        let silence = answer_max(&self.limits);
        let sent = timeout(silence, sending.send()).await;
        drop(permit);
        let response = match sent {
            Err(_) => return Err(Fault::Idle { request: line, limit: silence }),
            Ok(Err(error)) => return Err(self.unsent(line, &error)),
            Ok(Ok(response)) => response,
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = if status.is_success() {
            self.body(response, line).await?
        } else if self.reads_refusals || rules::need_body(rules, status.as_u16(), &headers) {
            self.error_body(response).await
        } else {
            Bytes::new()
        };
        Ok(Answer { status: status.as_u16(), headers, body })
    }

    /// Reads a body, counting decompressed bytes as they come, so that a small bomb is not blown up in memory.
    async fn body(&self, mut response: reqwest::Response, request: RequestLine) -> Result<Bytes, Fault> {
        let limit = self.limits.page_bytes_max;
        let announced = response.content_length().unwrap_or(0);
        if announced > limit {
            return Err(Fault::TooLarge { request, limit });
        }
        let mut body = BytesMut::with_capacity(usize::try_from(announced.min(RESERVE_BYTES_MAX)).unwrap_or(0));
        loop {
            match timeout(self.limits.idle_timeout, response.chunk()).await {
                Err(_) => return Err(Fault::Idle { request, limit: self.limits.idle_timeout }),
                Ok(Err(error)) => return Err(broken_body(request, &error, body.len() as u64)),
                Ok(Ok(None)) => return Ok(body.freeze()),
                Ok(Ok(Some(chunk))) if (body.len() + chunk.len()) as u64 > limit => {
                    return Err(Fault::TooLarge { request, limit });
                }
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            }
        }
    }

    /// The beginning of a body for the rules to look at, or what of it has come: how it breaks off does not matter.
    async fn error_body(&self, mut response: reqwest::Response) -> Bytes {
        let mut body = BytesMut::new();
        while body.len() < ERROR_BODY_BYTES_MAX {
            let Ok(Ok(Some(chunk))) = timeout(self.limits.idle_timeout, response.chunk()).await else { break };
            let room = ERROR_BODY_BYTES_MAX - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        body.freeze()
    }

    /// Names why no answer came. reqwest's own text is never used: it holds the whole URL.
    fn unsent(&self, request: RequestLine, error: &reqwest::Error) -> Fault {
        if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
            return Fault::Tls { request, cause: tls.to_string() };
        }
        if let Some(http) = causes(error).find_map(|cause| cause.downcast_ref::<hyper::Error>())
            && http.is_parse()
        {
            return if http.is_parse_too_large() {
                Fault::HeadTooLarge { request }
            } else {
                Fault::NotHttp { request }
            };
        }
        if error.is_timeout() {
            return Fault::ConnectTimeout { request, limit: self.limits.connect_timeout };
        }
        if error.is_builder() {
            return Fault::Config { problem: format!("{request}: no legal HTTP request") };
        }
        Fault::Connect { request, cause: connect_cause(error).to_owned() }
    }
}

fn http(spec: &SourceSpec, base: &Url) -> Result<reqwest::Client, SourceError> {
    let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(spec.format.accept()))]);
    let builder = builder(spec, base.scheme() == "https")?;
    let mut builder = builder.default_headers(accept).redirect(redirect::Policy::none());
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    built(spec, builder)
}

/// Asks any host over https, with nothing that is the source's own.
pub(super) fn https(spec: &SourceSpec, redirects: redirect::Policy) -> Result<reqwest::Client, SourceError> {
    let builder = builder(spec, true)?.https_only(true).redirect(redirects).timeout(answer_max(&spec.limits));
    built(spec, builder)
}

fn builder(spec: &SourceSpec, is_https: bool) -> Result<reqwest::ClientBuilder, SourceError> {
    let tls = tls(is_https).map_err(|cause| SourceError::Trust { source_name: spec.name.clone(), cause })?;
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("rollcall/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(spec.limits.connect_timeout))
}

fn built(spec: &SourceSpec, builder: reqwest::ClientBuilder) -> Result<reqwest::Client, SourceError> {
    builder.build().map_err(|cause| SourceError::Client { source_name: spec.name.clone(), cause })
}

/// How long a request may go without an answer. Connecting has a bound of its own; silence counts from the start, so
/// this one only has to cover both.
pub(super) fn answer_max(limits: &SourceLimits) -> Duration {
    limits.idle_timeout.max(limits.connect_timeout + CONNECT_GRACE)
}

/// A name and password in a URL that the source gave would take the place of the configured credential.
fn without_userinfo(url: &Url) -> Url {
    let mut url = url.clone();
    // These fail only for a URL without a host, which holds neither.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

/// Why a body did not come whole: it broke off, which may pass, or it is not what its headers promise.
fn broken_body(request: RequestLine, error: &reqwest::Error, bytes: u64) -> Fault {
    let by_http = causes(error).any(|cause| cause.is::<hyper::Error>());
    let kind = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind).last();
    match kind {
        // Chunks that are none are found by hyper, what is not compressed by the decoder behind it.
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Fault::Encoding { request, bytes },
        Some(io::ErrorKind::UnexpectedEof) | None => Fault::CutOff { request, bytes },
        Some(_) if by_http => Fault::CutOff { request, bytes },
        Some(_) => Fault::Encoding { request, bytes },
    }
}

fn connect_cause(error: &reqwest::Error) -> &'static str {
    if error.is_dns() {
        return "the host's name does not resolve";
    }
    let kind = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused",
        Some(io::ErrorKind::ConnectionReset) => "connection reset",
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => "host unreachable",
        _ if error.is_connect() => "could not connect",
        _ => "the connection was closed without an answer",
    }
}

/// An error and all that caused it. An [`io::Error`] hides the error it wraps from `source`, so that is unwrapped.
fn causes<'e>(error: &'e (dyn StdError + 'static)) -> impl Iterator<Item = &'e (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner as &(dyn StdError + 'static)),
        None => error.source(),
    })
}

/// TLS as the platform trusts it, with ring, whatever other crates of the process prefer. A plain-text source needs
/// no trust at all, and so runs on a machine without CA certificates.
fn tls(is_https: bool) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions()?;
    if is_https {
        return Ok(builder.with_platform_verifier()?.with_no_client_auth());
    }
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_loopback() {
        for (url, expected) in [
            ("http://127.0.0.1:1/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("http://a.localhost/", true),
            ("http://localhost.example/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn a_name_and_password_in_a_url_are_dropped() {
        let url = Url::parse("https://u:p@a.example/?b=%20c").unwrap();
        assert_eq!(without_userinfo(&url).as_str(), "https://a.example/?b=%20c");
    }

    #[test]
    fn finds_a_tls_error_inside_an_io_error() {
        let tls = rustls::Error::General("x".into());
        let nested = io::Error::other(io::Error::other(tls));
        assert!(causes(&nested).any(|cause| cause.is::<rustls::Error>()));
    }
}
