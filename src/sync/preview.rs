//! The first page of a source as it is and as it would be mapped. Changes nobody, enters no history.

use std::collections::BTreeMap;

use super::feed::SourceEntry;
use crate::decode::RawRecord;
use crate::model::{Outcome, RunError};
use crate::source::ReadEvent;

/// What the source answered first.
pub struct Preview {
    pub records: Vec<PreviewRecord>,
}

pub struct PreviewRecord {
    pub raw: RawRecord,
    pub outcome: Outcome,
}

impl SourceEntry {
    /// Reads the first page within the source's budget and maps every record of it.
    pub async fn preview(&self, params: &BTreeMap<String, String>) -> Result<Preview, RunError> {
        let mut read = self.source.read(params);
        loop {
            match read.next().await {
                Some(ReadEvent::Page(page)) => {
                    let map = |raw: RawRecord| PreviewRecord { outcome: self.mapping.map(&raw), raw };
                    return Ok(Preview { records: page.records.into_iter().map(map).collect() });
                }
                Some(ReadEvent::Failed { error, .. }) => return Err(error),
                Some(ReadEvent::Waiting { .. }) => {}
                Some(ReadEvent::End(_)) | None => return Ok(Preview { records: Vec::new() }),
            }
        }
    }
}
