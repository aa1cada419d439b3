//! The mapping at work: what a record says, in the order that decides which fault is named.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use compact_str::{CompactString, ToCompactString};
use jiff::Timestamp;

use super::bound::{Bound, Paths, Record};
use super::error::SelectError;
use super::native::Piece;
use super::{BadgeKind, Expression, GroupRule, MappingSpec, digest, read};
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
    paths: Paths,
    bound: BoundSpec,
}

/// The spec's expressions, ready to be evaluated on records.
#[derive(Debug)]
struct BoundSpec {
    external_id: Option<Bound>,
    email: Bound,
    fields: Vec<(Field, Bound)>,
    event_fields: Vec<(EventField, Bound)>,
    updated_at: Option<Bound>,
    skip_when: Option<Bound>,
    delete_when: Option<Bound>,
    removed_when: Option<Bound>,
    attendee_when: Option<Bound>,
    groups: Option<Bound>,
    /// Group rules in their order: the group, and when it is granted.
    rules: Vec<(GroupName, Bound)>,
    badge: BadgeKind,
}

impl BoundSpec {
    fn new(spec: &MappingSpec, paths: &Paths) -> Self {
        let bind = |expression: &Expression| paths.bind(expression);
        let maybe = |expression: &Option<Expression>| expression.as_ref().map(bind);
        let rule = |rule: &GroupRule| Some((GroupName::new(&rule.name)?, bind(&rule.when)));
        Self {
            external_id: maybe(&spec.external_id),
            email: bind(&spec.email),
            fields: spec.fields.iter().map(|field| (field.field.clone(), bind(&field.value))).collect(),
            event_fields: spec.event_fields.iter().map(|field| (field.field, bind(&field.value))).collect(),
            updated_at: maybe(&spec.updated_at),
            skip_when: maybe(&spec.skip_when),
            delete_when: maybe(&spec.delete_when),
            removed_when: maybe(&spec.removed_when),
            attendee_when: maybe(&spec.attendee_when),
            groups: maybe(&spec.groups),
            rules: spec.group_rules.iter().filter_map(rule).collect(),
            badge: spec.badge,
        }
    }
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
        let paths = Paths::of(spec.on_records());
        let bound = BoundSpec::new(&spec, &paths);
        Self(Arc::new(Inner { spec, seed, paths, bound }))
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
        self.map_counting(record, &Cell::default())
    }

    /// The same, and counts the badges that are left out because they are none.
    pub fn map_counting(&self, record: &RawRecord, badges: &Cell<u64>) -> Outcome {
        let read = |record: &Record<'_, '_>| Reader { bound: &self.0.bound, record, badges }.outcome();
        let outcome = self.0.paths.read(record, read);
        outcome.unwrap_or_else(|| rejected(None, Fault::at("")(RejectReason::WrongType)))
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

/// A record and the expressions to read it with.
struct Reader<'r, 'a> {
    bound: &'a BoundSpec,
    record: &'r Record<'r, 'a>,
    /// Badges that are left out.
    badges: &'r Cell<u64>,
}

impl Reader<'_, '_> {
    fn outcome(&self) -> Outcome {
        let id = self.mapped_id();
        let outcome = match self.fate() {
            Ok(Fate::Skip) => return Outcome::Skipped(SkipReason::Filtered, id.ok().flatten()),
            Ok(Fate::Keep(state)) => self.keep(id.clone(), state),
            Err(fault) => Err(fault),
        };
        match outcome {
            Ok(mapped) => Outcome::Mapped(mapped),
            Err(fault) => rejected(id.ok().flatten(), fault),
        }
    }

    fn keep(&self, id: Mapped<Option<ExternalId>>, state: RecordState) -> Mapped<MappedRecord> {
        let email = self.email();
        // Without a mapped id the email key serves, so that there the email is needed in any state.
        let external_id = match id? {
            Some(id) => id,
            None => key_of(email.clone()?)?,
        };
        let rest = Rest { reader: self, strict: matches!(state, RecordState::Attending | RecordState::NotAttending) };
        let email = rest.or_blank(email)?;
        if rest.strict && email.is_none() {
            return Err(Fault::at("email")(RejectReason::MissingField));
        }
        let fields = rest.fields()?;
        let event_fields = rest.event_fields()?;
        let groups = rest.groups()?;
        let updated_at = rest.or_blank(self.updated_at())?;
        Ok(MappedRecord { external_id, state, email, updated_at, fields, event_fields, groups })
    }

    fn fate(&self) -> Mapped<Fate> {
        let is = |when: &Option<Bound>, key, default| match when {
            Some(when) => self.record.condition(when).map_err(Fault::at(key)),
            None => Ok(default),
        };
        if is(&self.bound.delete_when, "delete_when", false)? {
            return Ok(Fate::Keep(RecordState::Deleted));
        }
        if is(&self.bound.skip_when, "skip_when", false)? {
            return Ok(Fate::Skip);
        }
        if is(&self.bound.removed_when, "removed_when", false)? {
            return Ok(Fate::Keep(RecordState::Cancelled));
        }
        let attends = is(&self.bound.attendee_when, "attendee_when", true)?;
        Ok(Fate::Keep(if attends { RecordState::Attending } else { RecordState::NotAttending }))
    }

    /// The external id where one is mapped; then a blank one is a fault.
    fn mapped_id(&self) -> Mapped<Option<ExternalId>> {
        let Some(bound) = &self.bound.external_id else { return Ok(None) };
        let id = self.record.first(bound, read::external_id);
        match id.map_err(Fault::at("external_id"))? {
            Some(id) => Ok(Some(id)),
            None => Err(Fault::at("external_id")(RejectReason::MissingField)),
        }
    }

    fn email(&self) -> Mapped<Option<Email>> {
        self.record.first(&self.bound.email, read::email).map_err(Fault::at("email"))
    }

    fn updated_at(&self) -> Mapped<Option<Timestamp>> {
        let Some(bound) = &self.bound.updated_at else { return Ok(None) };
        self.record.first(bound, read::timestamp).map_err(Fault::at("updated_at"))
    }
}

/// Reads what a record holds beside its id and state.
struct Rest<'r, 'a> {
    reader: &'r Reader<'r, 'a>,
    /// A fault rejects the record; otherwise it leaves the value out.
    strict: bool,
}

impl<'a> Rest<'_, 'a> {
    fn or_blank<T: Default>(&self, result: Mapped<T>) -> Mapped<T> {
        if self.strict { result } else { Ok(result.unwrap_or_default()) }
    }

    fn fields(&self) -> Mapped<Vec<(Field, Value)>> {
        let fields = self.values(&self.reader.bound.fields, |field, value| match field {
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
        self.values(&self.reader.bound.event_fields, |field, value| match field {
            // Nobody stays outside for want of a badge.
            EventField::BadgeUrl => Ok(read::badge_url(value, self.reader.bound.badge).unwrap_or_else(|_| {
                self.reader.badges.update(|badges| badges + 1);
                None
            })),
            EventField::RegistrationType => read::text(value),
        })
    }

    /// The values that are not blank, ascending by field.
    fn values<F: Clone + Ord + ToCompactString>(
        &self,
        bound: &'a [(F, Bound)],
        read: impl Fn(&F, &Piece<'_>) -> Result<Option<Value>, RejectReason>,
    ) -> Mapped<Vec<(F, Value)>> {
        let mut values = Vec::with_capacity(bound.len());
        for (field, value) in bound {
            match self.reader.record.first(value, |value| read(field, value)) {
                Ok(Some(value)) => values.push((field.clone(), value)),
                Err(reason) if self.strict => return Err(Fault { reason, key: field.to_compact_string() }),
                Ok(None) | Err(_) => {}
            }
        }
        values.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(values)
    }

    /// Named groups and those of the rules, ascending by key. Of two spellings the first counts.
    fn groups(&self) -> Mapped<Vec<GroupName>> {
        let mut groups = self.or_blank(self.named_groups().map_err(Fault::at("groups")))?;
        for (group, when) in &self.reader.bound.rules {
            if self.or_blank(self.reader.record.condition(when).map_err(Fault::at("group_rules")))? {
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
        let Some(bound) = &self.reader.bound.groups else { return Ok(Vec::new()) };
        let (names, fault) = self.reader.record.outputs(bound, |(names, fault), output| {
            *fault = read::group_names(output, names).err();
            if fault.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        fault.map_or(Ok(names), Err)
    }
}

#[cfg(test)]
mod tests;
