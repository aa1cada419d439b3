//! Each preset against a system of its vendor's shapes and traps, which knows the truth: the store follows it through a
//! first sync, changes and cancellations.

mod plain;
mod story;
mod truth;
