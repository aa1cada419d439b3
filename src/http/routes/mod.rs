//! The routes, by resource. Each asks the store or the runner, and shapes what it found with a view.

pub mod access;
pub mod attendees;
pub mod audiences;
pub mod audit;
pub mod badges;
pub mod changes;
pub mod decide;
pub mod erasures;
pub mod events;
pub mod explain;
pub mod export;
pub mod follow;
pub mod groups;
pub mod health;
pub mod hooks;
pub mod invitations;
pub mod keys;
pub mod logins;
pub mod pauses;
pub mod preview;
pub mod review;
pub mod runs;
pub mod sources;
pub mod sync;
pub mod tokens;
pub mod users;
