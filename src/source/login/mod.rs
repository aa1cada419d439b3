//! Credentials that are come by: a token endpoint (OAuth 2.0) or a login request gives a token that lives for a while.
//!
//! ```text
//! flight     one login at a time for all who wait; what they share of its outcome
//!   ├─ desk     asking: the budget where it is the source's own, tries, pauses, what a refusal means
//!   │   ├─ oauth2   the token requests of RFC 6749
//!   │   └─ session  the configured login request
//!   ├─ answer   token, life and next refresh token of an answer
//!   └─ vault    what is kept, sealed
//! ```
//!
//! Invariant: nothing of an answer is ever shown but RFC 6749's own words for a refusal. A refresh token that takes the
//! place of another is on disk before the access token it came with is used.

mod answer;
mod desk;
mod flight;
mod oauth2;
mod session;
mod vault;

pub(super) use flight::Login;
pub(super) use oauth2::client_credential;
