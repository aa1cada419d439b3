//! The command line. It holds no rules: every verb but `serve`, `check`, `presets` and the demos is a request to the API, sent
//! to the running server or, when there is none, answered by the same router in this process.

mod args;
mod audit;
mod check;
mod client;
mod decide;
mod demo;
mod dump;
mod erase;
mod error;
mod explain;
mod key;
mod load;
mod mapping;
mod pause;
mod presets;
mod preview;
mod print;
mod rebuild;
mod review;
mod runs;
mod serve;
mod start;
mod status;
mod sync;
mod token;
mod writeback;

pub use start::main;
