//! The part of jq that nearly every mapping is made of, answered from the record's text without jaq.
//!
//! [`Native::of`] translates jaq's syntax tree where every part of it is known here; else there is no native
//! form. [`Native::run`] evaluates and may at any moment say [`Unsure`]: on any error, on whatever jaq might
//! judge otherwise, on much work. Then jaq evaluates the same expression from the beginning. So there is one
//! judge of what is an error and of what is too much, and here only answers that are jaq's own.
//!
//! Invariant: where an answer is given, jaq gives the same, without a failure. A property test holds it.

mod evaluate;
mod filters;
mod node;
mod number;
mod piece;
#[cfg(test)]
mod tests;
mod translate;

pub(super) use evaluate::{Input, Unsure};
pub(super) use node::Native;
pub(super) use piece::Piece;
