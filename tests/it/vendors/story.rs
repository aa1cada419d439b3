//! What happens to every list: it is read for the first time, read again as it was, and people change, cancel and come.

use rollcall::model::{Run, RunOutcome};

use super::truth::{State, Truth, View, stored};
use crate::support::{Appliance, Asked, Scripted};

/// An appliance on a vendor's system.
pub struct Stage {
    pub server: Scripted,
    pub appliance: Appliance,
    pub truth: Truth,
    pub view: View,
}

impl Stage {
    /// A sync, after which the store says what the system does. The requests it took.
    pub async fn sync(&self, what: &str) -> (Run, Vec<Asked>) {
        self.server.take();
        let run = self.appliance.sync("summit", "tickets", false, false).await;
        assert_eq!(run.outcome, Some(RunOutcome::Done), "{what}: {run:?}");
        assert_eq!(run.counts.reject, 0, "{what}: {run:?}");
        assert_eq!(stored(&self.appliance, "summit"), self.view.of(&self.truth.tickets()), "{what}");
        (run, self.server.take())
    }

    /// The whole of it. The requests of each sync, the first one's first.
    pub async fn play(&self) -> Vec<Vec<Asked>> {
        let mut asked = Vec::new();
        let (first, requests) = self.sync("the first sync").await;
        assert!(first.complete, "{first:?}");
        assert_eq!(first.counts.create, self.view.people, "{first:?}");
        asked.push(requests);
        let (again, requests) = self.sync("nothing changed").await;
        assert_eq!((again.counts.create, again.counts.update, again.counts.remove), (0, 0, 0), "{again:?}");
        asked.push(requests);
        self.truth.edit(107, |ticket| ticket.last = "Huberman".into());
        asked.push(self.sync("a changed name").await.1);
        self.truth.edit(106, |ticket| ticket.email = "zoe.ng@example.org".into());
        asked.push(self.sync("a changed email").await.1);
        self.truth.edit(101, |ticket| ticket.state = State::Cancelled);
        let (cancelled, requests) = self.sync("a cancellation").await;
        assert_eq!(cancelled.counts.remove, 1, "{cancelled:?}");
        asked.push(requests);
        self.truth.edit(102, |ticket| ticket.state = State::Cancelled);
        asked.push(self.sync("one of two tickets cancelled").await.1);
        self.truth.edit(104, |ticket| ticket.state = State::Attending);
        asked.push(self.sync("a pending one confirmed").await.1);
        self.truth.add(108, "katherine@example.org", "Katherine", "Johnson", "Speaker", State::Attending);
        asked.push(self.sync("a new one").await.1);
        self.truth.edit(101, |ticket| ticket.state = State::Attending);
        asked.push(self.sync("a cancellation taken back").await.1);
        asked
    }
}

/// A configuration: the source `tickets` of a preset, on a system at `URL`, for the event `summit`.
pub fn config(preset: &str, source: &str, params: &str) -> String {
    format!(
        "[source.tickets]\npreset = \"{preset}\"\nbase_url = \"URL\"\n{source}\n\
         [[event.summit.feed]]\nsource = \"tickets\"\nparams = {{ {params} }}\n"
    )
}

/// A page of a list, by number from 1, and how many there are.
pub fn page<T: Clone>(records: &[T], number: usize, size: usize) -> (Vec<T>, usize) {
    let pages = records.len().div_ceil(size).max(1);
    (records.iter().skip((number - 1) * size).take(size).cloned().collect(), pages)
}
