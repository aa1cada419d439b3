//! The mapping: a raw record becomes a mapped record. jq from an allow-list, compiled once.
//!
//! [`Expression`] is one jq expression, [`MappingSpec`] what the config says, [`Mapping`] that at work.
//!
//! Invariant: pure. No clock, no I/O, no environment; the same record and mapping give the same outcome. A
//! record can be rejected but never stop a run, and no error holds a value of a record.

mod allowed;
mod bound;
mod digest;
mod error;
mod expression;
mod meter;
mod native;
mod overrides;
mod program;
mod read;
mod record;
mod spec;
mod syntax;

pub use error::{EvaluationError, ExpressionError, SelectError, TopLevelKeys};
pub use expression::Expression;
pub use overrides::{Overrides, Unusable};
pub use read::field_value;
pub use record::Mapping;
pub use spec::{BadgeKind, FieldSpec, GroupRule, MappingSpec};
