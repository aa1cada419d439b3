//! The first page of a source: what was asked, what came, and what would become of each record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::change::{ChangeAction, DetailView};
use super::run::{CountsView, RunErrorView, TrafficView};
use crate::model::{FeedId, MappedRecord, Outcome, PersonChange, RecordState, Rejection, SkipReason, Value, Verdict};
use crate::plan::details;
use crate::sync::{Onward, Preview, PreviewPlan, PreviewRecord, ShownAnswer, ShownRequest, Suggestion, Unplanned};

/// The first page of a feed's source. Nothing of it is kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Preview)]
pub struct PreviewView {
    event: String,
    source: String,
    /// The request of the page; null where it came to none. Secrets are `***`.
    request: Option<ShownRequestView>,
    /// Null where there was no answer.
    response: Option<ShownAnswerView>,
    /// Why there is no page; null where there is one.
    failure: Option<RunErrorView>,
    /// Null where there is no page.
    paging: Option<PagingView>,
    /// Settings that seem to fit the answer better.
    suggestions: Vec<SuggestionView>,
    traffic: TrafficView,
    /// Records on the page; only the first 100 are shown.
    page_records: usize,
    /// What the page would do, were it the whole list and nobody missing; null where it could not be planned.
    plan: Option<PreviewPlanView>,
    /// Why there is no plan, where there is a page.
    unplanned: Option<String>,
    /// What a page without records may mean; null where it has some, or nothing is known of that.
    hint: Option<String>,
    /// The records as they would be synced, by their numbers.
    synced: Vec<SyncedView>,
    /// The records that a rule takes out or that cannot be used, by their numbers.
    excluded: Vec<ExcludedView>,
    /// Every record as it came, with all that is to be said of it.
    records: Vec<PreviewRecordView>,
}

/// A record that would be synced.
#[derive(Serialize, ToSchema)]
#[schema(as = Synced)]
struct SyncedView {
    /// Its number on the page, from 1.
    number: usize,
    #[serde(flatten)]
    mapped: MappedView,
}

/// A record that would not.
#[derive(Serialize, ToSchema)]
#[schema(as = Excluded)]
struct ExcludedView {
    /// Its number on the page, from 1.
    number: usize,
    /// As the source sent it.
    #[schema(value_type = Value)]
    raw: Option<Box<RawValue>>,
    /// The reason, and the rule or the field behind it.
    why: String,
}

/// A request as it was sent, but for its secrets.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownRequest)]
struct ShownRequestView {
    method: String,
    url: String,
    headers: Vec<HeaderView>,
    body: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Header)]
struct HeaderView {
    name: String,
    value: String,
}

/// An answer, but for its body.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownResponse)]
struct ShownAnswerView {
    status: u16,
    /// Those that say what it is, how the list goes on and what else is allowed; none of an answer that was refused.
    headers: Vec<HeaderView>,
    /// Decompressed; 0 of an answer that was refused.
    bytes: u64,
    /// With every try and the pauses between them, without the wait for the allowance.
    took_ms: u64,
}

/// How the list goes on after the page. One of the three is not null.
#[derive(Serialize, ToSchema)]
#[schema(as = Paging)]
struct PagingView {
    /// The request of the next page.
    next: Option<ShownRequestView>,
    /// By what sign the list ends here.
    end: Option<&'static str>,
    /// Why it neither ends nor goes on.
    fault: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Suggestion)]
struct SuggestionView {
    /// What the answer shows.
    because: String,
    /// To write into the configuration.
    toml: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PreviewPlan)]
struct PreviewPlanView {
    counts: CountsView,
    /// Names of groups that would be made.
    new_groups: Vec<String>,
}

/// A record of the source.
#[derive(Serialize, ToSchema)]
#[schema(as = PreviewRecord)]
pub struct PreviewRecordView {
    /// Its number on the page, from 1.
    number: usize,
    /// As the source sent it.
    #[schema(value_type = Value)]
    raw: Option<Box<RawValue>>,
    /// `mapped`, `skipped` or `rejected`.
    outcome: &'static str,
    /// Null where the mapping does not accept it.
    mapped: Option<MappedView>,
    /// Why it changes nobody though nothing is wrong with it.
    skip: Option<SkipView>,
    /// Why it cannot be used.
    reject: Option<RejectView>,
    /// Whom it would change: nobody, one, or two where it goes from one person to another.
    changes: Vec<PlannedView>,
    /// It would leave everything visible as it is. Null where there is no plan.
    unchanged: Option<bool>,
}

