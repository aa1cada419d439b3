//! Sources: how they are read and how they fare. Never a credential, never a path or a query of theirs.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::run::RunErrorView;
use crate::config::{AuthSpec, CredentialScope, CredentialSpec, PaginationSpec, PushSpec, SourceSpec, WindowSpec};
use crate::model::{FeedState, Run, RunError};

/// A registration system, as the configuration file declares it.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
pub struct SourceView {
    pub name: String,
    /// Host and port of its base URL.
    host: String,
    /// `none`, `api_key`, `basic`, `bearer`, `oauth2` or `session`.
    auth: &'static str,
    /// When the token of a source that logs in expires, where one with an end is held.
    #[schema(value_type = Option<String>, format = DateTime)]
    credential_expires_at: Option<Timestamp>,
    /// `none`, `page`, `offset`, `cursor`, `next_url` or `link_header`.
    pagination: &'static str,
    /// What has to be entered before it can be asked, and by whom.
    credentials: Vec<CredentialView>,
    /// What comes from it and what goes back to it.
    data_types: Vec<FlowView>,
    /// Higher wins where sources disagree about a person.
    priority: i32,
    /// Its allowance; empty when unlimited.
    budget: Vec<BudgetWindowView>,
    /// Set while it is not asked at all.
    paused: Option<PauseView>,
    /// When its last hook was taken since the server started.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_hook_at: Option<Timestamp>,
    feeds: Vec<SourceFeedView>,
    /// Why the newest failed run failed, where that was the last run of its feed.
    last_error: Option<SourceErrorView>,
}

/// A value without which the source cannot be asked. A secret's is never shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
pub struct CredentialView {
    name: String,
    description: String,
    /// `event`: each event's `params` say it. `pre_set`, `secret`: the configuration does, for every event.
    scope: &'static str,
    /// Can events set it?
    editable: bool,
    /// What is pre-set.
    value: Option<String>,
}

/// A kind of what is exchanged.
#[derive(Serialize, ToSchema)]
#[schema(as = SourceFlow)]
pub struct FlowView {
    name: String,
    /// `pull`: it comes from the source. `push`: it goes back.
    direction: &'static str,
    description: Option<String>,
    /// Of what goes back: does the list show that it arrived?
    confirms: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BudgetWindow)]
pub struct BudgetWindowView {
    /// Requests that weigh at most so much together …
    requests: u32,
    /// … in any `second`, `minute`, `hour`, `day`, or other length (`10m`).
    per: String,
    /// The time of day at which a day's allowance begins anew, and the time zone; otherwise the window slides.
    resets_at: Option<String>,
    zone: Option<String>,
    /// What is left now.
    remaining: u32,
    /// Where that does not suffice for a request: when it will, as far as is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    opens_at: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SourcePause)]
pub struct PauseView {
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// `retry_after`: the source asked for it. `budget`: the source said that its allowance is used up.
    why: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SourceFeed)]
pub struct SourceFeedView {
    event: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success: Option<Timestamp>,
    consecutive_failures: u32,
    /// When it is synced next by itself while the server runs.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_run: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SourceError)]
pub struct SourceErrorView {
    event: String,
    run: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    #[serde(flatten)]
    error: RunErrorView,
}

impl SourceView {
    pub fn of(
        spec: &SourceSpec,
        credential_expires_at: Option<Timestamp>,
        budget: Vec<BudgetWindowView>,
        paused: Option<PauseView>,
        last_hook_at: Option<Timestamp>,
        feeds: Vec<SourceFeedView>,
        last_error: Option<SourceErrorView>,
    ) -> Self {
        let base = &spec.request.base_url;
        let host = base.host_str().unwrap_or_default();
        let port = base.port().map(|port| format!(":{port}")).unwrap_or_default();
        Self {
            name: spec.name.to_string(),
            host: format!("{host}{port}"),
            auth: auth_kind(&spec.auth),
            credential_expires_at,
            pagination: pagination_kind(&spec.pagination),
            credentials: spec.credentials.iter().map(CredentialView::of).collect(),
            data_types: FlowView::of(spec),
            priority: spec.priority,
            budget,
            paused,
            last_hook_at,
            feeds,
            last_error,
        }
    }
}

const fn auth_kind(auth: &AuthSpec) -> &'static str {
    match auth {
        AuthSpec::None => "none",
        AuthSpec::ApiKey { .. } => "api_key",
        AuthSpec::Basic { .. } => "basic",
        AuthSpec::Bearer { .. } => "bearer",
        AuthSpec::OAuth2(_) => "oauth2",
        AuthSpec::Session(_) => "session",
    }
}

const fn pagination_kind(pagination: &PaginationSpec) -> &'static str {
    match pagination {
        PaginationSpec::None => "none",
        PaginationSpec::Page { .. } => "page",
        PaginationSpec::Offset { .. } => "offset",
        PaginationSpec::Cursor { .. } => "cursor",
        PaginationSpec::NextUrl { .. } => "next_url",
        PaginationSpec::LinkHeader { .. } => "link_header",
    }
}

impl CredentialView {
    fn of(CredentialSpec { name, description, scope }: &CredentialSpec) -> Self {
        let value = match scope {
            CredentialScope::PreSet { value } => Some(value.clone()),
            CredentialScope::Event { .. } | CredentialScope::Secret => None,
        };
        let editable = matches!(scope, CredentialScope::Event { .. });
        let (name, description) = (name.clone(), description.clone());
        Self { name, description, scope: scope.as_str(), editable, value }
    }
}

impl FlowView {
    fn of(spec: &SourceSpec) -> Vec<Self> {
        // Whoever signs in comes by themselves.
        if spec.sign_in.is_some() {
            return Vec::new();
        }
        let people = Self { name: "people".into(), direction: "pull", description: None, confirms: false };
        let push = |push: &Arc<PushSpec>| Self {
            name: push.name.to_string(),
            direction: "push",
            description: push.description.clone(),
            confirms: !push.confirm.is_empty(),
        };
        [people].into_iter().chain(spec.pushes.iter().map(push)).collect()
    }
}

impl BudgetWindowView {
    pub fn of(window: &WindowSpec, remaining: u32, opens_at: Option<Timestamp>) -> Self {
        let resets = window.resets.as_ref();
        Self {
            requests: window.requests,
            per: window.per.to_string(),
            resets_at: resets.map(|reset| reset.at.to_string()),
            zone: resets.and_then(|reset| reset.zone.iana_name()).map(str::to_owned),
            remaining,
            opens_at,
        }
    }
}

impl PauseView {
    pub const fn of(until: Timestamp, why: &'static str) -> Self {
        Self { until, why }
    }
}

impl SourceFeedView {
    pub fn of(event: &str, state: &FeedState, next_run: Option<Timestamp>) -> Self {
        Self {
            event: event.to_owned(),
            last_success: state.last_success,
            consecutive_failures: state.consecutive_failures,
            next_run,
        }
    }
}

impl SourceErrorView {
    pub fn of(run: &Run, error: &RunError) -> Self {
        Self { event: run.feed.event.to_string(), run: run.id.0, at: run.ended_at, error: error.into() }
    }
}
