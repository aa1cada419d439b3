//! What a test's thread logs, as text.

use std::io;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use tracing::dispatcher::{DefaultGuard, Dispatch};
use tracing::subscriber::NoSubscriber;

/// Hears nothing, for as long as the process lives.
///
/// While one subscriber alone is known, `tracing` asks the subscriber of whichever thread comes first to a line
/// whether anybody wants that line, and keeps the answer for all threads. A test on another thread, which has none,
/// would answer no. Of two, all are asked.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// Hears the thread it was made on until it is dropped.
pub struct Heard {
    lines: Lines,
    _until_dropped: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub fn from(level: tracing::Level) -> Self {
        LazyLock::force(&SECOND);
        let lines = Lines::default();
        let to = lines.clone();
        let log =
            tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(move || to.clone()).finish();
        Self { lines, _until_dropped: tracing::subscriber::set_default(log) }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.lines.0.lock()).into_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
