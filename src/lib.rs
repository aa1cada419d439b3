//! Keeps an event's attendees, groups and sync history in step with the registration system they come from.
//!
//! Every sync is a plan; a plan is a file; applying it is idempotent. No person changes while a source is read:
//!
//! ```text
//! source ──► decode ──► map ──► spool ──► plan ──► journal ──► commit ──► observe
//! HTTP,      bytes to   jq to   what      by       one file    sled, one   metrics,
//! budget,    records    person  differs   person   per run     batch at    history,
//! retries                                                      a time      log
//! ```
//!
//! Follow a run from [`sync::Runner::start`]: it reads ([`source`], [`decode`], [`mapping`]), plans ([`plan`]) into a
//! [`journal`], and commits to the [`store`]. The core ([`model`], [`codec`], [`decode`], [`mapping`], [`letter`], [`plan`], [`schedule`])
//! is pure;
//! edges do I/O behind one type each; [`login`] signs people in; [`app`] wires them; [`http`] and [`cli`] are the doors. ARCHITECTURE.md has the map.

#![forbid(unsafe_code)]

pub mod app;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod config;
pub mod decode;
pub mod demo;
pub mod faults;
pub mod http;
pub mod invite;
pub mod journal;
pub mod letter;
pub mod limits;
pub mod login;
pub mod mapping;
pub mod model;
pub mod observe;
pub mod plan;
pub mod schedule;
pub mod source;
pub mod store;
pub mod sync;
pub mod writeback;
