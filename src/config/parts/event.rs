//! `[event.<name>]`, and the rules that events of the file and of the API share.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use url::Url;

use super::access::{access_objections, read_access};
use super::invitations::read_invitations;
use super::mapping::key_mend;
use super::request::is_loopback;
use super::safety::{read_safety, safety_objections};
use super::schedule::{read_schedule, schedule_objections};
use super::source::source_placeholders;
use super::text::{is_param_name, read_zone};
use crate::config::fault::{Fault, Warning};
use crate::config::read::{Children, Findings, Item, Place, Section, shown};
use crate::config::suggest::nearest;
use crate::config::{CredentialScope, SourceSpec, Template};
use crate::decode::Document;
use crate::limits::{
    LINK_BYTES_MAX, PARAM_BYTES_MAX, PASSWORD_LENGTH, PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, TITLE_BYTES_MAX,
};
use crate::mapping::{Expression, Overrides, Unusable};
use crate::model::{Event, EventName, FeedSettings, Field, Links, MappingKey, SourceName};

/// The sources of a configuration, those with faults as `None`: a feed of one is not to blame.
pub(in crate::config) type Declared = BTreeMap<SourceName, Option<Arc<SourceSpec>>>;

/// Holds an event's settings against the sources. For events that come over the API; those of the file are held
/// against the same rules. The paths of faults are relative to the event, e.g. `feeds[0].params.event`.
///
/// # Errors
/// Every fault: an odd title, an end that is not after the start, a schedule that does not fit together, a feed of a source that is not there, two feeds of one source, a param that the
/// source needs and the feed does not give, or one with an odd name or value.
pub fn validate_event(
    event: Event,
    sources: &BTreeMap<SourceName, Arc<SourceSpec>>,
) -> Result<(Event, Vec<Warning>), Vec<Fault>> {
    let known: BTreeMap<_, _> = sources.iter().map(|(name, spec)| (name, KnownSource::of(Some(spec)))).collect();
    let (mut faults, mut warnings) = (Vec::new(), Vec::new());
    for Objection { spot, problem, mend } in objections(&event, &known) {
        let path = spot.to_string();
        match mend {
            Some(mend) => faults.push(Fault { path, line: None, problem, mend, detail: String::new() }),
            None => warnings.push(Warning { path, line: None, text: problem }),
        }
    }
    if faults.is_empty() { Ok((event, warnings)) } else { Err(faults) }
}

