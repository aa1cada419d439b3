//! What a provider says of itself (OpenID Connect Discovery 1.0): its addresses and its keys. Kept for a while, asked for again
//! where a key is not among those known.

use std::sync::Arc;

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm, CoreResponseMode,
    CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, DiscoveryError, HttpRequest, IssuerUrl, JsonWebKeySet, ProviderMetadata,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::provider::{IdentityError, failed};
use super::wire::{Wire, WireError};
use crate::config::{EndpointsSpec, ProviderSpec};
use crate::limits::{METADATA_AGE_MAX, METADATA_AGE_MIN, METADATA_FAILURE_AGE_MAX};
use crate::model::RunError;
use crate::source::fault::Fault;

/// Metadata beyond OpenID Connect's own: RFC 8414 §2, RFC 9207 §3.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Further {
    revocation_endpoint: Option<Url>,
    introspection_endpoint: Option<Url>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Further {}

type Discovered = ProviderMetadata<
    Further,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Where a provider is asked for what.
#[derive(Debug, Clone)]
pub struct Endpoints {
    pub authorization: Url,
    pub token: Url,
    pub revocation: Option<Url>,
    pub introspection: Option<Url>,
    /// `None` of a provider without OpenID Connect.
    pub openid: Option<OpenId>,
}

/// What an ID token is held against.
#[derive(Debug, Clone)]
pub struct OpenId {
    pub issuer: IssuerUrl,
    pub keys: JsonWebKeySet<CoreJsonWebKey>,
    /// Signed by a key that only the provider has.
    pub algorithms: Vec<CoreJwsSigningAlgorithm>,
    pub userinfo: Option<Url>,
    /// Its answers name it (RFC 9207), so one that does not is not its own.
    pub names_itself: bool,
}

#[derive(Default)]
pub struct Metadata(Mutex<Asked>);

/// What came of asking, and when.
#[derive(Default)]
struct Asked {
    known: Option<(Instant, Arc<Endpoints>)>,
    failed: Option<(Instant, RunError)>,
}

impl Metadata {
    /// Where the provider is asked for what. `fresh`: what is known will not do, unless it is quite new.
    pub async fn endpoints(
        &self,
        provider: &ProviderSpec,
        wire: &Wire,
        fresh: bool,
    ) -> Result<Arc<Endpoints>, IdentityError> {
        let issuer = match provider {
            ProviderSpec::Endpoints(endpoints) => return Ok(Arc::new(named(endpoints))),
            ProviderSpec::Issuer(issuer) => issuer,
        };
        // Held while asking, so that everybody who waits is served by one answer.
        let mut asked = self.0.lock().await;
        let most = if fresh { METADATA_AGE_MIN } else { METADATA_AGE_MAX };
        if let Some((at, endpoints)) = &asked.known
            && at.elapsed() < most
        {
            return Ok(Arc::clone(endpoints));
        }
        // Everybody may begin a sign-in: a provider that is down is not asked by each of them.
        if let Some((at, error)) = &asked.failed
            && at.elapsed() < METADATA_FAILURE_AGE_MAX
        {
            return Err(IdentityError::Failed(error.clone()));
        }
        match discover(issuer, wire).await {
            Ok(endpoints) => {
                let endpoints = Arc::new(endpoints);
                *asked = Asked { known: Some((Instant::now(), Arc::clone(&endpoints))), failed: None };
                Ok(endpoints)
            }
            Err(error) => {
                if let IdentityError::Failed(error) = &error {
                    asked.failed = Some((Instant::now(), error.clone()));
                }
                Err(error)
            }
        }
    }
}

fn named(spec: &EndpointsSpec) -> Endpoints {
    let EndpointsSpec { authorization, token, revocation, introspection } = spec.clone();
    Endpoints { authorization, token, revocation, introspection, openid: None }
}

async fn discover(issuer: &str, wire: &Wire) -> Result<Endpoints, IdentityError> {
    let url = IssuerUrl::new(issuer.to_owned()).map_err(|_| config("the issuer is no address"))?;
    let http = |request: HttpRequest| wire.clone().call(request);
    let found = Discovered::discover_async(url.clone(), &http).await.map_err(undiscovered)?;
    let further = found.additional_metadata().clone();
    let token = found.token_endpoint().ok_or_else(|| config("its metadata names no token endpoint"))?;
    let is_open = url.url().scheme() == "http";
    let checked = |url: &Url| match url.scheme() {
        "https" => Ok(url.clone()),
        "http" if is_open => Ok(url.clone()),
        _ => Err(config("its metadata names an address that is not https")),
    };
    let optional = |url: &Option<Url>| url.as_ref().map(checked).transpose();
    checked(found.jwks_uri().url())?;
    let signs = |algorithm: &&CoreJwsSigningAlgorithm| !is_symmetric(algorithm);
    let userinfo = found.userinfo_endpoint().map(|userinfo| checked(userinfo.url())).transpose()?;
    Ok(Endpoints {
        authorization: checked(found.authorization_endpoint().url())?,
        token: checked(token.url())?,
        revocation: optional(&further.revocation_endpoint)?,
        introspection: optional(&further.introspection_endpoint)?,
        openid: Some(OpenId {
            issuer: url,
            keys: found.jwks().clone(),
            algorithms: found.id_token_signing_alg_values_supported().iter().filter(signs).cloned().collect(),
            userinfo,
            names_itself: further.authorization_response_iss_parameter_supported,
        }),
    })
}

/// Such a signature is anybody's who knows the client's secret, or nobody's.
fn is_symmetric(algorithm: &CoreJwsSigningAlgorithm) -> bool {
    use CoreJwsSigningAlgorithm::{HmacSha256, HmacSha384, HmacSha512, None};
    matches!(algorithm, HmacSha256 | HmacSha384 | HmacSha512 | None)
}

fn config(problem: &str) -> IdentityError {
    failed(Fault::Config { problem: format!("the provider cannot be used: {problem}") })
}

/// The library's own texts hold what came.
fn undiscovered(error: DiscoveryError<WireError>) -> IdentityError {
    match error {
        DiscoveryError::Request(WireError(fault)) => failed(fault),
        DiscoveryError::Response(status, ..) if !status.is_success() => {
            config(&format!("{status} for its metadata or its keys; check `issuer`"))
        }
        DiscoveryError::Validation(_) => {
            config("its metadata is of another issuer; `issuer` must be spelled as it spells itself")
        }
        _ => config("its metadata cannot be read; check `issuer`"),
    }
}
