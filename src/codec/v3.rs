//! The third schema version of what needed one, frozen.

use bincode::{BorrowDecode, Encode};

use super::v2;

#[derive(Encode, BorrowDecode)]
pub struct Event<'a> {
    /// JSON, which may grow without a version of its own.
    pub settings: &'a str,
}

/// What follows a [`super::v1::Person`], after a [`super::v2::ByHand`], of whom something is known of the way here.
#[derive(Encode, BorrowDecode)]
pub struct Journey<'a> {
    pub account_at_ms: Option<i64>,
    pub events: Vec<Passage<'a>>,
}

#[derive(Encode, BorrowDecode)]
pub struct Passage<'a> {
    pub event: u32,
    pub invitation: Option<Invitation<'a>>,
    pub first_access_at_ms: Option<i64>,
}

#[derive(Encode, BorrowDecode)]
pub struct Invitation<'a> {
    pub state: InvitationState,
    pub queued_at_ms: i64,
    pub changed_at_ms: i64,
    pub attempts: u32,
    pub serial: u32,
    pub next_try_at_ms: Option<i64>,
    pub failure: Option<&'a str>,
}

#[derive(Encode, BorrowDecode, Clone, Copy)]
pub enum InvitationState {
    Queued,
    Sending,
    Sent,
    Failed,
    Bounced,
    Skipped,
}

/// What follows a [`super::v2::EntryByHand`] in an entry of a person of whom something is known of the way here.
#[derive(Encode, BorrowDecode)]
pub struct EntryJourney<'a> {
    pub before: Option<Journey<'a>>,
    pub after: Option<Journey<'a>>,
}

#[derive(Encode, BorrowDecode)]
pub struct FeedState<'a> {
    pub before: v2::FeedState<'a>,
    pub last_began_ms: Option<i64>,
    pub last_success_began_ms: Option<i64>,
    pub failing_since_ms: Option<i64>,
}
