//! The word that the process is to end.

use tokio::sync::watch;

/// Said once, heard by whoever has a clone. Runs that read end then, commits pause after the batch under way,
/// and nothing new begins.
#[derive(Debug, Clone, Default)]
pub struct Stopping {
    said: watch::Sender<bool>,
}

impl Stopping {
    pub fn say(&self) {
        self.said.send_replace(true);
    }

    pub fn is_said(&self) -> bool {
        *self.said.borrow()
    }

    /// Waits for the word; never ends without it.
    pub async fn heard(&self) {
        let mut said = self.said.subscribe();
        // The sender is this very value, so waiting cannot fail.
        let _ = said.wait_for(|said| *said).await;
    }
}
