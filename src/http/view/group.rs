//! Groups of the community.

use serde::Serialize;
use utoipa::ToSchema;

use crate::store::GroupCount;

/// A named set of users.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
pub struct GroupView {
    /// The name trimmed, composed (NFC) and in lower case.
    pub key: String,
    /// As it was first spelled.
    name: String,
    members: u64,
}

impl From<GroupCount> for GroupView {
    fn from(GroupCount { group, members }: GroupCount) -> Self {
        Self { key: group.key.to_string(), name: group.name.to_string(), members }
    }
}
