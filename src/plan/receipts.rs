//! Which receipts somebody's pass has, and how each goes on.

use jiff::Timestamp;

use crate::limits::UNSEEN_READS_MAX;
use crate::model::{Digest, EventName, Issuing, Person, Receipt, ReceiptReason, ReceiptState, Registration, Target};

/// What happens to a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptChange {
    /// A request is about to be sent.
    Sending,
    /// The source took it; the digest is of the values.
    Sent(u128),
    /// Not now.
    Later {
        not_before: Timestamp,
        reason: ReceiptReason,
    },
    Failed(ReceiptReason),
    /// A read that began after the last change showed these values, or none.
    Read(Option<u128>),
    /// Somebody wants it to be tried once more.
    Retry,
}

/// What stands for the values of an edition.
pub fn values_of(issuing: &Issuing, edition: u32) -> u64 {
    Digest::seed(&[&issuing.link.to_le_bytes(), &edition.to_le_bytes()])
}

/// The receipts after a person has changed, or what is to go back: each registration that puts them in the event has one for
/// each push of its source. What is no longer wanted is withdrawn where the source may have it, else forgotten.
pub fn receipts(
    before: &[Receipt],
    person: Option<&Person>,
    event: &EventName,
    issuing: &Issuing,
    edition: u32,
    now: Timestamp,
) -> Vec<Receipt> {
    let values = values_of(issuing, edition);
    let attending = person.filter(|person| person.attends(event));
    let registrations = attending.map_or(&[][..], |person| &person.registrations);
    let counts = |r: &&Registration| r.event() == Some(event) && !r.is_cancelled();
    let mut after = Vec::new();
    for registration in registrations.iter().filter(counts) {
        for target in issuing.targets.iter().filter(|target| target.source == registration.feed.source) {
            let is_this = |r: &&Receipt| is_of(r, target) && r.external_id == registration.external_id;
            after.push(match before.iter().find(is_this) {
                Some(known) if known.wanted == Some(values) => known.clone(),
                Some(known) => anew(known, Some(values), now),
                None => Receipt {
                    source: target.source.clone(),
                    push: target.push.clone(),
                    external_id: registration.external_id.clone(),
                    wanted: Some(values),
                    state: ReceiptState::Pending,
                    attempts: 0,
                    changed_at: now,
                    not_before: None,
                    reason: None,
                    sent: None,
                    unseen: 0,
                    in_doubt: false,
                    reached: false,
                },
            });
        }
    }
    let is_left = |r: &&Receipt| !after.iter().any(|kept| key(kept) == key(r));
    let left: Vec<_> = before.iter().filter(is_left).filter_map(|r| withdrawn(r, issuing, now)).collect();
    after.extend(left);
    after.sort_by(|a, b| key(a).cmp(&key(b)));
    after
}

fn is_of(receipt: &Receipt, target: &Target) -> bool {
    (&receipt.source, &receipt.push) == (&target.source, &target.push)
}

fn key(receipt: &Receipt) -> (&str, &str, &str) {
    (receipt.source.as_str(), receipt.push.as_str(), receipt.external_id.as_str())
}

fn anew(receipt: &Receipt, wanted: Option<u64>, now: Timestamp) -> Receipt {
    Receipt {
        wanted,
        state: ReceiptState::Pending,
        attempts: 0,
        changed_at: now,
        not_before: None,
        reason: None,
        unseen: 0,
        in_doubt: false,
        ..receipt.clone()
    }
}

/// `None`: there is nothing to take back, or nobody to tell.
fn withdrawn(receipt: &Receipt, issuing: &Issuing, now: Timestamp) -> Option<Receipt> {
    let target = issuing.targets.iter().find(|target| is_of(receipt, target))?;
    if receipt.wanted.is_none() {
        return Some(receipt.clone());
    }
    (receipt.reached && target.withdraw).then(|| anew(receipt, None, now))
}

