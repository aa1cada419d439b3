//! Garbage for every decoder: whatever the bytes are, each gives a value or an error, soon, and never panics.
//!
//! What is mutated is real: a page of the bundled registration system, the example configuration, the files and
//! values of a store that was synced from it. `PROPTEST_CASES` asks for more of each.

mod config;
mod expressions;
mod files;
mod formats;
mod json;
mod mutation;
mod requests;
mod values;
