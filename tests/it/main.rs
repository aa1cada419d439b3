//! Black-box tests: a real store in a temporary folder, real HTTP on loopback. Only the clock is a fake.

mod abuse;
mod api;
mod by_hand;
mod cli;
mod ends;
mod explain;
mod fixtures;
mod follow;
mod formats;
mod garbage;
mod golden;
mod guide;
mod held;
mod hooks;
mod hostile;
mod kills;
mod logins;
mod power;
mod preview;
mod properties;
mod resume;
mod review;
mod steps;
mod support;
mod traps;
mod vendors;
