//! When feeds are synced by themselves: what is said of it, and what a pause is.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use super::cron::Cron;
use super::duration::{parse_duration, spell_duration};
use super::ids::RunId;

/// When a feed is synced by itself. Which of the parts counts depends on the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub kind: ScheduleKind,
    /// Of `daily`, and of `phases` until the event begins.
    #[serde(default)]
    pub at: Option<TimeOfDay>,
    /// Of `every`.
    #[serde(default)]
    pub every: Option<Span>,
    /// Of `cron`.
    #[serde(default)]
    pub cron: Option<Cron>,
    /// Of `phases`: until then, nothing happens by itself.
    #[serde(default)]
    pub live_at: Option<Timestamp>,
    #[serde(default)]
    pub final_sync: Option<FinalSync>,
    /// Over how long feeds of the same time are spread.
    #[serde(default)]
    pub jitter: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Only by hand.
    Off,
    Hourly,
    /// At a time of day, in the event's zone.
    Daily,
    /// At an interval, counted from 1970 in UTC.
    Every,
    /// In the event's zone.
    Cron,
    /// By hand until the event goes live, then daily, hourly while it takes place, and a last time after it.
    Phases,
}

impl ScheduleKind {
    pub const ALL: [Self; 6] = [Self::Off, Self::Hourly, Self::Daily, Self::Every, Self::Cron, Self::Phases];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Every => "every",
            Self::Cron => "cron",
            Self::Phases => "phases",
        }
    }
}

impl Schedule {
    /// One of which nothing but the kind is said.
    pub const fn of(kind: ScheduleKind) -> Self {
        Self { kind, at: None, every: None, cron: None, live_at: None, final_sync: None, jitter: None }
    }

    pub fn is_on(&self) -> bool {
        self.kind != ScheduleKind::Off
    }
}

/// A time of day, to the minute: `03:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(pub Time);

/// A duration that people write and read: `15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// After what time a success is the last that is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum FinalSync {
    At(Timestamp),
    /// So long after the event's end: `1d after end`.
    AfterEnd(Duration),
}

const AFTER_END: &str = " after end";

/// Why a text of a schedule is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleTextError {
    #[error("must be a time of day to the minute, e.g. \"03:00\"")]
    TimeOfDay,
    #[error("must be a duration, e.g. \"15m\" or \"1h30m\"")]
    Span,
    #[error("must be a time with its zone, or a while after the event, e.g. \"1d after end\"")]
    FinalSync,
}

impl TimeOfDay {
    pub fn parse(text: &str) -> Result<Self, ScheduleTextError> {
        let time = text.parse::<Time>().ok().filter(|_| text.contains(':'));
        let whole = time.filter(|time| time.second() == 0 && time.subsec_nanosecond() == 0);
        whole.map(Self).ok_or(ScheduleTextError::TimeOfDay)
    }
}

impl Span {
    pub fn parse(text: &str) -> Result<Self, ScheduleTextError> {
        parse_duration(text).map(Self).ok_or(ScheduleTextError::Span)
    }
}

impl FinalSync {
    pub fn parse(text: &str) -> Result<Self, ScheduleTextError> {
        let parsed = match text.strip_suffix(AFTER_END) {
            Some(span) => parse_duration(span).map(Self::AfterEnd),
            None => text.parse().ok().map(Self::At),
        };
        parsed.ok_or(ScheduleTextError::FinalSync)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&spell_duration(self.0))
    }
}

impl fmt::Display for FinalSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => at.fmt(f),
            Self::AfterEnd(span) => write!(f, "{}{AFTER_END}", spell_duration(*span)),
        }
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = ScheduleTextError;

            fn try_from(text: String) -> Result<Self, ScheduleTextError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )*};
}

as_text!(TimeOfDay, Span, FinalSync);

/// Nothing of an event is synced by itself until somebody lifts it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// As it stands in a sentence.
    pub by: String,
    pub at: Timestamp,
    pub why: PauseReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    ByHand,
    /// This run was undone, and a sync would bring back what it did.
    Undo(RunId),
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByHand => f.write_str("by hand"),
            Self::Undo(run) => write!(f, "run {run} was undone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for (text, spelled) in [("03:00", "03:00"), ("23:59:00", "23:59")] {
            assert_eq!(TimeOfDay::parse(text).map(|time| time.to_string()).as_deref(), Ok(spelled));
        }
        for text in ["1d after end", "1h30m after end", "2026-06-01T09:00:00Z"] {
            assert_eq!(FinalSync::parse(text).map(|at| at.to_string()).as_deref(), Ok(text));
        }
        for bad in ["3", "24:00", "03:00:30", "", "3 pm"] {
            assert_eq!(TimeOfDay::parse(bad), Err(ScheduleTextError::TimeOfDay), "{bad}");
        }
        for bad in ["after end", " after end", "1d", "tomorrow", "-1d after end", "2026-06-01"] {
            assert_eq!(FinalSync::parse(bad), Err(ScheduleTextError::FinalSync), "{bad}");
        }
        assert_eq!(Span::parse("90s").map(|span| span.to_string()).as_deref(), Ok("1m30s"));
    }

    #[test]
    fn it_is_stored_as_people_write_it_and_what_is_not_said_may_lack() {
        let schedule: Schedule =
            serde_json::from_str(r#"{"kind": "daily", "at": "03:00", "final_sync": "1d after end"}"#).unwrap();
        assert_eq!(schedule.final_sync, Some(FinalSync::AfterEnd(Duration::from_secs(86_400))));
        let text = serde_json::to_string(&schedule).unwrap();
        assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule, "{text}");
        let pause = Pause { by: "x".into(), at: Timestamp::UNIX_EPOCH, why: PauseReason::Undo(RunId(7)) };
        let text = serde_json::to_string(&pause).unwrap();
        assert_eq!(serde_json::from_str::<Pause>(&text).unwrap(), pause, "{text}");
    }
}
