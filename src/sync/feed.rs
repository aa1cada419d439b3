//! What a run of one feed works with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{DeleteScope, SourceSpec};
use crate::limits::{CHANGED_MAPPINGS_MAX, MISSING_RUNS};
use crate::mapping::{Mapping, Overrides};
use crate::model::{
    Digest, Event, EventField, EventName, FeedId, Field, FieldRule, Missing, SafetySettings, SourceName,
};
use crate::plan::{Figures, Rank};
use crate::source::{Profile, Source};
use crate::store::Store;

/// A source, ready to be read.
#[derive(Clone)]
pub struct SourceEntry {
    pub source: Source,
    pub mapping: Arc<Mapping>,
    /// What events make of it.
    changed: Arc<Mutex<HashMap<Overrides, Arc<Mapping>>>>,
}

impl SourceEntry {
    pub fn new(source: Source) -> Self {
        let mapping = Arc::new(Mapping::new(source.spec().mapping.clone()));
        Self { source, mapping, changed: Arc::default() }
    }

    /// The same with what an event says of the mapping otherwise, compiled once. What it cannot say, e.g. because the source has locked
    /// it since, does not count.
    pub fn with(&self, overrides: &Overrides) -> Self {
        if overrides.is_empty() {
            return self.clone();
        }
        let mut changed = self.changed.lock();
        if changed.len() >= CHANGED_MAPPINGS_MAX {
            changed.clear();
        }
        let compile = || Arc::new(Mapping::new(self.mapping.spec().with(overrides).0));
        let mapping = Arc::clone(changed.entry(overrides.clone()).or_insert_with(compile));
        Self { mapping, ..self.clone() }
    }
}

/// What of a feed is to be read.
#[derive(Clone, Default)]
pub enum Extent {
    /// What the source's settings and the last read make of it.
    #[default]
    Whole,
    /// These records, by the ids that hooks named.
    Only(Arc<BTreeSet<String>>),
    /// Nothing: these came already, with their people's own tokens.
    Profiles(Arc<Vec<Profile>>),
}

impl Extent {
    pub const fn is_part(&self) -> bool {
        !matches!(self, Self::Whole)
    }
}

/// A feed, ready to be run.
#[derive(Clone)]
pub struct Feed {
    pub id: FeedId,
    pub entry: SourceEntry,
    pub params: BTreeMap<String, String>,
    /// What of it is to be read.
    pub extent: Extent,
    /// What the event says, else what the source says.
    pub safety: SafetySettings,
    /// Sources' priorities and events' starts, for precedence.
    priorities: HashMap<SourceName, i32>,
    starts: HashMap<EventName, Option<jiff::Timestamp>>,
    /// The mappings that have a rule of their own for some field.
    rules: HashMap<SourceName, Arc<Mapping>>,
}

impl Feed {
    /// `None` when the event has no feed of this source, or the source is not configured.
    pub fn of(
        event: &Event,
        source: &SourceName,
        sources: &BTreeMap<SourceName, SourceEntry>,
        events: &[Arc<Event>],
    ) -> Option<Self> {
        let settings = event.feed(source)?;
        let entry = sources.get(source)?.with(&settings.mapping);
        let safety = settings.safety.or(entry.source.spec().safety);
        let id = FeedId { event: event.name.clone(), source: source.clone() };
        let params = entry.source.spec().pre_set().chain(settings.params.clone()).collect();
        Some(Self { params, safety, ..Self::with(id, entry, sources, events) })
    }

    /// Whom a source signs in. `None` where there is no such source.
    pub fn of_logins(
        source: &SourceName,
        sources: &BTreeMap<SourceName, SourceEntry>,
        events: &[Arc<Event>],
    ) -> Option<Self> {
        let entry = sources.get(source).filter(|entry| entry.source.spec().sign_in.is_some())?.clone();
        Some(Self::with(FeedId::of_logins(source.clone()), entry, sources, events))
    }

