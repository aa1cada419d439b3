//! Kills: the real binary is killed with SIGKILL at random instants, over syncs that create, update, move between
//! groups, remove and delete. Whatever it had acknowledged must be there afterwards, nobody may be half changed, and
//! in the end everything must be as if nothing had happened.
//!
//! `ROLLCALL_KILLS` sets how many kills, `ROLLCALL_KILLS_SEED` repeats what a failure printed.

mod disk;
mod left_open;
mod list;
mod tests;
mod trial;
mod witness;
