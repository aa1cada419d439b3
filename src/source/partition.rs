//! Partitions: the parts of a source that are lists of their own, one for each parent.
//!
//! Invariant: pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fault::Fault;
use crate::config::{ParentList, Vars};
use crate::decode::RawRecord;
use crate::limits;
use crate::model::Digest;

/// One list of a source, known by its parents' fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Partition {
    fields: BTreeMap<String, String>,
}

/// What the records of a partition get under this name, where there are parents.
const PARENT: &str = "parent";

impl Partition {
    /// The source's one list, where it has no parents.
    pub(super) fn whole() -> Self {
        Self::default()
    }

    /// The partition below this one whose parent has these fields.
    pub(super) fn below(&self, fields: &BTreeMap<String, String>) -> Self {
        let fields = self.fields.iter().chain(fields).map(|(name, value)| (name.clone(), value.clone()));
        Self { fields: fields.collect() }
    }

    /// What it is known by from run to run. 0 is the whole.
    pub(super) fn key(&self) -> Digest {
        if self.fields.is_empty() {
            return Digest(0);
        }
        // NUL parts, and no field holds one.
        let text = self.fields.iter().fold(String::new(), |text, (name, value)| text + name + "\0" + value + "\0");
        Digest::of(0, text.as_bytes())
    }

    /// With its fields as `parent.x`.
    pub(super) fn vars(&self, params: &Vars) -> Vars {
        let mut vars = params.clone();
        vars.extend(self.fields.iter().map(|(name, value)| (format!("{PARENT}.{name}"), value.clone())));
        vars
    }

    /// Its fields as a JSON object; `None` where there are no parents.
    pub(super) fn json(&self) -> Option<Arc<str>> {
        if self.fields.is_empty() {
            return None;
        }
        let object = self.fields.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        Some(serde_json::Value::Object(object.collect()).to_string().into())
    }
}

/// Records that tell what is above them.
pub(super) fn with_parent(records: &[RawRecord], parent: &str) -> Vec<RawRecord> {
    records.iter().map(|record| record.with_member(PARENT, parent)).collect()
}

/// The fields of the parents in a page.
pub(super) fn parents(list: &ParentList, records: &[RawRecord]) -> Result<Vec<BTreeMap<String, String>>, Fault> {
    let mut parents = Vec::with_capacity(records.len());
    for record in records {
        let document = record.document().map_err(|_| no_parent("a parent is no JSON value"))?;
        let skipped = list.skip_when.as_ref().map(|when| when.truthy(&document)).transpose();
        if skipped.map_err(|error| no_parent(error.to_string()))?.unwrap_or(false) {
            continue;
        }
        let field = |(name, value): &(String, crate::mapping::Expression)| {
            let text = value.scalar(&document).map_err(|error| no_parent(format!("`{}`: {error}", value.source())))?;
            let text = text.ok_or_else(|| no_parent(format!("`{}` (the field '{name}') is empty", value.source())))?;
            if text.len() > limits::PARENT_FIELD_BYTES_MAX || text.contains(char::is_control) {
                let limit = limits::PARENT_FIELD_BYTES_MAX;
                let problem = format!("the field '{name}' has control characters or more than {limit} bytes");
                return Err(no_parent(problem));
            }
            Ok((name.clone(), text))
        };
        parents.push(list.fields.iter().map(field).collect::<Result<_, Fault>>()?);
    }
    Ok(parents)
}

fn no_parent(problem: impl Into<String>) -> Fault {
    let hint = "compare `select` and `fields` of the `partition` with the list of parents that the source really sends";
    Fault::Select { problem: problem.into(), hint }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::config::{PaginationSpec, RequestSpec};
    use crate::mapping::Expression;

    fn row(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_partition_is_known_by_all_its_fields() {
        let whole = Partition::whole();
        let (ab, ba) = (whole.below(&row(&[("a", "x")])).below(&row(&[("b", "y")])), row(&[("b", "y"), ("a", "x")]));
        assert_eq!(ab, whole.below(&ba));
        assert_eq!(whole.key(), Digest(0));
        let keys =
            [ab.key(), whole.below(&row(&[("a", "xb"), ("b", "y")])).key(), whole.below(&row(&[("a", "x")])).key()];
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        let vars = ab.vars(&Vars::from([("param.p".into(), "1".into())]));
        assert_eq!(
            vars.into_iter().collect::<Vec<_>>(),
            [
                ("param.p".to_owned(), "1".to_owned()),
                ("parent.a".to_owned(), "x".to_owned()),
                ("parent.b".to_owned(), "y".to_owned()),
            ]
        );
    }

    #[test]
    fn records_tell_what_is_above_them() {
        let parent = Partition::whole().below(&row(&[("event", "a\"b")])).json().unwrap();
        assert_eq!(Partition::whole().json(), None);
        let record = |json: &'static str| RawRecord::new(Bytes::from_static(json.as_bytes()));
        let records = ["{\"id\":1}", "{ }", " {\"parent\":null} ", "[1]", "7"].map(record);
        let with = with_parent(&records, &parent);
        let texts: Vec<_> = with.iter().map(|record| std::str::from_utf8(record.bytes()).unwrap()).collect();
        assert_eq!(
            texts,
            [
                r#"{"id":1,"parent":{"event":"a\"b"}}"#,
                r#"{ "parent":{"event":"a\"b"}}"#,
                r#"{"parent":null,"parent":{"event":"a\"b"}}"#,
                "[1]",
                "7",
            ]
        );
        let event = Expression::compile(".parent.event").unwrap();
        for record in &with[..3] {
            assert_eq!(event.scalar(&record.document().unwrap()).unwrap().as_deref(), Some("a\"b"));
        }
    }

    #[test]
    fn parents_without_a_field_are_a_fault_without_their_values() {
        let compile = |source| Expression::compile(source).unwrap();
        let request = RequestSpec {
            weight: 1,
            method: crate::config::Method::Get,
            base_url: url::Url::parse("https://a.example/").unwrap(),
            path: crate::config::Template::parse("events").unwrap(),
            query: Vec::new(),
            headers: Vec::new(),
            body: crate::config::BodySpec::None,
        };
        let list = ParentList {
            request,
            pagination: PaginationSpec::None,
            select: compile(".[]"),
            skip_when: Some(compile(".past")),
            fields: vec![("event".into(), compile(".slug")), ("n".into(), compile(".n"))],
        };
        let record = |json: &'static str| RawRecord::new(Bytes::from_static(json.as_bytes()));
        let found = parents(&list, &[record(r#"{"slug":"a","n":7}"#), record(r#"{"past":true}"#)]).unwrap();
        assert_eq!(found, [row(&[("event", "a"), ("n", "7")])]);
        for (json, problem) in [
            (r#"{"slug":"a"}"#, "`.n` (the field 'n') is empty"),
            (r#"{"slug":["ada"],"n":1}"#, "`.slug`"),
            (r#"{"slug":"a\nda","n":1}"#, "the field 'event' has control characters"),
            ("{", "no JSON"),
        ] {
            let fault = parents(&list, &[record(json)]).unwrap_err().to_string();
            assert!(fault.contains(problem) && !fault.contains("ada"), "{fault}");
        }
    }
}
