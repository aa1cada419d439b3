//! Keeps an event's attendees, groups and sync history in step with the registration system they come from.

#![forbid(unsafe_code)]

pub mod app;
pub mod clock;
pub mod codec;
pub mod config;
pub mod decode;
pub mod demo;
pub mod journal;
pub mod limits;
pub mod mapping;
pub mod model;
pub mod observe;
pub mod plan;
pub mod source;
pub mod store;
pub mod sync;
