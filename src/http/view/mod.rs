//! The shapes of answers: what the API promises, apart from what the store holds.
//!
//! Invariant: only shapes. A view asks nobody; it is made of what the route has found.

mod access;
mod audit;
mod by_hand;
mod change;
mod erasure;
mod event;
mod explain;
mod export;
mod group;
mod invitation;
mod journey;
mod mapping;
mod person;
mod preview;
mod review;
mod run;
mod safety;
mod schedule;
mod sign_in;
mod source;
mod token;
mod writeback;

pub use access::{AccessSettings, AccessView, AudienceMemberView, AudienceSizeView, BadgeView, GroupText, InvitedView};
pub use audit::{AuditActionView, AuditEntryView};
pub use by_hand::Choice;
pub use change::{ChangeAction, ChangeView, PositionView};
pub use erasure::{CompactionView, ErasureView, TombstoneView};
pub use event::{AttendeeCounts, EventSavedView, EventStatusView, EventView, FeedView, LinksView, StatusView};
pub use explain::{ExplainedView, FeedExplanationView, LookView};
pub use export::{ExportView, ExportedChangeView, ExportedRegistrationView, WaitingRecordView};
pub use group::GroupView;
pub use invitation::{
    EventInvitationView, ExistingView, InvitationCounts, LetterView, OutboxItemView, TemplateView, template_of,
};
pub use mapping::MappingView;
pub use person::{AttendeeView, UserView};
pub use preview::PreviewView;
pub use review::ReviewItemView;
pub use run::{EndedView, LogLineView, ProgressView, RunView, StartedView, SyncView};
pub use safety::{DecisionView, DoubtView, GuardView, MissingView};
pub use schedule::{EventPauseView, ScheduleView, TimingView};
pub use sign_in::{RefreshView, SignInView, SignedInView, SignedOutView};
pub use source::{BudgetWindowView, PauseView, SourceErrorView, SourceFeedView, SourceView};
pub use token::{NewTokenView, TokenView};
pub use writeback::{PassView, ReceiptStateView, ReceiptView, WritebackView};
