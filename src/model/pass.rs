//! How an attendee gets in without an account: by a login link or an event password; and how far these went back to the
//! sources that want them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EventName, ExternalId, PushName, SourceName, UserId};

/// Login links and passwords of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// The address with `{token}`, and perhaps `{event}` and `{user}`, to be filled in.
    pub link: String,
    /// Characters of a password.
    pub password_length: u8,
}

/// What the store has to know to make the passes of an event and the receipts of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuing {
    /// Of the link's template: another one makes other links of the same tokens.
    pub link: u64,
    pub password_length: u8,
    pub targets: Vec<Target>,
}

/// What wants an event's links and passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub source: SourceName,
    pub push: PushName,
    /// Is it told, too, that there are none any more?
    pub withdraw: bool,
}

/// An attendee's token and password. It stays while the person does, so that who comes back has the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    pub event: EventName,
    pub id: UserId,
    /// From 1 on; one more each time it is made anew.
    pub edition: u32,
    pub made_at: Timestamp,
    /// Token and password, sealed.
    pub sealed: Vec<u8>,
    /// Ascending by source, push and external id.
    pub receipts: Vec<Receipt>,
}

/// How far the values of one registration went back to its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub source: SourceName,
    pub push: PushName,
    pub external_id: ExternalId,
    /// Stands for the values that are to be there; `None`: none are.
    pub wanted: Option<u64>,
    pub state: ReceiptState,
    /// Requests that were begun for these values.
    pub attempts: u32,
    pub changed_at: Timestamp,
    /// It is not tried before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<ReceiptReason>,
    /// A keyed digest of the values that were sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<u128>,
    /// Reads since then that did not show them.
    #[serde(default)]
    pub unseen: u32,
    /// The process ended between sending and saying so: the source may have been sent the same twice.
    #[serde(default)]
    pub in_doubt: bool,
    /// The source may have some values of this registration.
    #[serde(default)]
    pub reached: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptState {
    Pending,
    /// Pending, and a request was begun that has not ended, or the process ended first.
    Sending,
    Sent,
    /// Read back.
    Confirmed,
    Failed,
}

impl ReceiptState {
    /// Those that are told; what is being sent is pending.
    pub const TOLD: [Self; 4] = [Self::Pending, Self::Sent, Self::Confirmed, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending | Self::Sending => "pending",
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
        }
    }

    pub const fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::Sending)
    }
}

/// Why something is not there yet, or never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptReason {
    /// The source did not answer, or answered that it cannot now.
    Unavailable,
    /// The source does not accept our credential.
    Auth,
    /// Its allowance is used up.
    Quota,
    /// The source refused the request.
    Refused,
    /// The body's expression, or the request's fields, came to nothing usable.
    Unusable,
    /// It was sent, and two reads later the source still did not show it.
    NotShown,
    /// The source showed it, and then something else.
    Overwritten,
}

impl ReceiptReason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Auth => "auth",
            Self::Quota => "quota",
            Self::Refused => "refused",
            Self::Unusable => "unusable",
            Self::NotShown => "not_shown",
            Self::Overwritten => "overwritten",
        }
    }
}

/// What is to be taken back of somebody who is no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawal {
    pub event: EventName,
    pub receipt: Receipt,
}
