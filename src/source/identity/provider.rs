//! A provider, asked by those who sign in and for them.

use std::sync::Arc;

use jiff::Timestamp;
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse,
};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken,
    TokenResponse as _, TokenUrl,
};
use openidconnect::Nonce;
use openidconnect::core::CoreTokenResponse;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;
use url::{Url, form_urlencoded};

use super::metadata::{Endpoints, Metadata};
use super::wire::{Clients, Wire, WireError};
use crate::config::{ClientAuth, ProviderSpec, SignInSpec};
use crate::limits::{ACCESS_TOKEN_LIFE_MAX, IDENTITY_TIMEOUT};
use crate::model::{ExternalId, RunError};
use crate::source::auth::Credential;
use crate::source::caller::Caller;
use crate::source::fault::{Fault, Refusal, RequestLine};
use crate::source::login::client_credential;
use crate::source::request::Request;
use crate::source::source::{Inner, Source};

/// What a source keeps of its provider.
pub(in crate::source) struct State {
    spec: Arc<SignInSpec>,
    metadata: Metadata,
    pub(super) clients: Clients,
}

impl State {
    pub(in crate::source) fn new(spec: Arc<SignInSpec>) -> Self {
        Self { spec, metadata: Metadata::default(), clients: Clients::default() }
    }
}

/// The provider of a source of logins. Cloning shares it.
#[derive(Clone)]
pub struct Identity {
    pub(super) source: Arc<Inner>,
    pub(super) spec: Arc<SignInSpec>,
}

/// What only we and the provider may know of a browser that was sent there.
pub struct Secrets {
    /// In the address: what comes back must bear it.
    pub state: SecretString,
    /// In the ID token that comes of it.
    pub nonce: SecretString,
    /// RFC 7636's `code_verifier`.
    pub verifier: SecretString,
}

/// What the provider granted.
pub struct Grant {
    pub access: SecretString,
    pub refresh: Option<SecretString>,
    /// When the access token ends, where it says so.
    pub expires_at: Option<Timestamp>,
    /// Whom an ID token that came along is of.
    pub subject: Option<ExternalId>,
}

/// What an app hands over that ran the login itself.
pub struct Handed {
    pub access: SecretString,
    pub id_token: Option<SecretString>,
}

/// Why a provider's word does not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    #[error("the ID token is not one of this provider for this client, or is too old")]
    IdToken,
    #[error("the ID token answers another sign-in (its nonce)")]
    Nonce,
    #[error("the answer is of another provider (its iss, RFC 9207)")]
    Issuer,
    #[error("the profile is of somebody else than the token")]
    Subject,
    #[error("nothing proves that the token was made for this app")]
    NoProof,
    #[error("the token was made for another app")]
    OtherAudience,
}

#[derive(Debug)]
pub enum IdentityError {
    /// What was granted is good no more, or never was: the code, the refresh token or the access token.
    Refused,
    Unbelievable(Unbelievable),
    /// No useful answer came.
    Failed(RunError),
}

pub(super) fn failed(fault: Fault) -> IdentityError {
    IdentityError::Failed(fault.into_run_error(0, 1))
}

type Client = oauth2::Client<
    BasicErrorResponse,
    CoreTokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

impl Source {
    /// With whom people sign in; `None` of a source that has a list.
    pub fn identity(&self) -> Option<Identity> {
        let spec = Arc::clone(&self.inner.identity.as_ref()?.spec);
        Some(Identity { source: Arc::clone(&self.inner), spec })
    }
}

impl Identity {
    pub fn spec(&self) -> &SignInSpec {
        &self.spec
    }

    /// Does the provider say itself whom its tokens are of? Elsewhere the profile does.
    pub fn names_subjects(&self) -> bool {
        matches!(self.spec.provider, ProviderSpec::Issuer(_))
    }

