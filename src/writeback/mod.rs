//! What goes back: login links and event passwords are sent to the sources that want them, each with a receipt.
//!
//! The store makes passes and receipts in the batch that makes their attendee ([`crate::store::PassWrite`]); here they are sent.
//! A receipt says that it is being sent before the request leaves, so that a kill in between is never silent. That the
//! source has the values is read back by the next sync.
//!
//! Invariant: a token or a password is opened for one request, and reaches no log, label or error.

mod issuing;
mod round;
mod writebacks;

pub use issuing::issuing;
pub use writebacks::{ReceiptRow, Writebacks};