/// What would happen to a person.
#[derive(Serialize, ToSchema)]
#[schema(as = Planned)]
struct PlannedView {
    action: ChangeAction,
    /// The person's id, which a new one gets.
    user: String,
    email: Option<String>,
    details: Vec<DetailView>,
}

/// What the mapping makes of a record.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Mapped)]
struct MappedView {
    external_id: String,
    /// `attending`, `not_attending`, `cancelled` or `deleted`.
    state: &'static str,
    email: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    updated_at: Option<Timestamp>,
    /// Values by field name.
    #[schema(value_type = BTreeMap<String, Value>)]
    fields: BTreeMap<String, Value>,
    /// Values of the attendee in this event, by name.
    #[schema(value_type = BTreeMap<String, Value>)]
    event_fields: BTreeMap<String, Value>,
    /// Names of groups.
    groups: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Skip)]
struct SkipView {
    /// `filtered`, `unknown_deleted`, `unknown_cancelled` or `duplicate`.
    reason: &'static str,
    /// The rule that filtered it out.
    rule: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Reject)]
struct RejectView {
    external_id: Option<String>,
    reason: &'static str,
    /// The mapping key concerned; empty when no one key is.
    field: String,
}

impl PreviewView {
    /// `skip_when` is the source's rule.
    pub fn of(feed: &FeedId, preview: Preview, skip_when: Option<&str>, empty_hint: Option<&str>) -> Self {
        let Preview { request, answer, onward, suggestions, traffic, page } = preview;
        let mut view = Self {
            event: feed.event.to_string(),
            source: feed.source.to_string(),
            request: request.map(ShownRequestView::from),
            response: answer.map(ShownAnswerView::from),
            failure: None,
            paging: onward.map(PagingView::from),
            suggestions: suggestions.into_iter().map(SuggestionView::from).collect(),
            traffic: traffic.into(),
            page_records: 0,
            plan: None,
            unplanned: None,
            hint: None,
            synced: Vec::new(),
            excluded: Vec::new(),
            records: Vec::new(),
        };
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                view.failure = Some((&error).into());
                return view;
            }
        };
        let is_planned = page.plan.is_ok();
        match page.plan {
            Ok(plan) => view.plan = Some(plan.into()),
            Err(Unplanned::Busy) => {
                view.unplanned = Some("a sync plans or commits: ask again when it has ended".into())
            }
            Err(Unplanned::Failed(error)) => view.unplanned = Some(format!("{}; {}", error.message, error.hint)),
        }
        view.page_records = page.records_count;
        let record = |(at, record)| PreviewRecordView::of(at + 1, record, is_planned, skip_when);
        view.records = page.records.into_iter().enumerate().map(record).collect();
        view.hint = empty_hint.filter(|_| page.records_count == 0).map(str::to_owned);
        view.synced = view.records.iter().filter_map(PreviewRecordView::synced).collect();
        view.excluded = view.records.iter().filter_map(PreviewRecordView::excluded).collect();
        view
    }
}

impl PreviewRecordView {
    pub fn of(number: usize, record: PreviewRecord, is_planned: bool, skip_when: Option<&str>) -> Self {
        let unchanged = is_planned.then(|| record.is_unchanged());
        // The record was cut out of a body that was checked to be JSON.
        let text = std::str::from_utf8(record.raw.bytes()).ok();
        let raw = text.and_then(|text| RawValue::from_string(text.to_owned()).ok());
        let changes = record.changes.iter().map(PlannedView::from).collect();
        let mut view =
            Self { number, raw, outcome: "mapped", mapped: None, skip: None, reject: None, changes, unchanged };
        match record.outcome {
            Outcome::Mapped(mapped) => {
                match record.refused {
                    None => {}
                    Some(Verdict::Skip(reason)) => view.skip = Some(SkipView::of(reason, None)),
                    Some(Verdict::Reject { reason, field }) => {
                        let external_id = Some(mapped.external_id.clone());
                        view.reject = Some(Rejection { external_id, reason, field }.into());
                    }
                }
                view.mapped = Some(mapped.into());
            }
            Outcome::Skipped(reason, _) => view.skip = Some(SkipView::of(reason, skip_when)),
            Outcome::Rejected(rejection) => view.reject = Some(rejection.into()),
        }
        match (&view.skip, &view.reject) {
            (Some(_), _) => view.outcome = "skipped",
            (None, Some(_)) => view.outcome = "rejected",
            (None, None) => {}
        }
        view
    }
}

