//! The clock, injected. The core is given `now`; only edges and shell hold a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Tells the time of day. Cloning shares it.
#[derive(Debug, Clone)]
pub enum Clock {
    System,
    /// For tests: stands still until moved.
    Fixed(Arc<AtomicI64>),
    /// For tests: goes as tokio's clock does, which a test can stop.
    #[cfg(test)]
    Tokio(Timestamp, tokio::time::Instant),
}

impl Clock {
    /// A clock that stands at `start`, cut to milliseconds.
    pub fn fixed(start: Timestamp) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(start.as_millisecond())))
    }

    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let now = Timestamp::now();
                // Milliseconds are what history, API and journal keep.
                Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
            }
            Self::Fixed(millis) => {
                Timestamp::from_millisecond(millis.load(Ordering::Relaxed)).unwrap_or(Timestamp::UNIX_EPOCH)
            }
            #[cfg(test)]
            Self::Tokio(start, since) => start.saturating_add(since.elapsed()).unwrap_or(*start),
        }
    }

    /// Moves a fixed clock; others go as they do.
    pub fn advance(&self, by: SignedDuration) {
        if let Self::Fixed(millis) = self {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }
}
