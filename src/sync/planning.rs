//! The second phase: what was spooled becomes one change per person, written to the journal. The deciding is
//! done in [`crate::plan`]; this gathers its arguments, one person at a time.
//! Invariant: changes nobody.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashTable;
use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::failure::Failure;
use super::feed::Feed;
use super::journaling::Journaling;
use super::progress::Lines;
use super::reading::{Found, Spooled};
use super::recalling::Recalling;
use crate::codec::SpooledRecord;
use crate::config::DeleteScope;
use crate::journal::SpoolReader;
use crate::model::{
    Action, Counts, EmailKey, Entry, EventField, EventName, ExternalId, Field, GroupKey, GroupName, Inviting, Person,
    PersonChange, RecordNote, RecordState, Registration, RejectReason, RunId, SharedTombstones, SkipReason, UserId,
    UserNo, Verdict,
};
use crate::plan::{
    self, Arrival, Arriving, Facts, Figures, Inputs, Known, Mover, Policy, Role, Route, Target, Task, Version, losers,
    plan_person, route,
};
use crate::store::{RegistrationHit, Store, View};

/// How often the wish to stop is looked at, in people.
const CHECK_EVERY: u64 = 256;

pub struct Planning<'a> {
    store: &'a Store,
    feed: &'a Feed,
    run: RunId,
    now: Timestamp,
    /// The number this read gets if it is complete.
    complete_read: Option<u32>,
    spool: SpoolReader,
    records: Arc<Vec<Spooled>>,
    journal: Journaling,
    counts: Counts,
    figures: Figures,
    /// Registrations that this complete read misses and the last one did not, by number; where the missing are removed,
    /// also those that were missing before.
    absent: RoaringBitmap,
    /// Users whose deletion is planned; their emails are free.
    gone: HashSet<UserNo>,
    /// Groups that the list names and that are not there yet, nor written to the journal.
    new_groups: BTreeMap<GroupKey, GroupName>,
    kept_fields: Vec<Field>,
    kept_event_fields: Vec<EventField>,
    inviting: BTreeMap<EventName, Inviting>,
}

/// Whom a step concerns. In this order people are planned: known users ascending, so that blocks are read in order; new
/// ones as the list first names them, so that neighbours in the list become neighbours in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whom {
    User(UserNo),
    /// By the first record with this email that makes somebody new.
    New(u32),
}

/// One step of a person's plan: a record's effect, or only that registrations are absent. 16 bytes, for there may be a
/// million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    whom: Whom,
    effect: Option<(Role, u32)>,
}

/// When and under which numbers a plan is made.
pub struct Plan {
    pub run: RunId,
    pub now: Timestamp,
    pub complete_read: Option<u32>,
}

/// What a plan came to.
pub struct Planned {
    pub counts: Counts,
    pub figures: Figures,
    /// Entries of the journal.
    pub entries: u64,
    /// How long the journal was written.
    pub journal_took: Duration,
}

impl<'a> Planning<'a> {
    pub fn new(
        store: &'a Store,
        feed: &'a Feed,
        plan: &Plan,
        found: Found,
        journal: Journaling,
    ) -> Result<Self, Failure> {
        let Found {
            spool, candidates, notes, new_groups, seen, unchanged, counts, complete, whole, tombstones, ..
        } = found;
        let figures = Figures { whole, ..feed.figures_before(store) };
        let complete_read = plan.complete_read.filter(|_| complete);
        let mut planning = Self {
            store,
            feed,
            run: plan.run,
            now: plan.now,
            complete_read,
            spool: spool.into_reader()?,
            records: Arc::new(candidates),
            journal,
            counts,
            figures,
            absent: RoaringBitmap::new(),
            gone: HashSet::new(),
            new_groups,
            kept_fields: feed.kept_fields(),
            kept_event_fields: feed.kept_event_fields(),
            inviting: store.all_inviting(),
        };
        for place in notes {
            let note = planning.spool.note(place)?;
            planning.journal.write(Entry::Record(note))?;
        }
        planning.keep_out_who_was_erased_since(&tombstones)?;
        planning.drop_duplicates(&unchanged)?;
        planning.find_absent(&seen);
        Ok(planning)
    }

