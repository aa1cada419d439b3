//! The sections of the file: what each key means and which rules its value must keep.

mod access;
mod auth;
mod budget;
mod credential;
mod errors;
mod event;
mod field;
mod format;
mod hook;
mod incremental;
mod invitations;
mod login;
mod mail;
mod mapping;
mod pagination;
mod partition;
mod push;
mod request;
mod safety;
mod schedule;
mod server;
mod sign_in;
mod source;
mod text;

pub(super) use event::{Declared, read_event};
pub use event::{custom_fields, validate_event};
pub use invitations::validate_invitations;
pub(super) use mail::read_mail;
pub(super) use server::{read_log, read_server, read_store};
pub(super) use source::read_source;
pub use source::source_placeholders;
