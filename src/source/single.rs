//! Records that hooks named: each is asked for by a request of its own.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fault::Fault;
use super::list::List;
use super::page::Understanding;
use super::partition::Partition;
use super::read::{BrokenList, Reader, Records};
use super::walk::Broken;
use crate::config::HOOK_ID;

impl Reader<'_> {
    /// Reads these, one after another. One that the source no longer has is no record.
    pub(super) async fn singles(&self, ids: &BTreeSet<String>) -> Result<(), BrokenList> {
        let in_whole = |broken| BrokenList { broken, list: None };
        let Some(record) = self.source.spec.hook.as_ref().and_then(|hook| hook.record.as_ref()) else {
            let problem = "the source does not say how a single record is asked for".into();
            return Err(in_whole(Broken { fault: Fault::Config { problem }, page: 0, tries: 1 }));
        };
        let how =
            Understanding { list: Arc::new(List::of_record(record)), incremental: None, ..self.source.how.clone() };
        let mut gone = 0;
        for id in ids {
            gone += usize::from(!self.single(&how, id).await.map_err(in_whole)?);
        }
        if gone > 0 {
            self.end.lock().note = Some(format!("{gone} of {} are not there (any more)", ids.len()));
        }
        Ok(())
    }

    /// Is it there?
    async fn single(&self, how: &Understanding, id: &str) -> Result<bool, Broken> {
        let mut vars = self.params.clone();
        vars.insert(HOOK_ID.to_owned(), id.to_owned());
        let mut walk = self.walk(how, &Partition::whole(), vars)?;
        match walk.run(&mut Records::of(self)).await {
            Ok(_) => Ok(true),
            Err(fault) if fault.is_ignored() || fault.says_gone() => Ok(false),
            Err(fault) => Err(walk.broken(fault)),
        }
    }
}