    /// The read kept out whom it was to; others may have been erased while it went on.
    fn keep_out_who_was_erased_since(&mut self, known: &SharedTombstones) -> Result<(), Failure> {
        let tombstones = self.store.tombstones();
        if tombstones.is_empty() || Arc::ptr_eq(&tombstones, known) {
            return Ok(());
        }
        let mut kept = Vec::with_capacity(self.records.len());
        for at in 0..self.records.len() {
            let SpooledRecord { position, record, .. } = self.recall(at)?;
            let is_out = tombstones.keep_out(&self.feed.id.source, &record);
            kept.push(!is_out);
            if is_out {
                self.counts.skip += 1;
                let verdict = Verdict::Skip(SkipReason::Erased);
                self.journal.write(Entry::Record(RecordNote { position, external_id: None, verdict }))?;
            }
        }
        self.retain(|at| kept[at]);
        Ok(())
    }

    fn retain(&mut self, stays: impl Fn(usize) -> bool) {
        let mut at = 0;
        let records = Arc::get_mut(&mut self.records).expect("shared only while the journal is written");
        records.retain(|_| {
            at += 1;
            stays(at - 1)
        });
    }

    /// Of records with one external id the newest stays; the others are noted.
    fn drop_duplicates(&mut self, unchanged: &RoaringBitmap) -> Result<(), Failure> {
        let stored = self.stored_versions(unchanged)?;
        let candidate = |at: usize| self.records[at].candidate();
        let losers = losers(self.records.len(), candidate, |at| stored.get(&at).copied());
        for &at in &losers {
            self.skip(at, SkipReason::Duplicate)?;
        }
        // Where a changed record won over the one that was found as it was, that one is the duplicate.
        let beaten = stored.keys().filter(|at| losers.binary_search(at).is_err()).count() as u64;
        self.counts.unchanged -= beaten;
        self.counts.skip += beaten;
        self.counts.duplicates += beaten + losers.len() as u64;
        self.retain(|at| losers.binary_search(&at).is_err());
        Ok(())
    }

    /// Versions of registrations that the read found both changed and as they were.
    fn stored_versions(&self, unchanged: &RoaringBitmap) -> Result<HashMap<usize, Version>, Failure> {
        let mut twice = Vec::new();
        {
            let view = self.store.view();
            for (at, spooled) in self.records.iter().enumerate() {
                let hit = view.index().registration(spooled.key);
                twice.extend(hit.filter(|hit| unchanged.contains(hit.number)).map(|hit| (at, hit)));
            }
        }
        let mut versions = HashMap::new();
        for (at, hit) in twice {
            let person = self.store.person(hit.user)?;
            let registration = person.iter().flat_map(|p| &p.registrations).find(|r| r.mapped == hit.mapped);
            versions.extend(registration.map(|r| (at, Version { updated_at: r.updated_at, mapped: r.mapped })));
        }
        Ok(versions)
    }

    fn find_absent(&mut self, seen: &RoaringBitmap) {
        if self.complete_read.is_none() {
            return;
        }
        let view = self.store.view();
        let present = view.index().present(&self.feed.id);
        self.figures.found_before = present.len();
        self.absent = present - seen;
        self.figures.gone = self.absent.len();
        if self.feed.missing_runs().is_some() {
            self.absent = view.index().registrations_of(&self.feed.id) - seen;
        }
        let all = view.index().registration_count(&self.feed.id);
        // Those absent already and still are not among the seen.
        self.counts.missing = all.saturating_sub(seen.len());
    }

