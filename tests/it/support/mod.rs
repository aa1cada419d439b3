//! What the tests share: a list server, an appliance on it, the real binary, and texts of what a store holds.

mod album;
mod appliance;
mod binary;
mod dice;
mod dump;
mod indexes;
mod lists;
mod scripted;

pub use album::{Album, Image, copy_data};
pub use appliance::{Appliance, SOURCE_TOKEN};
pub use binary::{Installation, Program, until};
pub use dice::{Dice, noise};
pub use dump::{plan_text, store_text, without_runs};
pub use indexes::{People, attendees, check_indexes, check_indexes_amid_a_commit, everybody};
pub use lists::ListServer;
pub use scripted::{Asked, Scripted, json};

/// Event `e`, fed by the list `s` of a list server at `URL`.
pub const ONE_FEED: &str = r#"
[source.s]
base_url = "URL"
[source.s.guard]
enabled = false
[source.s.request]
path = "s"
[source.s.auth]
kind = "bearer"
token = { env = "SOURCE_TOKEN" }
[source.s.pagination]
kind = "page"
param = "page"
[source.s.records]
select = ".items[]"
[source.s.mapping]
external_id = ".id"
email = ".email"
first_name = ".first"
last_name = ".last"
biography = ".biography"
[source.s.states]
removed_when = '.status == "cancelled"'
delete_when = ".erase"
[source.s.groups]
from = ".groups"
[event.e]
title = "The event"
[[event.e.feed]]
source = "s"
"#;
