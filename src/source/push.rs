//! What goes back to a source: one request, within its allowance and with its credential. It is tried once; whoever asks for it
//! decides whether it is tried again, and says so beforehand.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::caller::Caller;
use super::fault::Fault;
use super::fetch::Fetcher;
use super::page::Fetched;
use super::request::{Ask, Blueprint, Request};
use super::source::Source;
use crate::config::{PushSpec, Vars};
use crate::decode::Document;
use crate::limits::PUSH_TIMEOUT;
use crate::model::{ErrorReason, EventName, ExternalId, ReceiptReason};

/// What of one registration goes back.
pub struct PushItem {
    pub external_id: ExternalId,
    /// The user's id.
    pub user: String,
    /// The same for the same values of the same registration.
    pub key: String,
    /// `None`: they are taken back.
    pub values: Option<PushedValues>,
}

pub struct PushedValues {
    pub webapp_link: String,
    pub event_password: Option<String>,
}

/// Why nothing of a request was taken, as far as is known. It holds nothing of what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushFailure {
    pub reason: ReceiptReason,
    /// The same request cannot succeed.
    pub is_final: bool,
    /// When the source can be asked again, where that is known.
    pub retry_in: Option<Duration>,
    /// What the source answered with, where it did.
    pub status: Option<u16>,
}

/// The draft's name of the header (draft-ietf-httpapi-idempotency-key-header §2.1).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl Source {
    /// Sends the items in one request. Returns those that the source refuses.
    ///
    /// # Errors
    /// The request could not be made, or came to nothing that says that it was taken.
    pub async fn push(
        &self,
        push: &PushSpec,
        event: &EventName,
        params: &BTreeMap<String, String>,
        items: &[&PushItem],
    ) -> Result<Vec<ExternalId>, PushFailure> {
        let (blueprint, request) = request(push, event, params, items)?;
        let (events, _unheard) = mpsc::channel(1);
        let caller = Caller::within(&self.inner, events, PUSH_TIMEOUT);
        let deadline = caller.deadline;
        let mut fetcher = Fetcher::new(&self.inner, blueprint, caller).once();
        let fetched = match tokio::time::timeout_at(deadline, fetcher.answer_to(request)).await {
            Ok(fetched) => fetched.map_err(|fault| failure(&fault))?,
            Err(_) => return Err(failure(&Fault::RunTimeout { limit: PUSH_TIMEOUT })),
        };
        Ok(refused(push, &fetched))
    }
}

fn request(
    push: &PushSpec,
    event: &EventName,
    params: &BTreeMap<String, String>,
    items: &[&PushItem],
) -> Result<(Blueprint, Request), PushFailure> {
    let values: Vec<Value> = items.iter().map(|one| item(one)).collect();
    let mut vars: Vars = params.iter().map(|(name, value)| (format!("param.{name}"), value.clone())).collect();
    if let [only] = &values[..] {
        let document = Document::parse(only.to_string().into()).map_err(|_| unusable())?;
        for (name, expression) in &push.fields {
            let value = expression.scalar(&document).ok().flatten().ok_or_else(unusable)?;
            vars.insert(format!("item.{name}"), value);
        }
    }
    let input = json!({"event": event.as_str(), "params": params, "items": values});
    let input = Document::parse(input.to_string().into()).map_err(|_| unusable())?;
    let body = push.body.records(&input).ok().and_then(|outputs| outputs.into_iter().next()).ok_or_else(unusable)?;
    let blueprint = Blueprint::new(&push.request, vars).map_err(|_| unusable())?;
    let mut request = blueprint.request(&Ask::Query(Vec::new())).map_err(|_| unusable())?;
    request.body = Some(bytes::Bytes::copy_from_slice(body.bytes()));
    let keys: Vec<&[u8]> = items.iter().map(|item| item.key.as_bytes()).collect();
    let key = if let [only] = items { only.key.clone() } else { format!("{:016x}", crate::model::Digest::seed(&keys)) };
    request.headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&key).map_err(|_| unusable())?);
    request.headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    request.headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
    Ok((blueprint, request))
}

/// An item as expressions see it; null for what is taken back.
fn item(PushItem { external_id, user, key, values }: &PushItem) -> Value {
    let link = values.as_ref().map(|values| values.webapp_link.as_str());
    let password = values.as_ref().and_then(|values| values.event_password.as_deref());
    json!({
        "external_id": external_id.as_str(), "user": user, "key": key,
        "webapp_link": link, "event_password": password,
    })
}

/// The items that an answer refuses; none where it is no JSON, or says nothing of the kind.
fn refused(push: &PushSpec, fetched: &Fetched) -> Vec<ExternalId> {
    let Some(expression) = &push.refused else { return Vec::new() };
    let Ok(document) = Document::parse(fetched.body.clone()) else { return Vec::new() };
    let outputs = expression.records(&document).unwrap_or_default();
    let id = |output: &[u8]| {
        let value: Value = serde_json::from_slice(output).ok()?;
        let id = value.get("external_id").unwrap_or(&value);
        ExternalId::new(&id.as_str().map_or_else(|| id.to_string(), str::to_owned))
    };
    outputs.iter().filter_map(|output| id(output.bytes())).collect()
}

const fn unusable() -> PushFailure {
    PushFailure { reason: ReceiptReason::Unusable, is_final: true, retry_in: None, status: None }
}

fn failure(fault: &Fault) -> PushFailure {
    let reason = match fault.reason() {
        ErrorReason::Auth => ReceiptReason::Auth,
        ErrorReason::Quota | ErrorReason::RateLimited => ReceiptReason::Quota,
        ErrorReason::Status if !fault.is_transient() => ReceiptReason::Refused,
        ErrorReason::Config => ReceiptReason::Unusable,
        _ => ReceiptReason::Unavailable,
    };
    let is_final = matches!(reason, ReceiptReason::Refused | ReceiptReason::Unusable);
    PushFailure { reason, is_final, retry_in: fault.retry_in(), status: fault.status() }
}
