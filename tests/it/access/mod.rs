//! Who may enter, and the parts of the community, over the real router.

mod arrivals;
mod audiences;
mod badges;
mod crowd;
mod doors;
mod filters;