/// A part of an event's settings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Spot {
    Title,
    EndsAt,
    /// A key of the event's schedule.
    Schedule(&'static str),
    /// A key of the login links.
    Links(&'static str),
    Feeds,
    Source(usize),
    Params(usize),
    Param(usize, String),
    /// What the event says of a source's mapping.
    Mapping(usize, MappingKey),
    /// A key of absence or of the guard.
    Safety(usize, &'static str),
    /// By its path from the event on.
    Access(String),
    /// A key of a feed's own schedule.
    FeedSchedule(usize, &'static str),
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Title => f.write_str("title"),
            Self::EndsAt => f.write_str("ends_at"),
            Self::Schedule(key) => write!(f, "schedule.{key}"),
            Self::Links(key) => write!(f, "links.{key}"),
            Self::Feeds => f.write_str("feeds"),
            Self::Source(feed) => write!(f, "feeds[{feed}].source"),
            Self::Params(feed) => write!(f, "feeds[{feed}].params"),
            Self::Access(path) => f.write_str(path),
            Self::Safety(feed, key) => write!(f, "feeds[{feed}].{key}"),
            Self::FeedSchedule(feed, key) => write!(f, "feeds[{feed}].schedule.{key}"),
            Self::Mapping(feed, key) => write!(f, "feeds[{feed}].mapping.{key}"),
            Self::Param(feed, name) => {
                let params = Place { path: Self::Params(*feed).to_string(), ..Place::default() };
                f.write_str(&params.named(name, 0).path)
            }
        }
    }
}

/// What is wrong with an event, or, without a mend, what is only odd.
struct Objection {
    spot: Spot,
    problem: String,
    mend: Option<String>,
}

impl Objection {
    fn fault(spot: Spot, problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { spot, problem: problem.into(), mend: Some(mend.into()) }
    }

    fn warning(spot: Spot, text: impl Into<String>) -> Self {
        Self { spot, problem: text.into(), mend: None }
    }
}

/// The sources that exist.
type Known<'a> = BTreeMap<&'a SourceName, KnownSource>;

/// What an event needs to know of a source.
enum KnownSource {
    /// Nothing can be said of it.
    Faulty,
    /// It has a list, for which it needs these params.
    Listed(BTreeSet<String>, Arc<SourceSpec>),
    /// People sign in with it.
    OfLogins,
}

impl KnownSource {
    fn of(spec: Option<&Arc<SourceSpec>>) -> Self {
        match spec {
            None => Self::Faulty,
            Some(spec) if spec.sign_in.is_some() => Self::OfLogins,
            Some(spec) => Self::Listed(source_placeholders(spec), Arc::clone(spec)),
        }
    }
}

/// The rules.
fn objections(event: &Event, known: &Known<'_>) -> Vec<Objection> {
    let mut objections = Vec::new();
    if event.title.trim().is_empty() || event.title.len() > TITLE_BYTES_MAX || event.title.contains(char::is_control) {
        let problem = format!("must be 1 to {TITLE_BYTES_MAX} bytes on one line");
        objections.push(Objection::fault(Spot::Title, problem, "write what people call the event"));
    }
    if matches!((event.starts_at, event.ends_at), (Some(start), Some(end)) if end <= start) {
        objections.push(Objection::fault(Spot::EndsAt, "must be after starts_at", "write when the event is over"));
    }
    if let Some(schedule) = &event.schedule {
        let found = schedule_objections(schedule, event).into_iter();
        objections.extend(found.map(|(key, problem, mend)| Objection::fault(Spot::Schedule(key), problem, mend)));
    }
    objections.extend(event.links.iter().flat_map(link_objections));
    if event.feeds.is_empty() {
        objections.push(Objection::warning(Spot::Feeds, "no feed, so that nobody is synced into this event"));
    }
    let mut seen = BTreeSet::new();
    for (n, feed) in event.feeds.iter().enumerate() {
        if !seen.insert(&feed.source) {
            let problem = format!("a second feed of {}", feed.source);
            let mend = "keep one; declare a second source to read the same system in another way";
            objections.push(Objection::fault(Spot::Source(n), problem, mend));
        }
        match known.get(&feed.source) {
            None => objections.push(unknown_source(n, &feed.source, known)),
            Some(KnownSource::Faulty) => {}
            Some(KnownSource::OfLogins) => {
                let problem = format!("people sign in with the source {}, which has no list", feed.source);
                let mend = "leave the feed out: who signs in is known in every event";
                objections.push(Objection::fault(Spot::Source(n), problem, mend));
            }
            Some(KnownSource::Listed(needed, spec)) => {
                param_objections(n, feed, needed, spec, &mut objections);
                objections.extend(mapping_objections(n, feed, spec));
            }
        }
        objections.extend(feed.params.iter().filter_map(|(name, value)| param_value_objection(n, name, value)));
        let safety = safety_objections(&feed.safety).into_iter();
        objections.extend(safety.map(|(key, problem, mend)| Objection::fault(Spot::Safety(n, key), problem, mend)));
        if let Some(schedule) = &feed.schedule {
            let found = schedule_objections(schedule, event).into_iter();
            objections
                .extend(found.map(|(key, problem, mend)| Objection::fault(Spot::FeedSchedule(n, key), problem, mend)));
        }
    }
    let access = access_objections(&event.access).into_iter();
    objections.extend(access.map(|(path, problem, mend)| Objection::fault(Spot::Access(path), problem, mend)));
    objections
}

fn unknown_source(n: usize, source: &SourceName, known: &Known<'_>) -> Objection {
    let mend = match nearest(source.as_str(), known.keys().map(|name| name.as_str())) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None if known.is_empty() => format!("declare it as [source.{source}]"),
        None => {
            let names: Vec<_> = known.keys().map(|name| name.as_str()).collect();
            format!("declare it as [source.{source}], or use one of {}", names.join(", "))
        }
    };
    Objection::fault(Spot::Source(n), format!("no such source (got {:?})", source.as_str()), mend)
}

