//! Letters: an invitation's template becomes the mail of one person.
//!
//! A template is checked when it is saved, so that it does not fail when it is sent: every name in it must be one of
//! [`names`], and it is filled in for somebody who has a value for each.
//!
//! Invariant: pure. No clock, no I/O. What a template may use of memory and time is bounded.

mod render;
mod values;

pub use render::{Letter, LetterFault, check, render};
pub use values::{EVENT_NAMES, names, sample};
