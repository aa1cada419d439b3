//! The API: the real router, and the real server where the wire matters, on a store filled by a real sync.

mod access;
mod audit;
mod bodies;
mod described;
mod events;
pub mod fixture;
mod follow;
mod people;
mod runs;
mod wire;
