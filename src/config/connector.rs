//! What a source says of itself to whoever sets up an event: what has to be entered, where, and by whom.

use super::SourceSpec;
use crate::mapping::Expression;

/// A value without which the source cannot be asked, as people see it.
#[derive(Debug, Clone)]
pub struct CredentialSpec {
    /// Of an event's: the name of its param.
    pub name: String,
    /// For whoever enters it.
    pub description: String,
    pub scope: CredentialScope,
}

#[derive(Debug, Clone)]
pub enum CredentialScope {
    /// Each event has its own, as a param of its feed. `valid_when`: true on the text.
    Event { valid_when: Option<Expression> },
    /// The same for every event, which cannot change it; `{param.x}` stands for it.
    PreSet { value: String },
    /// In the source's `auth`: the same for every event, which never sees it.
    Secret,
}

impl CredentialScope {
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Event { .. } => "event",
            Self::PreSet { .. } => "pre_set",
            Self::Secret => "secret",
        }
    }
}

impl SourceSpec {
    /// The params that every feed has.
    pub fn pre_set(&self) -> impl Iterator<Item = (String, String)> {
        self.credentials.iter().filter_map(|credential| match &credential.scope {
            CredentialScope::PreSet { value } => Some((credential.name.clone(), value.clone())),
            CredentialScope::Event { .. } | CredentialScope::Secret => None,
        })
    }
}
