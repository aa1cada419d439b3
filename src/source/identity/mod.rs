//! A provider with which people sign in: OAuth 2.0's authorization code with PKCE, and OpenID Connect where there is an issuer.
//!
//! ```text
//! Identity ──begin──► where the browser is sent, and what only we know of it
//!    │      redeem   code → tokens, and whose they are
//!    │      refresh  refresh token → tokens
//!    │      prove    tokens of an app → are they made for it, and whose are they?
//!    │      profile  access token → what the provider says of the person
//!    │      revoke   tokens that are good no more
//!    ├─ metadata     the provider's addresses and keys
//!    ├─ proof        ID tokens and JWT access tokens
//!    └─ wire         requests, within the source's budget
//! ```
//!
//! Invariant: no token, code or claim is in any error, log line or `Debug` output. A redirect is a refusal.

mod metadata;
mod profile;
mod proof;
mod provider;
mod wire;

pub use profile::Profile;
pub(super) use provider::State;
pub use provider::{Grant, Handed, Identity, IdentityError, Secrets, Unbelievable};
