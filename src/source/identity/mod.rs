//! A provider with which people sign in.

mod profile;

pub use profile::Profile;
