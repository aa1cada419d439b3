//! What a run says of itself, for its line in history.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::Clock;
use crate::limits::RUN_LOG_LINES_MAX;
use crate::model::{Level, LogLine, Traffic};

/// What a run says of itself while it goes on.
pub struct RunLog {
    clock: Clock,
    pub lines: Vec<LogLine>,
    pub traffic: Traffic,
}

impl RunLog {
    pub fn new(clock: Clock) -> Self {
        Self { clock, lines: Vec::new(), traffic: Traffic::default() }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The source is shut for so long; told as a time, for who reads it later.
    pub fn opens_in(&mut self, shut: Option<Duration>) {
        if let Some(at) = shut.and_then(|shut| self.clock.now().checked_add(shut).ok()) {
            self.add(Level::Info, format!("the source can be asked again at {at:.0}"));
        }
    }

    /// The first lines are kept; how the run ended is added when it ends.
    pub fn add(&mut self, level: Level, text: String) {
        if self.lines.len() < RUN_LOG_LINES_MAX {
            self.lines.push(LogLine { at: self.clock.now(), level, text });
        }
    }
}