    /// Plans everybody and writes the journal.
    pub fn write(mut self, lines: &Lines) -> Result<Planned, Failure> {
        let (steps, renamed) = self.steps()?;
        let steps = Arc::new(steps);
        let order = (0..steps.len()).filter_map({
            let steps = Arc::clone(&steps);
            move |at| steps[at].effect.map(|(_, record)| record)
        });
        let mut recalling = Recalling::new(self.spool.clone(), Arc::clone(&self.records), order)?;
        let mut rest = &steps[..];
        let mut people = 0;
        while let Some(Step { whom, .. }) = rest.first() {
            let mine = rest.iter().take_while(|step| step.whom == *whom).count();
            let (now, later) = rest.split_at(mine);
            rest = later;
            self.plan_one(*whom, now, &mut recalling, &renamed)?;
            people += 1;
            if people % CHECK_EVERY == 0 {
                lines.check()?;
                lines.tell(|p| p.planned = people);
            }
        }
        let (entries, journal_took) = self.journal.finish()?;
        lines.tell(|p| p.planned = entries);
        let Counts { records, reject: rejected, shared_email, .. } = self.counts;
        let figures = Figures { records, rejected, shared_email, ..self.figures };
        Ok(Planned { counts: self.counts, figures, entries, journal_took })
    }

    /// Every step, grouped by person: known users ascending, then new ones in the order of the list.
    fn steps(&mut self) -> Result<(Vec<Step>, HashMap<UserNo, usize>), Failure> {
        let flagged = self.flagged_users()?;
        let verdicts = self.move_verdicts()?;
        let renamed_by = |(record, verdict): (&usize, &plan::Verdict)| match verdict {
            plan::Verdict::Rename(user) => Some((*user, *record)),
            _ => None,
        };
        let renamed: HashMap<UserNo, usize> = verdicts.iter().filter_map(renamed_by).collect();
        let mut steps: Vec<Step> = Vec::with_capacity(self.records.len());
        let mut refused = Vec::new();
        {
            let view = self.store.view();
            let new_emails = renamed.iter().filter_map(|(user, at)| Some((*user, self.records[*at].email()?)));
            let new_emails: HashMap<UserNo, u128> = new_emails.collect();
            let owner = |email| view.index().user_by_email_hash(email).filter(|user| !self.is_erased(*user));
            let mut newcomers = Newcomers { records: &self.records, first: HashTable::new() };
            route(
                self.records.iter().map(Spooled::candidate).enumerate(),
                &Facts { owner: &owner, renamed: &new_emails },
                |at| self.known(&view, at),
                |at| verdicts.get(&at).copied(),
                |at| flagged.get(&at).cloned().unwrap_or_default(),
                |at, route| match route {
                    Route::Tasks(tasks) => steps.extend(tasks.into_iter().map(|task| newcomers.step(&task))),
                    Route::Skip(reason) => refused.push((at, Err(reason))),
                    Route::EmailTaken => refused.push((at, Ok(RejectReason::EmailTaken))),
                },
            );
            let absent = self.absent.iter().map(|number| view.index().registration_user(number));
            steps.extend(absent.map(|user| Step { whom: Whom::User(user), effect: None }));
        }
        for (at, refusal) in refused {
            match refusal {
                Ok(reason) => self.reject(at, reason)?,
                Err(reason) => self.skip(at, reason)?,
            }
        }
        steps.sort_unstable();
        Ok((steps, renamed))
    }

    fn known(&self, view: &View<'_>, at: usize) -> Option<Known<u128>> {
        let hit = view.index().registration(self.records[at].key)?;
        if self.is_erased(hit.user) {
            return None;
        }
        Some(Known { user: hit.user, email: view.index().email_hash_of(hit.user)? })
    }

    /// The users that each delete flag reaches, in all events; and which of them will be no more.
    fn flagged_users(&mut self) -> Result<HashMap<usize, Vec<UserNo>>, Failure> {
        let mut flagged = HashMap::new();
        let mut ids: BTreeMap<UserNo, Vec<ExternalId>> = BTreeMap::new();
        for at in 0..self.records.len() {
            if self.records[at].state == RecordState::Deleted {
                let external_id = self.recall(at)?.record.external_id;
                let view = self.store.view();
                let hits = view.index().registrations_of_source(&self.feed.id.source, &external_id);
                let users: BTreeSet<UserNo> = hits.iter().map(|hit| hit.user).collect();
                for user in &users {
                    ids.entry(*user).or_default().push(external_id.clone());
                }
                flagged.insert(at, users.into_iter().collect());
            }
        }
        for (user, ids) in ids {
            let Some(person) = self.store.person(user)? else { continue };
            let spared = |r: &Registration| r.feed.source != self.feed.id.source || !ids.contains(&r.external_id);
            let stays = person.is_added_by_hand() || person.registrations.iter().any(spared);
            if self.deletes_user() || !stays {
                self.gone.insert(user);
            }
        }
        Ok(flagged)
    }

