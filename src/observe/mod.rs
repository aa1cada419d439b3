//! What is told to the log and to Prometheus: one method per fact, which owns both the log line and the metric.
//! Nobody else names a metric.
//!
//! Invariant: no label and no log line holds an id of a person, a URL or a value of a record.

mod answers;
mod catalogue;
mod log;
mod observer;
mod outcomes;
mod process;
mod scrape;
mod sign_ins;
mod stages;
mod writebacks;

pub use catalogue::{CATALOGUE, Kind, Metric};
pub use log::{Format, init_log};
pub use observer::Observer;
pub use outcomes::{HookOutcome, MailOutcome, RefreshOutcome, ResponseCode, SignInOutcome};
pub use scrape::{BudgetFacts, EventFacts, Facts, FeedFacts, ReceiptFacts, SignInFacts};
pub use stages::Stages;
