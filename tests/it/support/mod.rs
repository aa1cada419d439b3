//! What the tests share: a list server, an appliance on it, the real binary, and texts of what a store holds.

mod appliance;
mod binary;
mod dump;
mod indexes;
mod lists;

pub use appliance::{Appliance, SOURCE_TOKEN};
pub use binary::{Installation, Program, until};
pub use dump::{plan_text, store_text};
pub use indexes::{People, check_indexes, check_indexes_amid_a_commit, everybody};
pub use lists::ListServer;