    fn deletes_user(&self) -> bool {
        self.feed.spec().delete_scope == DeleteScope::User
    }

    /// Is the user deleted whatever else the list says of them? Then nothing arrives there, and nothing of them is
    /// handed on. One who only loses every registration lives on where another comes under the same email.
    fn is_erased(&self, user: UserNo) -> bool {
        self.deletes_user() && self.gone.contains(&user)
    }

    /// Decides on every record of a known registration that bears another email than its user.
    fn move_verdicts(&mut self) -> Result<HashMap<usize, plan::Verdict>, Failure> {
        let moving = self.moving();
        if moving.is_empty() {
            return Ok(HashMap::new());
        }
        let by_key = self.records.iter().enumerate().map(|(at, spooled)| (spooled.key, at)).collect();
        let mut movers = Vec::with_capacity(moving.len());
        for (user, records) in moving {
            movers.extend(self.mover(user, records, &by_key)?);
        }
        let view = self.store.view();
        let index = view.index();
        let is_new = |at: &usize| self.known(&view, *at).is_none();
        let newcomers = (0..self.records.len()).filter(is_new).map(|at| &self.records[at]);
        let active = newcomers.filter(|record| is_active(record.state));
        let joined: HashSet<u128> = active.filter_map(Spooled::email).collect();
        let owner = |email| index.user_by_email_hash(email).filter(|user| !self.gone.contains(user));
        Ok(plan::resolve(&movers, owner, |email| joined.contains(&email)).into_iter().collect())
    }

    /// The records that bear another email than the user of their registration, by user.
    fn moving(&self) -> BTreeMap<UserNo, Vec<usize>> {
        let mut moving: BTreeMap<UserNo, Vec<usize>> = BTreeMap::new();
        let view = self.store.view();
        for (at, record) in self.records.iter().enumerate() {
            let Some(known) = self.known(&view, at) else { continue };
            if is_active(record.state) && record.email().is_some_and(|email| email != known.email) {
                moving.entry(known.user).or_default().push(at);
            }
        }
        moving
    }

    /// `None` where there is no such user.
    fn mover(
        &mut self,
        user: UserNo,
        records: Vec<usize>,
        by_key: &HashMap<u128, usize>,
    ) -> Result<Option<Mover<u128>>, Failure> {
        let Some(person) = self.store.person(user)? else { return Ok(None) };
        let (email, stays) = {
            let view = self.store.view();
            let stays = person.registrations.iter().any(|registration| {
                let key = view.index().registration_hash(&registration.feed, &registration.external_id);
                match by_key.get(&key) {
                    Some(at) if records.contains(at) => false,
                    Some(at) => is_active(self.records[*at].state),
                    None => !registration.is_cancelled(),
                }
            });
            // Who signs in with another's email is that other, whatever they were before.
            let is_borne = |at: &usize| {
                let email = self.records[*at].email();
                email.is_some_and(|email| view.index().user_by_email_hash(email).is_some())
            };
            let joins = self.feed.id.is_of_logins() && records.iter().any(is_borne);
            (view.index().email_hash(&person.email.key()), stays || joins)
        };
        let mut arrivals = Vec::with_capacity(records.len());
        for record in records {
            let Some(email) = self.records[record].email() else { continue };
            let external_id = self.recall(record)?.record.external_id;
            arrivals.push(Arrival { record, email, external_id });
        }
        // One feed, none of them cancelled: precedence is by external id.
        arrivals.sort_by(|a, b| a.external_id.cmp(&b.external_id));
        Ok(Some(Mover { user, email, arrivals, stays }))
    }

