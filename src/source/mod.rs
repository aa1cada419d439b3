//! The source engine: reads a registration system's list over HTTP, politely and to its end, or says why not.
//!
//! ```text
//! Source ──read──► Read: Page, Page, …, End | Failed
//!   │ client   one exchange: signed, timed, capped; never another origin than the base URL's
//!   │ auth     what a request shows; `login` comes by it where it is a token, once for every read
//!   │ budget   windows and the source's own pauses, shared by every read
//!   │ budget   windows and the source's own pauses, shared by every read; the ledger outlives the process
//!   ▼
//! read      its lists, one for each parent: one task, a bounded number of pages ahead
//! walk      one list, page by page
//!   ├─ request   templates and params → the request of a page
//!   ├─ fetch     budget, retries, redirects
//!   ├─ rules     what an answer means, by the source's rules and by its status
//!   ├─ page      response → records and what they say about the list
//!   ├─ paginate  which page is next; the guard against loops
//!   └─ watermark how far the source was read, in its own time
//! ```
//!
//! `single` reads only the records that hooks named, each by a request of its own.
//! [`Badges`] looks whether attendees' badges are where they are said to be: the only requests to other hosts.
//! [`Glimpse`] is the first page alone, to look at: what was asked and came, masked, and what it suggests.
//!
//! Invariant: a credential goes to the base URL's origin alone, what a login asks for it to the login's, and both appear in no error, log line or `Debug` output.
//! A read that was not complete ends in [`ReadEvent::Failed`].

mod auth;
mod badge;
mod bookmark;
mod budget;
mod budget_headers;
mod caller;
mod client;
mod clues;
mod fault;
mod fetch;
mod glimpse;
mod header;
mod identity;
mod keep;
mod ledger;
mod ledger_form;
mod link;
mod list;
mod login;
mod mask;
mod page;
mod paginate;
mod partition;
mod push;
mod read;
mod request;
mod retry;
mod rules;
mod single;
#[allow(clippy::module_inception, reason = "the type is the module's name giver")]
mod source;
mod suggest;
mod walk;
mod watermark;

#[cfg(test)]
mod tests;

pub use badge::Badges;
pub use bookmark::Bookmark;
pub use budget::{Allowance, WindowLeft};
pub use client::SourceError;
pub use glimpse::{Glimpse, Onward, ShownAnswer};
pub use identity::{Grant, Handed, Identity, IdentityError, Profile, Secrets, Unbelievable};
pub use keep::{Keep, KeepError};
pub use mask::ShownRequest;
pub use push::{PushFailure, PushItem, PushedValues};
pub use read::{End, Page, Read, ReadEvent, Start, WaitReason};
pub use source::Source;
pub use suggest::Suggestion;