    fn with(
        id: FeedId,
        entry: SourceEntry,
        sources: &BTreeMap<SourceName, SourceEntry>,
        events: &[Arc<Event>],
    ) -> Self {
        let priority = |(name, entry): (&SourceName, &SourceEntry)| (name.clone(), entry.source.spec().priority);
        let rules = |(name, entry): (&SourceName, &SourceEntry)| {
            entry.mapping.spec().has_rules().then(|| (name.clone(), Arc::clone(&entry.mapping)))
        };
        Self {
            id,
            safety: entry.source.spec().safety,
            entry,
            params: BTreeMap::new(),
            extent: Extent::default(),
            priorities: sources.iter().map(priority).collect(),
            starts: events.iter().map(|event| (event.name.clone(), event.starts_at)).collect(),
            rules: sources.iter().filter_map(rules).collect(),
        }
    }

    pub fn spec(&self) -> &SourceSpec {
        self.entry.source.spec()
    }

    /// A feed that is configured no longer ranks last.
    pub fn rank(&self, feed: &FeedId) -> Rank {
        Rank {
            priority: self.priorities.get(&feed.source).copied().unwrap_or(i32::MIN),
            starts_at: self.starts.get(&feed.event).copied().flatten(),
        }
    }

    /// The seed of the digests of records: whatever changes what a record means, or what follows from it, changes
    /// the seed, so that the next run maps every record and plans every person anew.
    pub fn digest_seed(&self) -> u64 {
        let params = serde_json::to_vec(&self.params).unwrap_or_default();
        let start = self.starts.get(&self.id.event).copied().flatten().map_or(i64::MIN, |start| start.as_millisecond());
        let priority = self.spec().priority.to_le_bytes();
        let (mapping, start) = (self.entry.mapping.seed().to_le_bytes(), start.to_le_bytes());
        let deletes_user = [u8::from(self.spec().delete_scope == DeleteScope::User)];
        let missing_runs = self.missing_runs().map(u32::to_le_bytes);
        let (event, source) = (self.id.event.as_str().as_bytes(), self.id.source.as_str().as_bytes());
        let mut parts: Vec<&[u8]> = vec![event, source, &mapping, &params, &priority, &start, &deletes_user];
        // Only where the missing are removed, so that what was stored before there was a choice means what it did.
        parts.extend(missing_runs.as_ref().map(|runs| &runs[..]));
        Digest::seed(&parts)
    }

    /// The seed of what is remembered of the source itself: whatever changes what is asked for, or what a record means,
    /// changes it, so that the next read is of everything.
    pub fn position_seed(&self) -> u64 {
        let SourceSpec { request, pagination, partitions, incremental, .. } = self.spec();
        // No secret is among them. Should another build spell them differently, everything is read once more.
        let asked = format!("{request:?} {pagination:?} {partitions:?} {incremental:?}");
        Digest::seed(&[&self.digest_seed().to_le_bytes(), asked.as_bytes()])
    }

    /// How a source's values get into a profile field.
    pub fn rule(&self, source: &SourceName, field: &Field) -> FieldRule {
        self.rules.get(source).map_or_else(FieldRule::default, |mapping| mapping.spec().rule(field))
    }

    /// Complete reads in a row after which a missing registration no longer keeps anybody; `None`: it does for ever.
    pub fn missing_runs(&self) -> Option<u32> {
        let SafetySettings { missing, missing_runs, .. } = self.safety;
        (missing == Some(Missing::Remove)).then(|| missing_runs.unwrap_or(MISSING_RUNS))
    }

    /// How the feed stands before a plan, as far as the indexes tell; its active registrations are estimated from above.
    pub fn figures_before(&self, store: &Store) -> Figures {
        let registered = store.view().index().registration_count(&self.id);
        let (attending, _) = store.attendee_counts(&self.id.event);
        Figures {
            active: registered,
            registered,
            attending_before: attending,
            attending_after: attending,
            ..Figures::default()
        }
    }

    /// The profile fields in which a blank keeps what was there.
    pub fn kept_fields(&self) -> Vec<Field> {
        let kept = self.entry.mapping.spec().fields.iter().filter(|spec| !spec.rule.clear_blank);
        kept.map(|spec| spec.field.clone()).collect()
    }

    pub fn kept_event_fields(&self) -> Vec<EventField> {
        let kept = self.entry.mapping.spec().event_fields.iter().filter(|spec| !spec.rule.clear_blank);
        kept.map(|spec| spec.field).collect()
    }
}
