//! Keepsakes in memory: what the store does for the real program.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
use parking_lot::Mutex;

use crate::model::{ChildKey, CommunityKey, ErrorReason, Keepsake};
use crate::source::{Keep, KeepError};

#[derive(Default)]
pub struct Memory {
    kept: Mutex<BTreeMap<Keepsake, Vec<u8>>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How often something was kept.
    count: usize,
    /// Nothing can be kept; is it that the disk is full?
    failing: Option<bool>,
    key: u8,
}

impl Memory {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// How often something was kept.
    pub fn kept(&self) -> usize {
        self.state.lock().count
    }

    /// From now on nothing can be kept, or all can again.
    pub fn fail(&self, is_disk_full: Option<bool>) {
        self.state.lock().failing = is_disk_full;
    }

    /// From now on the key is another.
    pub fn change_key(&self) {
        self.state.lock().key += 1;
    }
}

impl Keep for Memory {
    fn key(&self) -> ChildKey {
        CommunityKey::new([self.state.lock().key; 32]).child("test")
    }

    fn load(&self, what: Keepsake) -> Option<Vec<u8>> {
        self.kept.lock().get(&what).cloned()
    }

    fn keep(&self, what: Keepsake, value: Vec<u8>) -> BoxFuture<'_, Result<(), KeepError>> {
        let mut state = self.state.lock();
        if let Some(is_disk_full) = state.failing {
            let message = "the disk says no".to_owned();
            return future::ready(Err(KeepError {
                reason: if is_disk_full { ErrorReason::DiskFull } else { ErrorReason::Store },
                problem: message,
            }))
            .boxed();
        }
        state.count += 1;
        self.kept.lock().insert(what, value);
        future::ready(Ok(())).boxed()
    }
}
