//! Each preset against a system of its vendor's shapes and traps, which knows the truth: the store follows it through a
//! first sync, changes and cancellations.

mod commands;
mod eventbrite;
mod hievents;
mod indico;
mod plain;
mod pretix;
mod story;
mod swoogo;
mod tito;
mod truth;
