//! A bundled registration system to try Rollcall with: it makes people up and lists them over HTTP.
//!
//! Tests and benchmarks read from it too, so it must never be the slow end: pages are kept rendered, and
//! what is not kept is rendered by hand at memory speed.
//!
//! Invariant: a record depends on the seed, its number and its version alone. Nothing here reads the time of
//! day, uses a random source of the machine or imports another module of the crate but `limits`.

mod config;
mod control;
mod dice;
mod fake;
mod gco;
mod record;
mod roster;
mod server;
mod words;

pub use config::config_toml;
pub use fake::{EVENT, Fake, FakeOptions, TOKEN, TOKEN_VARIABLE};
pub use roster::{Expected, ExpectedState};
