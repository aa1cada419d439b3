//! What a person should look at.

use serde::Serialize;
use utoipa::ToSchema;

use super::PositionView;
use crate::model::SourceName;
use crate::plan::Matter;
use crate::sync::ReviewItem;

/// A record that could not be used, or an id or an email that several share.
#[derive(Serialize, ToSchema)]
#[schema(as = ReviewItem)]
pub struct ReviewItemView {
    source: String,
    /// What is the matter.
    kind: MatterView,
    /// Why the record was rejected.
    reason: Option<&'static str>,
    /// The mapping key concerned.
    field: Option<String>,
    /// The record's, where it is about one and its id can be read.
    external_id: Option<String>,
    /// The person, where it is about one who is here.
    user: Option<String>,
    /// The run that found it last.
    run: Option<u64>,
    /// Where the record stood in that run's list.
    position: Option<PositionView>,
    what_to_do: &'static str,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Matter)]
#[serde(rename_all = "snake_case")]
enum MatterView {
    /// A record cannot be used.
    Rejected,
    /// Two records bear one external id; one of them was used.
    DuplicateId,
    /// Registrations with differing names bear one email.
    SharedEmail,
}

impl ReviewItemView {
    pub fn of(source: &SourceName, item: ReviewItem) -> Self {
        let ReviewItem { matter, external_id, user, found } = item;
        let what_to_do = matter.mend();
        let (kind, reason, field) = match matter {
            Matter::Rejected { reason, field } => {
                (MatterView::Rejected, Some(reason.as_str()), Some(field.to_string()))
            }
            Matter::DuplicateId => (MatterView::DuplicateId, None, None),
            Matter::SharedEmail => (MatterView::SharedEmail, None, None),
        };
        Self {
            source: source.to_string(),
            kind,
            reason,
            field: field.filter(|field| !field.is_empty()),
            external_id: external_id.map(|id| id.to_string()),
            user: user.map(|user| user.to_string()),
            run: found.map(|(run, _)| run.0),
            position: found.map(|(_, position)| position.into()),
            what_to_do,
        }
    }
}
