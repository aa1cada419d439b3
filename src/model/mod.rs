//! The words of Rollcall as types: identifiers, people, registrations, records, changes, runs.
//!
//! Invariant: nothing here reads a clock, does I/O or imports another module of the crate.

mod access;
mod audience;
mod audit;
mod badge;
mod by_hand;
mod change;
mod cron;
mod digest;
mod duration;
mod email;
mod erasure;
mod event;
mod field;
mod group;
mod ids;
mod invitation;
mod journey;
mod keepsake;
mod mapping_key;
mod pass;
mod person;
mod record;
mod run;
mod safety;
mod schedule;
mod sign_in;

pub use access::{Access, AccessReason, Admission, Page, Standing};
pub use audience::{Audience, Condition, Folded, Invited, Place};
pub use audit::{Actor, AuditAction, AuditEntry, AuditId};
pub use badge::{BadgeFound, BadgeLook};
pub use by_hand::{AttendanceByHand, ByHand, Decision, MembershipByHand, Override, Protected};
pub use change::{Action, Entry, NotUndone, PersonChange, RecordNote, Verdict};
pub use cron::{Cron, CronError};
pub use digest::Digest;
pub use duration::{parse_duration, spell_duration};
pub use email::{Email, EmailError, EmailKey};
pub use erasure::{
    Cleaned, ErasedBy, Erasure, ErasureId, Mark, Marker, SharedTombstones, Tombstone, TombstoneId, Tombstones, Traces,
};
pub use event::{Event, FeedPosition, FeedSettings, FeedState, Validators};
pub use field::{EventField, Field, FieldRule, Overwrite, UnknownField, Value};
pub use group::{Group, GroupKey, GroupName};
pub use ids::{
    ChildKey, CommunityKey, EventName, ExternalId, FeedId, NameError, PageName, PushName, RunId, SourceName, TokenId,
    UserId, UserNo,
};
pub use invitation::{Existing, InvitationTemplate, Invitations, Inviting};
pub use journey::{Invitation, InvitationState, Journey, Passage};
pub use keepsake::Keepsake;
pub use mapping_key::MappingKey;
pub use pass::{Issuing, Links, Pass, Receipt, ReceiptReason, ReceiptState, Target, Withdrawal};
pub use person::{Attendance, Owner, Person, ProfileField, Registration, RegistrationState};
pub use record::{MappedRecord, Outcome, Position, RecordState, RejectReason, Rejection, SkipReason};
pub use run::{Counts, ErrorReason, Level, LogLine, Run, RunError, RunOutcome, Traffic, Trigger};
pub use safety::{Doubt, DoubtKind, GuardSettings, Missing, SafetySettings};
pub use schedule::{FinalSync, Pause, PauseReason, Schedule, ScheduleKind, ScheduleTextError, Span, TimeOfDay};
pub use sign_in::{SignIn, SignInStanding};
