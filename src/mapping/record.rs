//! The mapping at work: what a record says, in the order that decides which fault is named.

use std::ops::ControlFlow;
use std::sync::Arc;

use compact_str::{CompactString, ToCompactString};
use jaq_json::Val;
use jiff::Timestamp;

use super::error::SelectError;
use super::expression::{Expression, is_true};
use super::{FieldSpec, MappingSpec, digest, read};
use crate::decode::{Document, RawRecord};
use crate::limits::GROUPS_PER_RECORD_MAX;
use crate::model::{
    Digest, Email, EventField, ExternalId, Field, GroupName, MappedRecord, Outcome, RecordState, RejectReason,
    Rejection, SkipReason, Value,
};

/// Turns pages into records and records into outcomes. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Mapping(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: MappingSpec,
    seed: u64,
    /// Group rules in their order: the group, and when it is granted.
    rules: Vec<(GroupName, Expression)>,
}

/// Why a record is rejected: a reason and the mapping key concerned.
#[derive(Clone)]
struct Fault {
    reason: RejectReason,
    key: CompactString,
}

type Mapped<T> = Result<T, Fault>;

impl Fault {
    fn at(key: &'static str) -> impl Fn(RejectReason) -> Self {
        move |reason| Self { reason, key: CompactString::const_new(key) }
    }
}

impl Mapping {
    pub fn new(spec: MappingSpec) -> Self {
        let seed = digest::seed(&spec);
        let rule = |rule: &super::GroupRule| Some((GroupName::new(&rule.name)?, rule.when.clone()));
        let rules = spec.group_rules.iter().filter_map(rule).collect();
        Self(Arc::new(Inner { spec, seed, rules }))
    }

    pub fn spec(&self) -> &MappingSpec {
        &self.0.spec
    }

    /// The records of a page, see [`Expression::records`].
    pub fn select(&self, page: &Document) -> Result<Vec<RawRecord>, SelectError> {
        self.0.spec.select.records(page)
    }

    /// Differs whenever the mapping differs, so that digests under it never match those of another mapping.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Equal when the mapped records are equal and the mapping is the same; else, as far as 128 bits can tell,
    /// different.
    pub fn mapped_digest(&self, record: &MappedRecord) -> Digest {
        Digest::of(self.0.seed, &digest::encode(record))
    }

    /// What one record means.
    ///
    /// `delete_when` goes before everything, so that a wish to be deleted is never filtered out; then
    /// `skip_when`, so that a record which is not for us is not reported as faulty; then `removed_when`;
    /// then `attendee_when`. Records to delete or to cancel need only their external id: what else they hold
    /// is taken where it is good and left out where it is not.
    pub fn map(&self, record: &RawRecord) -> Outcome {
        let whole = Fault::at("")(RejectReason::WrongType);
        let Some(value @ Val::Obj(_)) = record.value() else { return rejected(None, whole) };
        let reader = Reader { spec: &self.0.spec, value: &value, bytes: record.bytes().len() };
        let id = reader.mapped_id();
        let outcome = match reader.fate() {
            Ok(Fate::Skip) => return Outcome::Skipped(SkipReason::Filtered),
            Ok(Fate::Keep(state)) => self.keep(&reader, id.clone(), state),
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(mapped) => Outcome::Mapped(mapped),
            Err(fault) => rejected(id.ok().flatten(), fault),
        }
    }

    fn keep(&self, reader: &Reader<'_>, id: Mapped<Option<ExternalId>>, state: RecordState) -> Mapped<MappedRecord> {
        let email = reader.email();
        // Without a mapped id the email key serves, so that there the email is needed in any state.
        let external_id = match id? {
            Some(id) => id,
            None => key_of(email.clone()?)?,
        };
        let rest = Rest { reader, strict: matches!(state, RecordState::Attending | RecordState::NotAttending) };
        let email = rest.or_blank(email)?;
        if rest.strict && email.is_none() {
            return Err(Fault::at("email")(RejectReason::MissingField));
        }
        let fields = rest.fields()?;
        let event_fields = rest.event_fields()?;
        let groups = rest.groups(&self.0.rules)?;
        let updated_at = rest.or_blank(reader.updated_at())?;
        Ok(MappedRecord { external_id, state, email, updated_at, fields, event_fields, groups })
    }
}

fn rejected(external_id: Option<ExternalId>, fault: Fault) -> Outcome {
    Outcome::Rejected(Rejection { external_id, reason: fault.reason, field: fault.key })
}

fn key_of(email: Option<Email>) -> Mapped<ExternalId> {
    let id = email.and_then(|email| ExternalId::new(email.key().as_str()));
    id.ok_or_else(|| Fault::at("email")(RejectReason::MissingField))
}

enum Fate {
    Skip,
    Keep(RecordState),
}

/// A record as a value, and the expressions to read it with.
struct Reader<'a> {
    spec: &'a MappingSpec,
    value: &'a Val,
    bytes: usize,
}