impl PreviewRecordView {
    fn synced(&self) -> Option<SyncedView> {
        let mapped = self.mapped.clone().filter(|_| self.outcome == "mapped")?;
        Some(SyncedView { number: self.number, mapped })
    }

    fn excluded(&self) -> Option<ExcludedView> {
        let words = match (&self.skip, &self.reject) {
            (Some(skip), _) => [skip.reason, skip.rule.as_deref().unwrap_or_default()],
            (None, Some(reject)) => [reject.reason, &reject.field],
            (None, None) => return None,
        };
        let why = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": ");
        Some(ExcludedView { number: self.number, raw: self.raw.clone(), why })
    }
}

impl SkipView {
    fn of(reason: SkipReason, skip_when: Option<&str>) -> Self {
        let rule = skip_when.filter(|_| reason == SkipReason::Filtered).map(|rule| format!("skip_when: {rule}"));
        Self { reason: reason.as_str(), rule }
    }
}

fn headers(headers: Vec<(String, String)>) -> Vec<HeaderView> {
    headers.into_iter().map(|(name, value)| HeaderView { name, value }).collect()
}

impl From<ShownRequest> for ShownRequestView {
    fn from(ShownRequest { method, url, headers: found, body }: ShownRequest) -> Self {
        Self { method, url, headers: headers(found), body }
    }
}

impl From<ShownAnswer> for ShownAnswerView {
    fn from(ShownAnswer { status, headers: found, bytes, took }: ShownAnswer) -> Self {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        Self { status, headers: headers(found), bytes, took_ms }
    }
}

impl From<Onward> for PagingView {
    fn from(onward: Onward) -> Self {
        let nothing = Self { next: None, end: None, fault: None };
        match onward {
            Onward::Next(request) => Self { next: Some(request.into()), ..nothing },
            Onward::End(sign) => Self { end: Some(sign), ..nothing },
            Onward::Fault(fault) => Self { fault: Some(fault), ..nothing },
        }
    }
}

impl From<Suggestion> for SuggestionView {
    fn from(Suggestion { because, toml }: Suggestion) -> Self {
        Self { because, toml }
    }
}

impl From<PreviewPlan> for PreviewPlanView {
    fn from(PreviewPlan { counts, new_groups }: PreviewPlan) -> Self {
        let new_groups = new_groups.into_iter().map(|group| group.name.into()).collect();
        Self { counts: counts.into(), new_groups }
    }
}

impl From<&PersonChange> for PlannedView {
    fn from(change: &PersonChange) -> Self {
        let (before, after) = (change.before.as_ref(), change.after.as_ref());
        Self {
            action: change.action.into(),
            user: change.id.to_string(),
            email: after.or(before).map(|person| person.email.as_str().to_owned()),
            details: details(before, after).into_iter().map(DetailView::from).collect(),
        }
    }
}

impl From<MappedRecord> for MappedView {
    fn from(record: MappedRecord) -> Self {
        let state = match record.state {
            RecordState::Attending => "attending",
            RecordState::NotAttending => "not_attending",
            RecordState::Cancelled => "cancelled",
            RecordState::Deleted => "deleted",
        };
        Self {
            external_id: record.external_id.to_string(),
            state,
            email: record.email.map(|email| email.as_str().to_owned()),
            updated_at: record.updated_at,
            fields: record.fields.into_iter().map(|(field, value)| (field.to_string(), value)).collect(),
            event_fields: record.event_fields.into_iter().map(|(field, value)| (field.to_string(), value)).collect(),
            groups: record.groups.into_iter().map(|group| group.name.into()).collect(),
        }
    }
}

impl From<Rejection> for RejectView {
    fn from(Rejection { external_id, reason, field }: Rejection) -> Self {
        let external_id = external_id.map(|id| id.to_string());
        Self { external_id, reason: reason.as_str(), field: field.into() }
    }
}
