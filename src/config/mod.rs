//! The configuration: one TOML file, every fault reported at once, secrets that cannot print.
//!
//! [`Config::load`] turns the file into a [`Config`] in which every bound and cross-reference holds, or into the list
//! of everything that is wrong with it, each fault with its line, its key and what to do about it.
//!
//! Invariant: reads the configuration file and the secrets it names, nothing else; changes nothing.

mod connector;
mod environment;
mod fault;
mod hook;
mod load;
mod mail;
mod parts;
mod preset;
mod push;
mod read;
mod secret;
mod sign_in;
mod spec;
mod suggest;
mod template;
mod units;
mod unsaved;

#[cfg(test)]
mod tests;

pub use connector::{CredentialScope, CredentialSpec};
pub use environment::Environment;
pub use fault::{ConfigError, Fault, Warning};
pub use hook::{HookEvent, HookProof, HookRecord, HookSpec, SignatureSpec, SignatureText};
pub use mail::{MailAddress, MailLogin, MailSpec, MailTls};
pub use parts::{custom_fields, source_placeholders, validate_event, validate_invitations};
pub use preset::{FilledIn, PRESETS, Preset};
pub use push::{PassValue, PushSpec};
pub use sign_in::{EndpointsSpec, ProfileFrom, ProviderSpec, SignInSpec};
pub use spec::*;
pub use suggest::nearest;
pub use template::{CURSOR, HOOK_ID, SINCE, Template, TemplateError, Vars, percent_encode};
pub use units::parse_duration;
pub use unsaved::{Unsaved, read_unsaved, written_out};
