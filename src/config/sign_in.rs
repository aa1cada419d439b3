//! How people sign in with a source's identity provider: OAuth 2.0's authorization code (RFC 6749 §4.1) with PKCE
//! (RFC 7636), and OpenID Connect where there is an issuer.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::ClientAuth;
use crate::mapping::Expression;

/// `[source.<name>.login]`
#[derive(Debug, Clone)]
pub struct SignInSpec {
    pub provider: ProviderSpec,
    pub client_id: String,
    /// A public client has none.
    pub client_secret: Option<SecretString>,
    pub client_auth: ClientAuth,
    /// In the order they are asked for. With an issuer, `openid` is among them.
    pub scopes: Vec<String>,
    /// Further parameters of the authorization request; none that Rollcall sets itself.
    pub params: Vec<(String, String)>,
    /// Where the provider sends the browser back to, as it is registered there: an address of this server's callback.
    pub redirect_url: Url,
    /// Where browsers may be sent when they are signed in; never empty, without query and fragment. The first is the default.
    pub return_to: Vec<Url>,
    pub profile: ProfileFrom,
    /// Does the profile say that its email is verified?
    pub email_verified: Expression,
    /// Every email of this provider counts as verified.
    pub trust_email: bool,
    /// What an access token that an app hands over has to be made for; the client's own id where nothing is said.
    pub audience: Option<String>,
    /// Access tokens are taken from apps though nothing tells for whom they were made.
    pub accept_opaque_tokens: bool,
    /// A profile is not asked for again before.
    pub min_interval: Duration,
    /// A profile that is as old as this is asked for though nobody came; `None`: it is not.
    pub refresh_every: Option<Duration>,
}

/// Where the provider's endpoints are known from.
#[derive(Debug, Clone)]
pub enum ProviderSpec {
    /// From its metadata (OpenID Connect Discovery 1.0). As the provider spells it, to the last slash.
    Issuer(String),
    /// From the configuration: a provider of OAuth 2.0 without OpenID Connect.
    Endpoints(Box<EndpointsSpec>),
}

/// `https` unless loopback or `allow_http`.
#[derive(Debug, Clone)]
pub struct EndpointsSpec {
    pub authorization: Url,
    pub token: Url,
    /// RFC 7009
    pub revocation: Option<Url>,
    /// RFC 7662
    pub introspection: Option<Url>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileFrom {
    /// The provider's UserInfo endpoint.
    UserInfo,
    /// The source's own request.
    Request,
}