    /// Where to send a browser for somebody to sign in.
    pub async fn begin(&self) -> Result<(Url, Secrets), IdentityError> {
        let wire = self.wire();
        let endpoints = self.endpoints(&wire, false).await?;
        let client = self.client(&endpoints);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let nonce = Nonce::new_random();
        let mut request = client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge);
        for scope in &self.spec.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        if endpoints.openid.is_some() {
            request = request.add_extra_param("nonce", nonce.secret());
        }
        for (name, value) in &self.spec.params {
            request = request.add_extra_param(name, value);
        }
        let (url, state) = request.url();
        let secret = |text: &str| SecretString::from(text.to_owned());
        let secrets = Secrets {
            state: secret(state.secret()),
            nonce: secret(nonce.secret()),
            verifier: secret(verifier.secret()),
        };
        Ok((url, secrets))
    }

    /// Exchanges the code that a browser brought back; `iss` is what it says of the provider (RFC 9207).
    pub async fn redeem(&self, code: String, secrets: &Secrets, iss: Option<&str>) -> Result<Grant, IdentityError> {
        let wire = self.wire();
        let endpoints = self.endpoints(&wire, false).await?;
        if let Some(openid) = &endpoints.openid
            && (iss.is_some_and(|iss| iss != openid.issuer.as_str()) || iss.is_none() && openid.names_itself)
        {
            return Err(IdentityError::Unbelievable(Unbelievable::Issuer));
        }
        let client = self.client(&endpoints);
        let verifier = PkceCodeVerifier::new(secrets.verifier.expose_secret().to_owned());
        let request = client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier);
        let http = |request: HttpRequest| wire.clone().call(request);
        let answer = request.request_async(&http).await.map_err(|error| ungranted(&endpoints, error))?;
        let grant = self.grant(&endpoints, &wire, &answer, Some(&secrets.nonce)).await?;
        // A provider of OpenID Connect says who it is, or it is none.
        if endpoints.openid.is_some() && grant.subject.is_none() {
            return Err(IdentityError::Unbelievable(Unbelievable::IdToken));
        }
        Ok(grant)
    }

    /// Uses up a refresh token. Where no new one comes, it is good still.
    pub async fn refresh(&self, token: &SecretString) -> Result<Grant, IdentityError> {
        let wire = self.wire();
        let endpoints = self.endpoints(&wire, false).await?;
        let client = self.client(&endpoints);
        let token = RefreshToken::new(token.expose_secret().to_owned());
        let http = |request: HttpRequest| wire.clone().call(request);
        let answer = client.exchange_refresh_token(&token).request_async(&http).await;
        let answer = answer.map_err(|error| ungranted(&endpoints, error))?;
        self.grant(&endpoints, &wire, &answer, None).await
    }

    async fn grant(
        &self,
        endpoints: &Endpoints,
        wire: &Wire,
        answer: &CoreTokenResponse,
        nonce: Option<&SecretString>,
    ) -> Result<Grant, IdentityError> {
        let id_token = answer.extra_fields().id_token();
        let subject = match id_token {
            Some(id_token) => Some(self.subject_of(endpoints, wire, id_token, nonce, answer.access_token()).await?),
            None => None,
        };
        let life = answer.expires_in().map(|life| life.min(ACCESS_TOKEN_LIFE_MAX));
        let secret = |text: &String| SecretString::from(text.clone());
        Ok(Grant {
            access: secret(answer.access_token().secret()),
            refresh: answer.refresh_token().map(|token| secret(token.secret())),
            expires_at: life.and_then(|life| self.source.clock.now().checked_add(life).ok()),
            subject,
        })
    }

    /// Tells the provider that tokens are good no more (RFC 7009); false where it does not want to know.
    pub async fn revoke(&self, token: &SecretString) -> Result<bool, IdentityError> {
        let wire = self.wire();
        let endpoints = self.endpoints(&wire, false).await?;
        let Some(url) = &endpoints.revocation else { return Ok(false) };
        let request = self.about_token(url, token, "refresh_token")?;
        let answer = wire.ask(&request, &Credential::none()).await.map_err(failed)?;
        match answer.status {
            200..=299 => Ok(true),
            status => Err(failed(Fault::Status { request: RequestLine::new(&request.method, &request.url), status })),
        }
    }

    /// What this client asks of a token (RFC 7009 §2.1, RFC 7662 §2.1). Not by the library, which wants https even of a
    /// provider on this machine.
    pub(super) fn about_token(&self, url: &Url, token: &SecretString, hint: &str) -> Result<Request, IdentityError> {
        let SignInSpec { client_id, client_secret, client_auth, .. } = &*self.spec;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token.expose_secret()).append_pair("token_type_hint", hint);
        let mut headers = HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")),
        ]);
        let authorization = client_credential(client_id, client_secret.as_ref(), *client_auth, &mut form);
        let authorization = authorization.map_err(|error| failed(Fault::Config { problem: error.to_string() }))?;
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        Ok(Request { method: Method::POST, url: url.clone(), headers, body: Some(form.finish().into()) })
    }

    /// Whoever waits for it waits for a while only.
    pub(super) fn wire(&self) -> Wire {
        // Nobody listens to the waits.
        let (events, _) = mpsc::channel(1);
        Wire { source: Arc::clone(&self.source), caller: Caller::within(&self.source, events, IDENTITY_TIMEOUT) }
    }

    pub(super) async fn endpoints(&self, wire: &Wire, fresh: bool) -> Result<Arc<Endpoints>, IdentityError> {
        // There is one of every source of which there is an `Identity`.
        let state = self.source.identity.as_ref().ok_or(IdentityError::Refused)?;
        let endpoints = state.metadata.endpoints(&self.spec.provider, wire, fresh);
        let answered = tokio::time::timeout_at(wire.caller.deadline, endpoints).await;
        answered.map_err(|_| failed(wire.caller.out_of_time()))?
    }

    fn client(&self, endpoints: &Endpoints) -> Client {
        let SignInSpec { client_id, client_secret, client_auth, redirect_url, .. } = &*self.spec;
        let mut client = oauth2::Client::new(ClientId::new(client_id.clone()));
        if let Some(secret) = client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        client
            .set_auth_type(match client_auth {
                ClientAuth::Basic => AuthType::BasicAuth,
                ClientAuth::Body => AuthType::RequestBody,
            })
            .set_auth_uri(AuthUrl::from_url(endpoints.authorization.clone()))
            .set_token_uri(TokenUrl::from_url(endpoints.token.clone()))
            .set_redirect_uri(RedirectUrl::from_url(redirect_url.clone()))
    }
}

/// Why nothing was granted.
fn ungranted(endpoints: &Endpoints, error: RequestTokenError<WireError, BasicErrorResponse>) -> IdentityError {
    let request = RequestLine::new(&reqwest::Method::POST, &endpoints.token);
    match error {
        RequestTokenError::Request(WireError(fault)) => failed(fault),
        RequestTokenError::ServerResponse(answer) if *answer.error() == BasicErrorResponseType::InvalidGrant => {
            IdentityError::Refused
        }
        RequestTokenError::ServerResponse(answer) => {
            let refusal = Refusal::parse(answer.error().as_ref());
            failed(Fault::LoginRefused { request, status: 400, refusal })
        }
        // The library's own texts hold what came.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            let problem = "the answer of the token endpoint holds no tokens as RFC 6749 has them".into();
            failed(Fault::Decode {
                request,
                problem,
                hint: "check `token_url` or `issuer`, and the provider's own log",
            })
        }
    }
}
