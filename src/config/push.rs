//! What goes back to a source: login links and event passwords.

use std::time::Duration;

use super::{RequestSpec, Template};
use crate::mapping::Expression;
use crate::model::PushName;

/// One kind of what goes back, and how.
#[derive(Debug, Clone)]
pub struct PushSpec {
    pub name: PushName,
    /// For whoever looks at what the source can do.
    pub description: Option<String>,
    /// Without a body; its templates may say `{param.x}` and, of one person at a time, `{item.x}`.
    pub request: RequestSpec,
    /// What `{item.x}` stands for, of an item as the body's expression sees it.
    pub fields: Vec<(String, Expression)>,
    /// From `{event, params, items}` to the request's JSON body.
    pub body: Expression,
    /// Items a request, > 0.
    pub batch: u32,
    /// How long what is to be sent may wait for more.
    pub every: Duration,
    /// Is somebody who no longer attends sent once more, without values?
    pub withdraw: bool,
    /// From an answer to the items that it refuses, each `{external_id, reason}`.
    pub refused: Option<Expression>,
    /// Where a record of the list shows what the source has; empty: nothing can be read back.
    pub confirm: Vec<(PassValue, Expression)>,
}

/// A value that goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PassValue {
    WebappLink,
    EventPassword,
}

impl PassValue {
    pub const ALL: [Self; 2] = [Self::WebappLink, Self::EventPassword];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebappLink => "webapp_link",
            Self::EventPassword => "event_password",
        }
    }
}

impl PushSpec {
    /// Every template of its request.
    pub(in crate::config) fn templates(&self) -> impl Iterator<Item = &Template> {
        let RequestSpec { path, query, headers, .. } = &self.request;
        query.iter().chain(headers).map(|(_, value)| value).chain([path])
    }
}
