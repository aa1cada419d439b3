//! What the tests share: a list server, an appliance on it, and texts of what it holds.

mod appliance;
mod binary;
mod dump;
mod lists;

pub use appliance::{Appliance, SOURCE_TOKEN};
pub use binary::{Installation, Program, until};
pub use dump::{plan_text, store_text};
pub use lists::ListServer;