/// A receipt after something has happened to it. `None`: it is done with. Without effect it comes back as it was.
pub fn after(receipt: &Receipt, change: ReceiptChange, now: Timestamp) -> Option<Receipt> {
    use ReceiptState::{Confirmed, Failed, Pending, Sending, Sent};
    let receipt = receipt.clone();
    let changed = Receipt { changed_at: now, ..receipt.clone() };
    Some(match (receipt.state, change) {
        (Pending | Sending, ReceiptChange::Sending) => Receipt {
            state: Sending,
            attempts: receipt.attempts.saturating_add(1),
            // It was being sent when the process ended.
            in_doubt: receipt.in_doubt || receipt.state == Sending,
            not_before: None,
            reached: true,
            ..changed
        },
        // What was taken back is gone.
        (Sending, ReceiptChange::Sent(_)) if receipt.wanted.is_none() => return None,
        (Sending, ReceiptChange::Sent(digest)) => {
            Receipt { state: Sent, sent: Some(digest), reason: None, unseen: 0, ..changed }
        }
        (Sending, ReceiptChange::Later { not_before, reason }) => {
            Receipt { state: Pending, not_before: Some(not_before), reason: Some(reason), ..changed }
        }
        (Sending, ReceiptChange::Failed(reason)) => Receipt { state: Failed, reason: Some(reason), ..changed },
        (Sent | Failed, ReceiptChange::Read(Some(found))) if receipt.sent == Some(found) => {
            Receipt { state: Confirmed, reason: None, unseen: 0, ..changed }
        }
        (Sent, ReceiptChange::Read(_)) if receipt.unseen + 1 >= UNSEEN_READS_MAX => {
            Receipt { state: Failed, reason: Some(ReceiptReason::NotShown), ..changed }
        }
        // The time stays: the next read counts from when it was sent.
        (Sent, ReceiptChange::Read(_)) => Receipt { unseen: receipt.unseen + 1, ..receipt },
        (Confirmed, ReceiptChange::Read(found)) if receipt.sent != found => {
            Receipt { reason: Some(ReceiptReason::Overwritten), ..anew(&receipt, receipt.wanted, now) }
        }
        (Failed, ReceiptChange::Retry) => anew(&receipt, receipt.wanted, now),
        (Pending, ReceiptChange::Retry) => Receipt { not_before: None, ..receipt },
        _ => receipt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PushName, ReceiptReason as Why, ReceiptState as State, SourceName};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn receipt(state: State) -> Receipt {
        Receipt {
            source: SourceName::parse("gco").unwrap(),
            push: PushName::parse("links").unwrap(),
            external_id: crate::model::ExternalId::new("1").unwrap(),
            wanted: Some(7),
            state,
            attempts: 1,
            changed_at: at(1),
            not_before: None,
            reason: None,
            sent: Some(9),
            unseen: 0,
            in_doubt: false,
            reached: true,
        }
    }

    /// The state, the reason, the attempts, and whether it is in doubt; `None`: it is gone.
    type Row = Option<(State, Option<Why>, u32, bool)>;

    fn told(receipt: Option<Receipt>) -> Row {
        receipt.map(|r| (r.state, r.reason, r.attempts, r.in_doubt))
    }

    #[test]
    fn each_change_leads_where_it_should_and_no_other_has_an_effect() {
        use ReceiptChange::{Failed, Later, Read, Retry, Sending, Sent};
        let later = Later { not_before: at(60), reason: Why::Unavailable };
        let rows: [(State, ReceiptChange, Row); 15] = [
            (State::Pending, Sending, Some((State::Sending, None, 2, false))),
            // Nothing ended it: the process did.
            (State::Sending, Sending, Some((State::Sending, None, 2, true))),
            (State::Sending, Sent(9), Some((State::Sent, None, 1, false))),
            (State::Sending, later, Some((State::Pending, Some(Why::Unavailable), 1, false))),
            (State::Sending, Failed(Why::Refused), Some((State::Failed, Some(Why::Refused), 1, false))),
            (State::Sent, Read(Some(9)), Some((State::Confirmed, None, 1, false))),
            (State::Sent, Read(None), Some((State::Sent, None, 1, false))),
            (State::Failed, Read(Some(9)), Some((State::Confirmed, None, 1, false))),
            (State::Failed, Read(None), Some((State::Failed, None, 1, false))),
            (State::Confirmed, Read(Some(9)), Some((State::Confirmed, None, 1, false))),
            (State::Confirmed, Read(Some(8)), Some((State::Pending, Some(Why::Overwritten), 0, false))),
            (State::Confirmed, Read(None), Some((State::Pending, Some(Why::Overwritten), 0, false))),
            (State::Failed, Retry, Some((State::Pending, None, 0, false))),
            (State::Confirmed, Retry, Some((State::Confirmed, None, 1, false))),
            (State::Pending, Sent(9), Some((State::Pending, None, 1, false))),
        ];
        for (state, change, expected) in rows {
            assert_eq!(told(after(&receipt(state), change, at(2))), expected, "{state:?} {change:?}");
        }
        let unseen = Receipt { unseen: 1, ..receipt(State::Sent) };
        let failed = Some((State::Failed, Some(Why::NotShown), 1, false));
        assert_eq!(told(after(&unseen, ReceiptChange::Read(None), at(2))), failed);
        let withdrawn = Receipt { wanted: None, ..receipt(State::Sending) };
        assert_eq!(told(after(&withdrawn, ReceiptChange::Sent(0), at(2))), None, "what was taken back is gone");
    }

    #[test]
    fn a_read_that_shows_what_is_there_changes_nothing_at_all() {
        let confirmed = receipt(State::Confirmed);
        assert_eq!(after(&confirmed, ReceiptChange::Read(Some(9)), at(2)), Some(confirmed));
    }

    #[test]
    fn of_whoever_is_gone_only_what_was_sent_is_taken_back() {
        let event = EventName::parse("summit").unwrap();
        let (source, push) = (receipt(State::Sent).source, receipt(State::Sent).push);
        let target = |withdraw| Target { source: source.clone(), push: push.clone(), withdraw };
        let issuing = |withdraw| Issuing { link: 1, password_length: 10, targets: vec![target(withdraw)] };
        let gone = |of: Receipt, withdraw| receipts(&[of], None, &event, &issuing(withdraw), 1, at(2));
        let taken_back = gone(receipt(State::Confirmed), true);
        assert_eq!((taken_back.len(), taken_back[0].wanted, taken_back[0].state), (1, None, State::Pending));
        let again = gone(taken_back[0].clone(), true);
        assert_eq!(again, taken_back, "once");
        assert!(gone(receipt(State::Confirmed), false).is_empty(), "nobody wants to hear it");
        assert!(
            gone(Receipt { reached: false, ..receipt(State::Pending) }, true).is_empty(),
            "nobody ever heard of it"
        );
        let nobody = Issuing { targets: Vec::new(), ..issuing(true) };
        assert!(receipts(&[receipt(State::Sent)], None, &event, &nobody, 1, at(2)).is_empty(), "there is no such push");
    }
}
