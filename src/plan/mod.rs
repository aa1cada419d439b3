//! The plan: state, records and policy become one change per person.
//!
//! Everything here is decided from its arguments alone, so that a dry run and the sync that follows agree, the
//! order of pages and records cannot matter, and planning again after a commit gives nothing.
//!
//! Invariant: pure. No clock (`now` is given), no I/O.

mod access;
mod attendance;
mod detail;
mod duplicates;
mod edit;
mod erase;
mod explain;
mod guard;
mod invitation;
mod merge;
mod moves;
mod person;
mod profile;
mod rank;
mod rebase;
mod receipts;
mod review;
mod route;
mod sign_in;
mod undo;

pub use access::access;
pub use detail::{Detail, details};
pub use duplicates::Version;
pub use edit::{Locked, edit, protect, set_attendance, set_membership};
pub use explain::{Answer, Evidence, LastDone, Question, Step, explain};
pub use guard::{Figures, Limits, reasons_to_hold, reasons_to_look};
pub use invitation::{invite, invited};
pub use merge::Arriving;
pub use moves::{Arrival, Mover, Verdict, resolve};
pub use person::{Inputs, Policy, action, plan_person, visible};
pub use profile::Stamp;
pub use rank::Rank;
pub use rebase::{Conflict, Derivation, rebase};
pub use receipts::{ReceiptChange, after as receipt_after, receipts, values_of};
pub use review::{Finding, Matter, Review, shares_email, used_ids};
pub use route::{Candidate, Facts, Known, Role, Route, Target, Task, losers, route};
pub use sign_in::{SignedIn, admit};
pub use undo::{Obstacle, Undone, undo};
