//! Hooks: a source says that somebody changed, and is asked.

mod effects;
mod gathering;
mod refusals;
mod served;
mod shut;
mod system;
mod vendors;
