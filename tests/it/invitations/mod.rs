//! Invitations: who gets a mail, how often, and what becomes of it when something goes wrong.

mod half_done;
mod once;
mod pace;
mod peer;
pub mod post;
mod settings;
mod undone;
