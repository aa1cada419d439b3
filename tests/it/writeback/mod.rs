//! Two-way: people come in, login links and event passwords go back, and one can see that they arrived.

mod gco;
mod mapping;
mod other;
mod story;
mod trouble;
