//! One run: fetch → decode → map → spool → plan → journal → commit → observe.
//!
//! [`Runner`] starts runs and knows which go on. A run reads (`reading`) without changing anybody, plans
//! (`planning`) into a journal, then commits (`committing`) what the journal says. Planning and committing
//! of different feeds take turns, so a plan always rests on what is there. [`Hooks`] starts runs where a source says that
//! somebody changed, and [`Runner::keep_schedules`] when their time has come.

mod active;
mod again;
mod approving;
mod arrivals;
mod asking;
mod badges;
mod beginning;
mod by_hand;
mod committing;
mod deciding;
mod delivery;
mod eraser;
mod explain;
mod failure;
mod feed;
mod guarding;
mod holding;
mod hooks;
mod inviting;
mod journaling;
mod log;
mod mailing;
mod planning;
mod preview;
mod profiles;
mod progress;
mod readback;
mod reading;
mod rebasing;
mod recalling;
mod recovery;
mod restart;
mod review;
mod run;
mod runner;
mod scheduling;
mod stopping;
mod tally;
mod timetable;
mod undo;
mod undoing;
mod unfinished;

pub use active::Active;
pub use arrivals::Arrival;
pub use badges::BadgeLooks;
pub use by_hand::{Desk, Refusal};
pub use deciding::DecideError;
pub use delivery::Unreadable;
pub use eraser::EraseError;
pub use explain::{ExplainError, Explanation, Look, Subject, Whose};
pub use failure::Failure;
pub use feed::{Extent, Feed, SourceEntry};
pub use hooks::{HookError, Hooks};
pub use inviting::Uninvited;
pub use mailing::Mailing;
pub use preview::{Preview, PreviewPage, PreviewPlan, PreviewRecord, Unplanned};
pub use profiles::{Looked, Unfit};
pub use progress::{Phase, Progress};
pub use readback::values_digest;
pub use recovery::Kept;
pub use review::{ReviewError, ReviewItem};
pub use runner::{Request, Runner, StartError, Started};
pub use stopping::Stopping;
pub use timetable::{Shut, Timing};
pub use undo::UndoError;

pub use crate::source::{Onward, ShownAnswer, ShownRequest, Suggestion};
