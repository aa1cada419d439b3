//! What organisers do by hand, over the real router, with real syncs before and after.

mod fields;
mod groups;
mod model;
mod places;
mod syncs;
pub mod world;
