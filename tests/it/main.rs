//! Black-box tests: a real store in a temporary folder, real HTTP on loopback. Only the clock is a fake.

mod abuse;
mod api;
mod cli;
mod fixtures;
mod garbage;
mod golden;
mod properties;
mod support;