/// Does the rule hold of the text?
fn is_valid(rule: &Expression, text: &str) -> bool {
    let json = serde_json::Value::from(text).to_string();
    Document::parse(json.into()).is_ok_and(|document| rule.truthy(&document) == Ok(true))
}

fn param_objections(
    n: usize,
    feed: &FeedSettings,
    needed: &BTreeSet<String>,
    spec: &SourceSpec,
    objections: &mut Vec<Objection>,
) {
    for name in needed.iter().filter(|name| !feed.params.contains_key(*name)) {
        let described = spec.credentials.iter().find(|credential| credential.name == **name);
        let described = described.map(|credential| format!(": {}", credential.description)).unwrap_or_default();
        let problem = format!("the source {} needs the param {name}{described}", feed.source);
        let mend = format!(r#"write params = {{ {name} = "…" }}"#);
        objections.push(Objection::fault(Spot::Params(n), problem, mend));
    }
    for credential in &spec.credentials {
        let Some(value) = feed.params.get(&credential.name) else { continue };
        let (spot, name) = (Spot::Param(n, credential.name.clone()), &credential.name);
        match &credential.scope {
            CredentialScope::Event { valid_when: Some(rule) } if !is_valid(rule, value) => {
                let mend = format!("write {}", credential.description);
                objections.push(Objection::fault(
                    spot,
                    format!("not as the source wants it ({})", rule.source()),
                    mend,
                ));
            }
            CredentialScope::Event { .. } => {}
            CredentialScope::PreSet { .. } | CredentialScope::Secret => {
                let problem = format!("the source {} sets {name} for every event: it is read-only", feed.source);
                objections.push(Objection::fault(spot, problem, "leave it out"));
            }
        }
    }
    let is_said = |name: &String| spec.credentials.iter().any(|credential| credential.name == *name);
    let is_unknown = |name: &&String| is_param_name(name) && !needed.contains(*name) && !is_said(name);
    for name in feed.params.keys().filter(is_unknown) {
        let text = format!("the source {} does not use this param", feed.source);
        objections.push(Objection::warning(Spot::Param(n, name.clone()), text));
    }
}

/// A link leads to an app over https and tells its token; a password is long enough.
fn link_objections(links: &Links) -> Vec<Objection> {
    let mut found = Vec::new();
    let mut fault = |key, problem: String, mend: &str| found.push(Objection::fault(Spot::Links(key), problem, mend));
    let example = r#"write e.g. "https://app.example/enter?token={token}""#;
    match Template::parse(&links.link) {
        Err(error) => fault("link", error.to_string(), example),
        Ok(template) => {
            let unknown = template.placeholders().find(|name| !["token", "event", "user"].contains(name));
            if let Some(name) = unknown {
                fault("link", format!("no placeholder {{{name}}} here"), "use {token}, {event} and {user}");
            } else if !template.uses("token") {
                fault("link", "lets everybody in by the same address: it does not say {token}".into(), example);
            }
            let vars = ["token", "event", "user"].map(|name| (name.to_owned(), "x".to_owned())).into();
            let address = template.render(&vars, str::to_owned).ok().and_then(|text| Url::parse(&text).ok());
            if unknown.is_none() && !address.is_some_and(|url| url.scheme() == "https" || is_loopback(&url)) {
                fault("link", "must be an https address".into(), example);
            }
        }
    }
    if links.link.len() > LINK_BYTES_MAX {
        fault("link", format!("must be at most {LINK_BYTES_MAX} bytes"), "shorten it");
    }
    let lengths = PASSWORD_LENGTH_MIN..=PASSWORD_LENGTH_MAX;
    if links.password_length != 0 && !lengths.contains(&links.password_length) {
        let (min, max) = (lengths.start(), lengths.end());
        fault("password_length", format!("must be 0 or {min} to {max}"), "write 10, or 0 for links without passwords");
    }
    found
}

/// What the event says otherwise must be what the source lets it say.
fn mapping_objections(n: usize, feed: &FeedSettings, spec: &SourceSpec) -> Vec<Objection> {
    let (_, unusable) = spec.mapping.with(&feed.mapping);
    let objection = |(key, why): (MappingKey, Unusable)| {
        let mend = match why {
            Unusable::Locked => format!("leave it out: {} is the same in every event of {}", key, spec.name),
            Unusable::Mandatory => "write an expression, or leave it out for the source's own".into(),
            Unusable::Expression(_) => "try it on a page of the source with jq".into(),
        };
        Objection::fault(Spot::Mapping(n, key), why.to_string(), mend)
    };
    unusable.into_iter().map(objection).collect()
}

/// A param goes into addresses, where an empty one or a step up the path would ask for something else.
fn param_value_objection(n: usize, name: &str, value: &str) -> Option<Objection> {
    let spot = || Spot::Param(n, name.to_owned());
    if !is_param_name(name) {
        let problem = format!("no name for a param (got {})", shown(name));
        return Some(Objection::fault(spot(), problem, "use 1 to 64 letters, digits, '-' and '_'"));
    }
    if value.trim().is_empty() || matches!(value, "." | "..") {
        return Some(Objection::fault(spot(), "must not be empty, '.' or '..'", "write the value the source knows"));
    }
    if value.len() > PARAM_BYTES_MAX || value.contains(char::is_control) {
        let problem = format!("must be at most {PARAM_BYTES_MAX} bytes on one line");
        return Some(Objection::fault(spot(), problem, "shorten it"));
    }
    None
}

/// Where an event's settings stand in the file.
struct Places {
    event: Place,
    title: Option<Place>,
    ends_at: Option<Place>,
    feeds: Vec<FeedPlaces>,
    access: Place,
}

struct FeedPlaces {
    feed: Place,
    source: Place,
    params: BTreeMap<String, Place>,
    mapping: BTreeMap<MappingKey, Place>,
}

impl Places {
    fn of(&self, spot: &Spot) -> Place {
        match spot {
            Spot::Title => self.title.clone(),
            Spot::EndsAt => self.ends_at.clone(),
            Spot::Schedule(key) => {
                let schedule = self.event.key("schedule", self.event.line);
                Some(schedule.key(key, schedule.line))
            }
            Spot::Links(key) => {
                let links = self.event.key("links", self.event.line);
                Some(links.key(key, links.line))
            }
            Spot::Feeds => None,
            Spot::Access(path) => Some(Place { path: format!("{}.{path}", self.event.path), ..self.access.clone() }),
            Spot::Source(n) => self.feeds.get(*n).map(|feed| feed.source.clone()),
            // A file's are held against the same bounds when they are read, so none is left to object to.
            Spot::Safety(n, _) => self.feeds.get(*n).map(|feed| feed.feed.clone()),
            Spot::FeedSchedule(n, key) => self.feeds.get(*n).map(|feed| {
                let schedule = feed.feed.key("schedule", feed.feed.line);
                schedule.key(key, schedule.line)
            }),
            Spot::Params(n) => self.feeds.get(*n).map(|feed| feed.feed.key("params", feed.feed.line)),
            Spot::Mapping(n, key) => self.feeds.get(*n).and_then(|feed| feed.mapping.get(key).cloned()),
            Spot::Param(n, name) => self.feeds.get(*n).and_then(|feed| feed.params.get(name).cloned()),
        }
        .unwrap_or_else(|| self.event.clone())
    }
}

/// Reads one event. Its name was checked before.
pub(in crate::config) fn read_event(
    name: EventName,
    mut section: Section<'_>,
    sources: &Declared,
    folder: &Path,
) -> Option<Arc<Event>> {
    let findings = section.findings();
    let title_item = section.optional("title");
    let title = match &title_item {
        Some(item) => item.any_text(),
        None => Some(name.as_str()),
    };
    let time = |item: Option<&Item<'_>>| match item {
        Some(item) => read_time(item).map(Some),
        None => Some(None),
    };
    let starts_at = time(section.optional("starts_at").as_ref());
    let ends_at_item = section.optional("ends_at");
    let ends_at = time(ends_at_item.as_ref());
    let zone = match section.optional("zone") {
        Some(item) => read_zone(&item),
        None => Some(TimeZone::UTC),
    };
    let schedule = read_schedule(&mut section);
    let feeds: Vec<_> = section.list("feed").into_iter().map(read_feed).collect();
    let all_feeds_read = feeds.iter().all(Option::is_some);
    let (feeds, feed_places) = feeds.into_iter().flatten().unzip();
    let links = read_links(section.section("links"));
    let invitations = read_invitations(section.section("invitations"), folder);
    let title_place = title_item.as_ref().map(|item| item.place().clone());
    let ends_at_place = ends_at_item.as_ref().map(|item| item.place().clone());
    let event_place = section.place().clone();
    let access = section.section("access");
    let access_place = access.place().clone();
    let access = read_access(access);
    let places = Places {
        event: event_place,
        title: title_place,
        ends_at: ends_at_place,
        feeds: feed_places,
        access: access_place,
    };
    section.finish();
    // Where a part is faulty, a sound one stands in, so that the rest is held against the rules all the same.
    let settings_read = title.is_some() && zone.is_some() && schedule.is_some() && access.is_some();
    let whole = settings_read
        && links.is_some()
        && invitations.is_some()
        && starts_at.is_some()
        && ends_at.is_some()
        && all_feeds_read;
    let title = title.unwrap_or(name.as_str()).to_owned();
    let (starts_at, ends_at) = (starts_at.unwrap_or(Some(Timestamp::MIN)), ends_at.unwrap_or(Some(Timestamp::MAX)));
    let (zone, schedule, access) = (zone.unwrap_or(TimeZone::UTC), schedule.flatten(), access.unwrap_or_default());
    let settings = invitations.as_ref().map(|read| read.invitations.clone()).unwrap_or_default();
    let event = Event {
        name,
        title,
        starts_at,
        ends_at,
        zone,
        schedule,
        feeds,
        access,
        invitations: settings,
        links: links.clone().flatten(),
    };
    let sound = report(&event, all_feeds_read, &places, sources, findings);
    let specs = sources.values().flatten();
    let sound = invitations.is_none_or(|read| read.report(&event, &custom_fields(specs), findings)) && sound;
    (whole && sound).then(|| Arc::new(event))
}

