//! API tokens.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::StoredToken;

/// A token, without its value.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenView {
    /// The first 12 hexadecimal digits of its SHA-256.
    pub id: String,
    name: String,
    scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A token that was just made. Its value is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewToken)]
pub struct NewTokenView {
    #[serde(flatten)]
    pub made: TokenView,
    /// For `Authorization: Bearer`.
    pub token: String,
}

impl From<&StoredToken> for TokenView {
    fn from(token: &StoredToken) -> Self {
        Self {
            id: token.id().to_string(),
            name: token.name.clone(),
            scopes: token.scopes.clone(),
            created_at: token.created_at,
        }
    }
}
