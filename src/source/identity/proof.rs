//! Whom tokens are of, and for whom they were made: ID tokens (OpenID Connect Core 1.0 §3.1.3.7), access tokens that are JWTs
//! (RFC 9068), and what the provider says of opaque ones (RFC 7662).

use openidconnect::core::{
    CoreGenderClaim, CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, Audience, ClaimsVerificationError, ClientId, IdToken,
    IdTokenVerifier, Nonce, SignatureVerificationError,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::metadata::{Endpoints, OpenId};
use super::provider::{Handed, Identity, IdentityError, Unbelievable, failed};
use super::wire::Wire;
use crate::limits::PROVIDER_SKEW_MAX;
use crate::model::ExternalId;
use crate::source::auth::Credential;
use crate::source::fault::{Fault, RequestLine};

/// What an access token says of whom it was made for, beside its audience: RFC 9068's word, and OpenID Connect's.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct MadeFor {
    client_id: Option<String>,
    azp: Option<String>,
}

impl AdditionalClaims for MadeFor {}

type JwtAccessToken = IdToken<MadeFor, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// RFC 7662 §2.2
#[derive(Deserialize)]
struct Introspected {
    active: bool,
    client_id: Option<String>,
    sub: Option<String>,
    #[serde(default)]
    aud: OneOrMany,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn holds(&self, wanted: &str) -> bool {
        match self {
            Self::None => false,
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

fn unbelievable(why: Unbelievable) -> IdentityError {
    IdentityError::Unbelievable(why)
}

impl Identity {
    /// Whom an app's tokens are of, where they say so. `None`: they may be anybody's of any app, and the configuration
    /// takes them all the same.
    pub async fn prove(&self, handed: &Handed) -> Result<Option<ExternalId>, IdentityError> {
        let wire = self.wire();
        let endpoints = self.endpoints(&wire, false).await?;
        if let Some(id_token) = &handed.id_token {
            let id_token = id_token.expose_secret().parse::<CoreIdToken>();
            let id_token = id_token.map_err(|_| unbelievable(Unbelievable::IdToken))?;
            let access = AccessToken::new(handed.access.expose_secret().to_owned());
            return self.subject_of(&endpoints, &wire, &id_token, None, &access).await.map(Some);
        }
        if let Some(jwt) = as_jwt(&handed.access).filter(|_| endpoints.openid.is_some()) {
            return self.subject_of_jwt(&endpoints, &wire, &jwt).await.map(Some);
        }
        if endpoints.introspection.is_some() {
            return self.introspect(&endpoints, &wire, &handed.access).await;
        }
        if self.spec.accept_opaque_tokens { Ok(None) } else { Err(unbelievable(Unbelievable::NoProof)) }
    }

    /// The subject of an ID token that is this provider's, for this client, new enough, and of this sign-in and this access
    /// token as far as it names them. `nonce`: that of the sign-in; `None` where an app ran that.
    pub(super) async fn subject_of(
        &self,
        endpoints: &Endpoints,
        wire: &Wire,
        id_token: &CoreIdToken,
        nonce: Option<&SecretString>,
        access: &AccessToken,
    ) -> Result<ExternalId, IdentityError> {
        let openid = openid(endpoints)?;
        let found = match self.verified(openid, id_token, nonce, access) {
            Err(Unverified::UnknownKey) => {
                let endpoints = self.endpoints(wire, true).await?;
                self.verified(self::openid(&endpoints)?, id_token, nonce, access)
            }
            known => known,
        };
        found.map_err(|why| unbelievable(why.word()))
    }

    fn verified(
        &self,
        openid: &OpenId,
        id_token: &CoreIdToken,
        nonce: Option<&SecretString>,
        access: &AccessToken,
    ) -> Result<ExternalId, Unverified> {
        let verifier = self.verifier(openid, &self.spec.client_id);
        let expected = nonce.map(|nonce| Nonce::new(nonce.expose_secret().to_owned()));
        let claims = id_token.claims(&verifier, |found: Option<&Nonce>| match (&expected, found) {
            (None, _) => Ok(()),
            (Some(expected), Some(found)) if expected.secret() == found.secret() => Ok(()),
            _ => Err("another one".to_owned()),
        })?;
        if let Some(expected) = claims.access_token_hash() {
            let algorithm = id_token.signing_alg().map_err(|_| Unverified::Other)?;
            let key = id_token.signing_key(&verifier).map_err(|_| Unverified::Other)?;
            let actual = AccessTokenHash::from_token(access, algorithm, key).map_err(|_| Unverified::Other)?;
            if actual != *expected {
                return Err(Unverified::Other);
            }
        }
        ExternalId::new(claims.subject().as_str()).ok_or(Unverified::Other)
    }

    /// The same of an access token.
    async fn subject_of_jwt(
        &self,
        endpoints: &Endpoints,
        wire: &Wire,
        jwt: &JwtAccessToken,
    ) -> Result<ExternalId, IdentityError> {
        let found = match self.verified_jwt(openid(endpoints)?, jwt) {
            Err(Unverified::UnknownKey) => {
                let endpoints = self.endpoints(wire, true).await?;
                self.verified_jwt(openid(&endpoints)?, jwt)
            }
            known => known,
        };
        found.map_err(|why| {
            unbelievable(match why {
                Unverified::Audience => Unbelievable::OtherAudience,
                _ => Unbelievable::NoProof,
            })
        })
    }

    fn verified_jwt(&self, openid: &OpenId, jwt: &JwtAccessToken) -> Result<ExternalId, Unverified> {
        // For whom it is, is looked at below.
        let verifier = self.verifier(openid, &self.spec.client_id).allow_all_jose_types().require_audience_match(false);
        let claims = jwt.claims(&verifier, |_: Option<&Nonce>| Ok(()))?;
        let is_for = |wanted: &str| claims.audiences().iter().any(|audience: &Audience| audience.as_str() == wanted);
        let MadeFor { client_id, azp } = claims.additional_claims();
        let by = |name: &Option<String>| name.as_deref() == Some(self.spec.client_id.as_str());
        let is_ours = match &self.spec.audience {
            Some(audience) => is_for(audience),
            None => is_for(&self.spec.client_id) || by(client_id) || by(azp),
        };
        if !is_ours {
            return Err(Unverified::Audience);
        }
        ExternalId::new(claims.subject().as_str()).ok_or(Unverified::Other)
    }

    fn verifier(&self, openid: &OpenId, client_id: &str) -> CoreIdTokenVerifier<'static> {
        let (issuer, keys) = (openid.issuer.clone(), openid.keys.clone());
        let clock = self.source.clock.clone();
        let now = move || {
            let now = clock.now().as_second().saturating_sub_unsigned(PROVIDER_SKEW_MAX.as_secs());
            chrono::DateTime::from_timestamp(now, 0).unwrap_or_default()
        };
        let verifier: IdTokenVerifier<'static, CoreJsonWebKey> =
            CoreIdTokenVerifier::new_public_client(ClientId::new(client_id.to_owned()), issuer, keys);
        verifier.set_allowed_algs(openid.algorithms.clone()).set_time_fn(now)
    }

    /// What the provider says of an access token that is a riddle to us.
    async fn introspect(
        &self,
        endpoints: &Endpoints,
        wire: &Wire,
        access: &SecretString,
    ) -> Result<Option<ExternalId>, IdentityError> {
        let Some(url) = &endpoints.introspection else { return Err(unbelievable(Unbelievable::NoProof)) };
        let request = self.about_token(url, access, "access_token")?;
        let answer = wire.ask(&request, &Credential::none()).await.map_err(failed)?;
        let line = RequestLine::new(&request.method, &request.url);
        if !(200..300).contains(&answer.status) {
            return Err(failed(Fault::Status { request: line, status: answer.status }));
        }
        let found: Introspected = serde_json::from_slice(&answer.body).map_err(|_| {
            let hint = "check `introspection_url`, and whether the provider lets this client ask";
            failed(Fault::Decode { request: line, problem: "this is no answer as RFC 7662 has it".into(), hint })
        })?;
        if !found.active {
            return Err(IdentityError::Refused);
        }
        let is_ours = match &self.spec.audience {
            Some(audience) => found.aud.holds(audience),
            None => found.client_id.as_deref() == Some(&self.spec.client_id) || found.aud.holds(&self.spec.client_id),
        };
        if !is_ours {
            return Err(unbelievable(Unbelievable::OtherAudience));
        }
        Ok(found.sub.and_then(|sub| ExternalId::new(&sub)))
    }
}

fn openid(endpoints: &Endpoints) -> Result<&OpenId, IdentityError> {
    endpoints.openid.as_ref().ok_or(unbelievable(Unbelievable::IdToken))
}

/// What looks like a JWT is one, or is good for nothing.
fn as_jwt(access: &SecretString) -> Option<JwtAccessToken> {
    access.expose_secret().parse().ok()
}

enum Unverified {
    Nonce,
    Audience,
    /// The provider may have a new one.
    UnknownKey,
    Other,
}

impl Unverified {
    const fn word(&self) -> Unbelievable {
        match self {
            Self::Nonce => Unbelievable::Nonce,
            Self::Audience | Self::UnknownKey | Self::Other => Unbelievable::IdToken,
        }
    }
}

impl From<ClaimsVerificationError> for Unverified {
    fn from(error: ClaimsVerificationError) -> Self {
        use SignatureVerificationError::NoMatchingKey;
        match error {
            ClaimsVerificationError::InvalidNonce(_) => Self::Nonce,
            ClaimsVerificationError::InvalidAudience(_) => Self::Audience,
            ClaimsVerificationError::SignatureVerification(NoMatchingKey) => Self::UnknownKey,
            _ => Self::Other,
        }
    }
}