/// The custom fields that sources map.
pub fn custom_fields<'s>(sources: impl IntoIterator<Item = &'s Arc<SourceSpec>>) -> BTreeSet<Arc<str>> {
    let fields = sources.into_iter().flat_map(|spec| &spec.mapping.fields);
    let custom = |field: &Field| if let Field::Custom(name) = field { Some(Arc::clone(name)) } else { None };
    fields.filter_map(|spec| custom(&spec.field)).collect()
}

/// Reports what the rules object to; true when nothing must be mended.
fn report(event: &Event, all_feeds_read: bool, places: &Places, sources: &Declared, findings: &Findings) -> bool {
    let known: Known<'_> = sources.iter().map(|(name, spec)| (name, KnownSource::of(spec.as_ref()))).collect();
    let mut sound = true;
    for Objection { spot, problem, mend } in objections(event, &known) {
        match mend {
            Some(mend) => {
                sound = false;
                findings.fault(&places.of(&spot), problem, mend);
            }
            // A feed that could not be read is a feed all the same.
            None if spot == Spot::Feeds && !all_feeds_read => {}
            None => findings.warn(&places.of(&spot), problem),
        }
    }
    sound
}

pub(super) fn read_time(item: &Item<'_>) -> Option<Timestamp> {
    let text = item.time_text()?;
    let time = text.parse();
    if time.is_err() {
        let problem = format!("must be a time with its zone (got {})", shown(&text));
        item.fault(problem, "write e.g. 2026-06-01T09:00:00Z or 2026-06-01T09:00:00+02:00");
    }
    time.ok()
}

