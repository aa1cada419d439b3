//! Reads TOML by asking for keys, and collects every fault instead of stopping at the first.
//!
//! A [`Section`] is a table that remembers which keys it was asked for, so that the others can be reported; an
//! [`Item`] is a value with its place; [`Findings`] is what came out of it all. A preset's table may lie under the
//! operator's.
//!
//! Invariant: knows nothing of what the keys mean, and never shows a value of its own accord in a type error.

mod findings;
mod item;
mod layers;
mod place;
mod section;

pub(super) use findings::Findings;
pub(super) use item::{Children, Item, shown};
pub(super) use place::Place;
pub(super) use section::Section;