    fn plan_one(
        &mut self,
        whom: Whom,
        steps: &[Step],
        recalling: &mut Recalling,
        renamed: &HashMap<UserNo, usize>,
    ) -> Result<(), Failure> {
        let user = match whom {
            Whom::User(user) => Some(user),
            Whom::New(_) => None,
        };
        let before = user.map(|user| self.store.person_in_passing(user)).transpose()?.flatten();
        let (mut arriving, mut leaving, mut deleted) = (Vec::with_capacity(steps.len()), Vec::new(), Vec::new());
        for (role, at) in steps.iter().filter_map(|step| step.effect) {
            let at = at as usize;
            let SpooledRecord { raw, mapped, record, .. } = recalling.next()?;
            match role {
                Role::Arrive => {
                    let moved = self.moved_from(at, user, &record.external_id)?;
                    arriving.push(Arriving { record, raw, mapped, moved });
                }
                Role::Leave => leaving.push(record.external_id),
                Role::Delete => deleted.push(record.external_id),
            }
        }
        // Nothing about a person may hang on the order of the list.
        arriving.sort_by(|a, b| a.record.external_id.cmp(&b.record.external_id));
        let renamed_to = user.and_then(|user| renamed.get(&user)).map(|at| self.recall(*at)).transpose()?;
        let email = renamed_to.and_then(|recalled| recalled.record.email);
        let email = email.or_else(|| before.as_ref().map(|person| person.email.clone()));
        let Some(email) = email.or_else(|| arriving.first().and_then(|a| a.record.email.clone())) else {
            // A user who vanished between the index and the block: planned and committed in turns, so it cannot be.
            return Ok(());
        };
        self.make_groups(&arriving)?;
        let records = arriving.len() as u64;
        let absent = before.as_ref().map(|person| self.absent_of(person)).unwrap_or_default();
        let id = before.as_ref().map_or_else(|| self.mint(&email.key()), |person| person.id);
        let inputs = Inputs {
            user,
            before: before.as_ref(),
            id,
            email: &email,
            leaving: &leaving,
            absent: &absent,
            deleted: &deleted,
        };
        let rank = |feed: &_| self.feed.rank(feed);
        let rule = |source: &_, field: &_| self.feed.rule(source, field);
        let invites = |event: &_| self.inviting.get(event).is_some_and(|inviting| inviting.enabled);
        let policy = Policy {
            feed: &self.feed.id,
            run: self.run,
            now: self.now,
            complete_read: self.complete_read,
            missing_runs: self.feed.missing_runs(),
            delete_user: self.deletes_user(),
            kept_fields: &self.kept_fields,
            kept_event_fields: &self.kept_event_fields,
            rank: &rank,
            rule: &rule,
            invites: &invites,
        };
        let change = plan_person(&inputs, arriving, &policy);
        self.count(change.as_ref(), records);
        if let Some(change) = change {
            self.figures.count(&self.feed.id.event, before.as_ref(), &change);
            self.journal.write(Entry::Person(Box::new(change)))?;
        }
        Ok(())
    }

    /// The registration as it is with another user, where the record brings it over from there.
    fn moved_from(
        &self,
        at: usize,
        user: Option<UserNo>,
        external_id: &ExternalId,
    ) -> Result<Option<Registration>, Failure> {
        let hit = self.store.view().index().registration(self.records[at].key);
        let elsewhere = |hit: &RegistrationHit| Some(hit.user) != user && !self.is_erased(hit.user);
        let Some(hit) = hit.filter(elsewhere) else { return Ok(None) };
        let other = self.store.person(hit.user)?;
        Ok(other.and_then(|person| person.registration(&self.feed.id, external_id).cloned()))
    }