fn read_feed(mut section: Section<'_>) -> Option<(FeedSettings, FeedPlaces)> {
    let source_item = section.required("source", r#"write the name of a source, e.g. source = "crm""#);
    let source = source_item.as_ref().and_then(read_source_name);
    let mut params = Some(BTreeMap::new());
    let mut param_places = BTreeMap::new();
    for (name, item) in section.section("params").named() {
        param_places.insert(name.to_owned(), item.place().clone());
        match (params.as_mut(), item.spelled()) {
            (Some(params), Some(value)) => {
                params.insert(name.to_owned(), value);
            }
            _ => params = None,
        }
    }
    let mut mapping_places = BTreeMap::new();
    let mapping = read_overrides(section.section("mapping"), &mut mapping_places);
    let safety = read_safety(&mut section);
    let schedule = read_schedule(&mut section);
    let feed = section.place().clone();
    section.finish();
    let source_place = source_item?.place().clone();
    let places = FeedPlaces { feed, source: source_place, params: param_places, mapping: mapping_places };
    let (source, params, safety, schedule) = (source?, params?, safety?, schedule?);
    Some((FeedSettings { source, params, safety, schedule, mapping: mapping? }, places))
}

/// `links` of an event: `Some(None)` where there are none.
fn read_links(mut section: Section<'_>) -> Option<Option<Links>> {
    if !section.is_table() {
        return Some(None);
    }
    let link = section.required("link", r#"write e.g. link = "https://app.example/enter?token={token}""#);
    let link = link.and_then(|item| item.text().map(ToOwned::to_owned));
    let length = section.optional("password_length").map_or(Some(PASSWORD_LENGTH), |item| item.integer(0..=u8::MAX));
    section.finish();
    Some(Some(Links { link: link?, password_length: length? }))
}

/// `mapping` of a feed: expressions by what they are for, custom fields in a table of their own or by their whole names.
fn read_overrides(section: Section<'_>, places: &mut BTreeMap<MappingKey, Place>) -> Option<Overrides> {
    let mut overrides = Some(Overrides::new());
    let mut take = |name: &str, item: &Item<'_>| {
        let key = MappingKey::parse(name).ok();
        if key.is_none() {
            item.fault(format!("a mapping says no such thing (got {})", shown(name)), key_mend(name));
        }
        match (overrides.as_mut(), key, item.any_text()) {
            (Some(overrides), Some(key), Some(text)) => {
                places.insert(key.clone(), item.place().clone());
                overrides.insert(key, text.to_owned());
            }
            _ => overrides = None,
        }
    };
    for (name, item) in section.named() {
        match item.open() {
            Children::Table(custom) if name == "custom" => {
                custom.iter().for_each(|(name, item)| take(&format!("custom.{name}"), item));
            }
            _ => take(name, &item),
        }
    }
    overrides
}

fn read_source_name(item: &Item<'_>) -> Option<SourceName> {
    let text = item.text()?;
    let name = SourceName::parse(text);
    if let Err(error) = &name {
        item.fault(format!("must be the name of a source (got {})", shown(text)), error.to_string());
    }
    name.ok()
}
