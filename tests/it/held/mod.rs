//! What the guard holds, and what becomes of it.

mod absence;
mod decisions;
mod figures;
mod kills;
pub mod people;
mod scenarios;
