//! The source engine: reads a registration system's list over HTTP, politely and to its end, or says why not.
//!
//! ```text
//! Source ──read──► Read: Page, Page, …, End | Failed
//!   │ client   one exchange: signed, timed, capped; never another origin than the base URL's
//!   │ budget   windows and the source's own pauses, shared by every read; the ledger outlives the process
//!   ▼
//! read      the loop over pages, one task, a bounded number of pages ahead
//!   ├─ request   templates and params → the request of a page
//!   ├─ fetch     budget, retries, redirects
//!   ├─ page      response → records and what they say about the list
//!   └─ paginate  which page is next; the guard against loops
//! ```
//!
//! Invariant: a credential goes to the base URL's origin alone and appears in no error, log line or `Debug` output.
//! A read that was not complete ends in [`ReadEvent::Failed`].

mod auth;
mod budget;
mod budget_headers;
mod client;
mod fault;
mod fetch;
mod keep;
mod ledger;
mod ledger_form;
mod link;
mod page;
mod paginate;
mod read;
mod request;
mod retry;
#[allow(clippy::module_inception, reason = "the type is the module's name giver")]
mod source;

#[cfg(test)]
mod tests;

pub use budget::{Allowance, WindowLeft};
pub use client::SourceError;
pub use keep::{Keep, KeepError};
pub use read::{Page, Read, ReadEvent, WaitReason};
pub use source::Source;
