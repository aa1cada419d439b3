//! The engine against real servers on loopback.

mod decoding;
mod faults;
mod garbage;
mod glimpse;
mod heard;
mod lists;
mod logins;
mod memory;
mod paging;
mod politeness;
mod rules;
mod server;
mod waiting;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub(super) use self::memory::Memory;
use self::server::{Reply, Seen, Server};
use super::retry::Pauses;
use super::{End, Page, Read, ReadEvent, Source, WaitReason};
use crate::clock::Clock;
use crate::config::{
    AuthSpec, BodySpec, BudgetHeaders, CursorPlace, CursorSource, DeleteScope, Method, PageSize, PaginationSpec,
    RequestSpec, SourceLimits, SourceSpec, StopSpec, Template,
};
use crate::decode::Format;
use crate::mapping::{Expression, MappingSpec};
use crate::model::{ErrorReason, RunError, SourceName, Traffic};
use crate::observe::Observer;

const FAST: Pauses = Pauses {
    retry_base: Duration::from_millis(2),
    retry_max: Duration::from_millis(10),
    retry_after_min: Duration::from_millis(20),
    retry_after_max: Duration::from_millis(60),
};

fn jq(source: &str) -> Expression {
    Expression::compile(source).unwrap()
}

pub(super) fn spec(base: &str, pagination: PaginationSpec) -> SourceSpec {
    SourceSpec {
        credentials: Vec::new(),
        empty_hint: None,
        pushes: Vec::new(),
        name: SourceName::parse("crm").unwrap(),
        priority: 0,
        edit_url: None,
        safety: crate::model::SafetySettings::default(),
        delete_scope: DeleteScope::Registration,
        request: RequestSpec {
            method: Method::Get,
            base_url: Url::parse(base).unwrap(),
            path: Template::parse("people").unwrap(),
            query: Vec::new(),
            headers: Vec::new(),
            body: BodySpec::None,
            weight: 1,
        },
        auth: AuthSpec::None,
        pagination,
        stable: false,
        partitions: Vec::new(),
        hook: None,
        sign_in: None,
        incremental: None,
        errors: Vec::new(),
        format: Format::Json,
        mapping: mapping(),
        budget: Vec::new(),
        budget_headers: BudgetHeaders::default(),
        limits: SourceLimits {
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_secs(2),
            run_timeout: Duration::from_secs(20),
            tries: 3,
            page_bytes_max: 100_000,
            pages_max: 50,
            concurrency: 1,
        },
    }
}

fn mapping() -> MappingSpec {
    MappingSpec {
        select: jq(".items[]"),
        external_id: None,
        email: jq(".email"),
        fields: Vec::new(),
        event_fields: Vec::new(),
        updated_at: None,
        skip_when: None,
        delete_when: None,
        removed_when: None,
        attendee_when: None,
        groups: None,
        group_rules: Vec::new(),
        badge: crate::mapping::BadgeKind::File,
        locked: Default::default(),
    }
}

fn source(spec: SourceSpec) -> Source {
    Source::with_pauses(Arc::new(spec), Observer::default(), Memory::new(), Clock::System, FAST).unwrap()
}

/// What a whole read told.
#[derive(Debug, Default)]
struct Told {
    pages: Vec<Page>,
    waits: Vec<WaitReason>,
    end: Option<(Traffic, bool, Option<String>)>,
    failed: Option<(RunError, Traffic)>,
    retry_in: Option<Duration>,
}

impl Told {
    /// The records' numbers, page by page.
    fn records(&self) -> Vec<Vec<u64>> {
        let id = |record: &crate::decode::RawRecord| {
            serde_json::from_slice::<serde_json::Value>(record.bytes()).unwrap()["id"].as_u64().unwrap()
        };
        self.pages.iter().map(|page| page.records.iter().map(id).collect()).collect()
    }

    fn traffic(&self) -> Traffic {
        self.end.as_ref().map_or_else(|| self.failed.as_ref().unwrap().1, |end| end.0)
    }

    #[track_caller]
    fn expect_end(&self) -> &Self {
        assert!(self.failed.is_none(), "{:?}", self.failed);
        assert!(self.end.is_some());
        self
    }

    #[track_caller]
    fn expect_failure(&self, reason: ErrorReason, part: &str) -> &RunError {
        let (error, _) = self.failed.as_ref().expect("the read should fail");
        assert_eq!(error.reason, reason, "{error:?}");
        assert!(error.message.contains(part), "{error:?}");
        assert!(!error.hint.is_empty());
        error
    }
}

async fn all(mut read: Read) -> Told {
    let mut told = Told::default();
    while let Some(event) = read.next().await {
        assert!(told.end.is_none() && told.failed.is_none(), "{event:?} after the last event");
        match event {
            ReadEvent::Page(page) => {
                assert_eq!(page.number as usize, told.pages.len() + 1);
                assert!(
                    page.traffic.pages >= u64::from(page.number),
                    "those of parents, and of lists read together, may be ahead"
                );
                told.pages.push(page);
            }
            ReadEvent::Waiting { why, .. } => told.waits.push(why),
            ReadEvent::End(End { traffic, reconciles, note, .. }) => told.end = Some((traffic, reconciles, note)),
            ReadEvent::Failed { error, traffic, retry_in, .. } => {
                told.failed = Some((error, traffic));
                told.retry_in = retry_in;
            }
        }
    }
    assert!(told.end.is_some() != told.failed.is_some());
    told
}

/// Reads a source of this specification to its end.
async fn read(spec: SourceSpec) -> Told {
    all(source(spec).read(&BTreeMap::new())).await
}

/// A body with the records `from..to` and more top-level keys.
fn items(from: u64, to: u64, more: &str) -> String {
    let records: Vec<String> = (from..to).map(|id| format!(r#"{{"id":{id}}}"#)).collect();
    format!(r#"{{"items":[{}]{more}}}"#, records.join(","))
}