    fn absent_of(&self, person: &Person) -> Vec<ExternalId> {
        if self.absent.is_empty() {
            return Vec::new();
        }
        let view = self.store.view();
        let index = view.index();
        let missed = |r: &&Registration| {
            let hit = index.registration(index.registration_hash(&r.feed, &r.external_id));
            r.feed == self.feed.id && hit.is_some_and(|hit| self.absent.contains(hit.number))
        };
        person.registrations.iter().filter(missed).map(|r| r.external_id.clone()).collect()
    }

    /// The lowest id of this email key that no user holds.
    fn mint(&self, email: &EmailKey) -> UserId {
        let ids = (0..).map(|n| UserId::mint(self.store.community_key(), email, n));
        let mut free = ids.filter(|id| self.store.user_by_id(*id).is_none());
        // The numbers run to 2^32, users are fewer.
        free.next().expect("some number is free")
    }

    fn recall(&mut self, at: usize) -> Result<SpooledRecord, Failure> {
        Ok(self.spool.record(self.records[at].place)?)
    }

    /// Groups come before their first member: a commit that goes no further leaves nobody in a group that is not
    /// there.
    fn make_groups(&mut self, arriving: &[Arriving]) -> Result<(), Failure> {
        // A cancelled record puts nobody into a group, so it makes none.
        let granting = arriving.iter().filter(|a| is_active(a.record.state));
        for group in granting.flat_map(|a| &a.record.groups) {
            let new = self.new_groups.remove(&group.key);
            // Another feed may have made it since it was read.
            if let Some(group) = new.filter(|group| !self.store.view().has_group(&group.key)) {
                self.journal.write(Entry::Group(group))?;
            }
        }
        Ok(())
    }

    fn count(&mut self, change: Option<&PersonChange>, records: u64) {
        let counts = &mut self.counts;
        match change.map(|change| change.action) {
            None | Some(Action::Touch) => counts.unchanged += records,
            Some(Action::Create) => counts.create += 1,
            Some(Action::Update) => counts.update += 1,
            Some(Action::Remove) => counts.remove += 1,
            Some(Action::Delete) => counts.delete += 1,
        }
        if change
            .and_then(|change| change.after.as_ref())
            .is_some_and(|person| plan::shares_email(person, &self.feed.id))
        {
            self.counts.shared_email += 1;
        }
    }

    fn skip(&mut self, at: usize, reason: SkipReason) -> Result<(), Failure> {
        self.counts.skip += 1;
        self.note(at, Verdict::Skip(reason))
    }

    fn reject(&mut self, at: usize, reason: RejectReason) -> Result<(), Failure> {
        self.counts.reject += 1;
        self.note(at, Verdict::Reject { reason, field: "email".into() })
    }

    fn note(&mut self, at: usize, verdict: Verdict) -> Result<(), Failure> {
        let SpooledRecord { position, record, .. } = self.recall(at)?;
        let note = RecordNote { position, external_id: Some(record.external_id), verdict };
        self.journal.write(Entry::Record(note))
    }
}

/// Does such a record hold its user to the email?
fn is_active(state: RecordState) -> bool {
    !matches!(state, RecordState::Cancelled | RecordState::Deleted)
}

/// Tells people apart who are nobody yet.
struct Newcomers<'a> {
    records: &'a [Spooled],
    /// Of the records with one email the first that makes somebody new.
    first: HashTable<u32>,
}

impl Newcomers<'_> {
    fn step(&mut self, task: &Task<u128>) -> Step {
        // A record of 2^32 would not fit in memory long before.
        let record = u32::try_from(task.record).expect("fewer than 2^32 records");
        let whom = match task.target {
            Target::User(user) => Whom::User(user),
            Target::New(email) => Whom::New(self.first(email, record)),
        };
        Step { whom, effect: Some((task.role, record)) }
    }

    fn first(&mut self, email: u128, record: u32) -> u32 {
        let bears = |at: u32| self.records[at as usize].email();
        // The hash is well mixed; its low half is meant.
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let place = |email: u128| email as u64;
        let same = |&at: &u32| bears(at) == Some(email);
        *self.first.entry(place(email), same, |&at| bears(at).map_or(0, place)).or_insert(record).get()
    }
}
