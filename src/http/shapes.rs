//! How the description spells values that this crate reads into types of its own.
//!
//! Invariant: nothing but schemas. The types that are read know nothing of the API's description.
#![expect(dead_code, reason = "schemas are never made")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// The name of an event or a source.
#[derive(ToSchema)]
#[schema(pattern = "^[a-z0-9_-]{1,64}$")]
pub struct Name(String);

/// Whole numbers with units.
#[derive(ToSchema)]
#[schema(pattern = "^([0-9]+(ms|s|m|h|d))+$", example = "30s")]
pub struct Duration(String);

/// The outcomes a list of runs can be asked for.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum OutcomeFilter {
    Done,
    Failed,
    Cancelled,
    Held,
    Rejected,
    Superseded,
    Expired,
}

/// Values by the names of profile fields, and `email`; null clears a field.
#[derive(ToSchema)]
#[schema(example = json!({"phone": "+354 5550100", "custom.diet": null}))]
pub struct UserEdit(BTreeMap<String, Value>);

/// A server-sent event of a run: `progress` with a `Progress`, or `run` with a `Run`, as JSON.
#[derive(ToSchema)]
pub struct RunEvent {
    event: String,
    data: String,
}

/// One of an audience, on a line of its own.
#[derive(ToSchema)]
pub struct AudienceLine {
    /// The user's id.
    user: String,
    email: String,
}
