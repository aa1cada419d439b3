//! People sign in with the organiser's identity system, and their profiles stay in step with it.
//!
//! ```text
//! browser ──► attempt   begun and sealed into a cookie; what comes back is held against it, once
//!               │ source::Identity   code → tokens → profile
//! app ────────► arrival  the profile is taken, the tokens are kept sealed, the person is known
//!               │ gathering          profiles that come together are one run
//!               ▼
//!             codes     what the browser takes to the app: good once, for a minute
//!
//! refreshing  profiles asked for anew: when the app says that somebody came, and by a schedule
//! leaving     somebody signs out: the tokens are revoked and forgotten
//! ```
//!
//! Invariant: no token leaves this process but to its provider, and none is stored but sealed. A refresh token that takes the
//! place of another is on disk before the access token it came with is used.

mod arrival;
mod attempt;
mod codes;
mod denial;
mod gathering;
mod leaving;
mod logins;
mod refreshing;
mod tokens;

pub use arrival::HandedOver;
pub use attempt::{Begun, Brought, COOKIE_PREFIX, Landed};
pub use denial::Denial;
pub use leaving::SignedOut;
pub use logins::Logins;
pub use refreshing::Refreshed;
