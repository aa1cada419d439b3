//! One-time codes: what a browser takes to the app, which asks whom it stands for. Only their digests are held, and only in
//! memory: a restart within the minute means to sign in again.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

use crate::limits::{LOGIN_CODE_LIFE, LOGIN_CODES_MAX};
use crate::model::{SourceName, UserId};

type Digest = [u8; 32];

#[derive(Default)]
pub struct Codes {
    by_digest: HashMap<Digest, (SourceName, UserId)>,
    /// The oldest first.
    order: VecDeque<(Timestamp, Digest)>,
}

impl Codes {
    /// Where there are too many, the oldest goes.
    pub fn enter(&mut self, code: &SecretString, source: SourceName, user: UserId, now: Timestamp) {
        self.drop_old(now);
        while self.order.len() >= LOGIN_CODES_MAX {
            self.drop_oldest();
        }
        let digest = digest(code);
        self.by_digest.insert(digest, (source, user));
        self.order.push_back((now, digest));
    }

    /// Whom a code stands for, the first time that it is asked.
    pub fn take(&mut self, code: &SecretString, now: Timestamp) -> Option<(SourceName, UserId)> {
        self.drop_old(now);
        self.by_digest.remove(&digest(code))
    }

    fn drop_old(&mut self, now: Timestamp) {
        let life = SignedDuration::try_from(LOGIN_CODE_LIFE).unwrap_or_default();
        while self.order.front().is_some_and(|(at, _)| now.duration_since(*at) >= life) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, digest)) = self.order.pop_front() {
            self.by_digest.remove(&digest);
        }
    }
}

/// Looked up by their digests, so that no comparison's time tells of a code.
fn digest(code: &SecretString) -> Digest {
    Sha256::digest(code.expose_secret()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_good_once_and_for_a_while() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (source, user) = (SourceName::parse("id").unwrap(), UserId::from_u128(7));
        let [code, late] = ["one", "late"].map(SecretString::from);
        let mut codes = Codes::default();
        codes.enter(&code, source.clone(), user, at(0));
        assert_eq!(codes.take(&"other".into(), at(1)), None);
        assert_eq!(codes.take(&code, at(1)), Some((source.clone(), user)));
        assert_eq!(codes.take(&code, at(1)), None, "a second time");
        codes.enter(&late, source.clone(), user, at(10));
        assert_eq!(codes.take(&late, at(10 + 60)), None, "a minute later");
        for n in 0..LOGIN_CODES_MAX + 5 {
            codes.enter(&n.to_string().into(), source.clone(), user, at(100));
        }
        assert_eq!((codes.order.len(), codes.by_digest.len()), (LOGIN_CODES_MAX, LOGIN_CODES_MAX));
        assert_eq!(codes.take(&"0".into(), at(100)), None, "the oldest went");
    }
}
