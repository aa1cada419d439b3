//! The REST API: JSON over HTTP/1.1, problems as RFC 9457 documents, lists by cursor, bearer tokens with scopes.
//!
//! ```text
//! serve ──► router: the one table of routes, each with its scope
//!             │ layers    every request: told to the observer, oversized bodies refused, answers never cached
//!             │ auth      the token's scopes, before anything of the body is read
//!             ▼
//!           routes/<resource>   ask the store, start runs; what they answer is shaped in view/<resource>
//! ```
//!
//! The command line asks the same router, over HTTP when a server runs and in its own process otherwise, so what
//! it can do is what the API can do.
//!
//! Invariant: no rule of a sync lives here. No secret and nothing personal gets into a URL, a log line or a metric, but for
//! the secret in the path of a hook, of which the template is told;
//! a token's value is in exactly one answer, the one that makes it.

mod answer;
mod api;
mod auth;
mod descriptors;
mod extract;
mod idle;
mod layers;
mod openapi;
mod paging;
mod problem;
mod refusal;
mod router;
mod routes;
mod serve;
mod shapes;
mod signature;
mod view;

pub use auth::Scope;
pub use router::{RouteSpec, router, routes};
pub use serve::serve;
