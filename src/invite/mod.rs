//! Mails to one SMTP server, and the order in which they go.
//!
//! Invariant: no address and nothing that a server wrote reaches a log or an error; a message's id depends on whom it
//! invites and where alone, so that whoever gets it twice can tell.

mod message;
mod outbox;
mod smtp;

pub use message::{Mail, MessageKey};
pub use outbox::{Outbox, Waiting, backoff};
pub use smtp::{Delivery, Smtp, SmtpError};