impl Reader<'_> {
    fn fate(&self) -> Mapped<Fate> {
        let is = |when: &Option<Expression>, key, default| match when {
            Some(when) => self.condition(when).map_err(Fault::at(key)),
            None => Ok(default),
        };
        if is(&self.spec.delete_when, "delete_when", false)? {
            return Ok(Fate::Keep(RecordState::Deleted));
        }
        if is(&self.spec.skip_when, "skip_when", false)? {
            return Ok(Fate::Skip);
        }
        if is(&self.spec.removed_when, "removed_when", false)? {
            return Ok(Fate::Keep(RecordState::Cancelled));
        }
        let attends = is(&self.spec.attendee_when, "attendee_when", true)?;
        Ok(Fate::Keep(if attends { RecordState::Attending } else { RecordState::NotAttending }))
    }

    /// The external id where one is mapped; then a blank one is a fault.
    fn mapped_id(&self) -> Mapped<Option<ExternalId>> {
        let Some(expression) = &self.spec.external_id else { return Ok(None) };
        let id = self.first(expression).and_then(|value| read::external_id(&value));
        match id.map_err(Fault::at("external_id"))? {
            Some(id) => Ok(Some(id)),
            None => Err(Fault::at("external_id")(RejectReason::MissingField)),
        }
    }

    fn email(&self) -> Mapped<Option<Email>> {
        self.first(&self.spec.email).and_then(|value| read::email(&value)).map_err(Fault::at("email"))
    }

    fn updated_at(&self) -> Mapped<Option<Timestamp>> {
        let Some(expression) = &self.spec.updated_at else { return Ok(None) };
        self.first(expression).and_then(|value| read::timestamp(&value)).map_err(Fault::at("updated_at"))
    }

    /// The first output that is not null; null when there is none.
    fn first(&self, expression: &Expression) -> Result<Val, RejectReason> {
        let mut first = Val::Null;
        self.outputs(expression, |output| {
            first = output;
            if matches!(first, Val::Null) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(first)
    }

    /// Is the first output true? No output is false.
    fn condition(&self, expression: &Expression) -> Result<bool, RejectReason> {
        let mut holds = false;
        self.outputs(expression, |output| {
            holds = is_true(&output);
            ControlFlow::Break(())
        })?;
        Ok(holds)
    }

    fn outputs(&self, expression: &Expression, each: impl FnMut(Val) -> ControlFlow<()>) -> Result<(), RejectReason> {
        expression.outputs(self.value, self.bytes, each).map_err(|_| RejectReason::ExpressionFailed)
    }
}

/// Reads what a record holds beside its id and state.
struct Rest<'a> {
    reader: &'a Reader<'a>,
    /// A fault rejects the record; otherwise it leaves the value out.
    strict: bool,
}

impl Rest<'_> {
    fn or_blank<T: Default>(&self, result: Mapped<T>) -> Mapped<T> {
        if self.strict { result } else { Ok(result.unwrap_or_default()) }
    }

    fn fields(&self) -> Mapped<Vec<(Field, Value)>> {
        let fields = self.values(&self.reader.spec.fields, |field, value| match field {
            Field::Custom(_) => read::any(value),
            _ => read::text(value),
        })?;
        let present = |wanted: &Field| fields.iter().any(|(field, _)| field == wanted);
        match Field::MANDATORY.iter().find(|field| !present(field)) {
            Some(missing) if self.strict => {
                Err(Fault { reason: RejectReason::MissingField, key: missing.to_compact_string() })
            }
            _ => Ok(fields),
        }
    }

    fn event_fields(&self) -> Mapped<Vec<(EventField, Value)>> {
        self.values(&self.reader.spec.event_fields, |field, value| match field {
            EventField::BadgeUrl => read::badge_url(value),
            EventField::RegistrationType => read::text(value),
        })
    }

    /// The values that are not blank, ascending by field.
    fn values<F: Clone + Ord + ToCompactString>(
        &self,
        specs: &[FieldSpec<F>],
        read: impl Fn(&F, &Val) -> Result<Option<Value>, RejectReason>,
    ) -> Mapped<Vec<(F, Value)>> {
        let mut values = Vec::with_capacity(specs.len());
        for FieldSpec { field, value } in specs {
            let read = self.reader.first(value).and_then(|value| read(field, &value));
            let read = read.map_err(|reason| Fault { reason, key: field.to_compact_string() });
            values.extend(self.or_blank(read)?.map(|value| (field.clone(), value)));
        }
        values.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(values)
    }

    /// Named groups and those of the rules, ascending by key. Of two spellings the first counts.
    fn groups(&self, rules: &[(GroupName, Expression)]) -> Mapped<Vec<GroupName>> {
        let mut groups = self.or_blank(self.named_groups().map_err(Fault::at("groups")))?;
        for (group, when) in rules {
            if self.or_blank(self.reader.condition(when).map_err(Fault::at("group_rules")))? {
                groups.push(group.clone());
            }
        }
        groups.sort_by(|a, b| a.key.cmp(&b.key));
        groups.dedup_by(|later, first| later.key == first.key);
        if groups.len() > GROUPS_PER_RECORD_MAX {
            let too_many = Err(Fault::at("groups")(RejectReason::FieldTooLong));
            return self.or_blank(too_many);
        }
        Ok(groups)
    }

    fn named_groups(&self) -> Result<Vec<GroupName>, RejectReason> {
        let mut names = Vec::new();
        let Some(expression) = &self.reader.spec.groups else { return Ok(names) };
        let mut read = Ok(());
        self.reader.outputs(expression, |output| {
            read = read::group_names(&output, &mut names);
            if read.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        read.map(|()| names)
    }
}

#[cfg(test)]
mod tests;
