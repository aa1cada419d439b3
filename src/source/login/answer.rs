//! What a login's answer gives: a token, how long it lives, and the next refresh token.
//!
//! Invariant: reads no clock, and no fault made here holds anything of the answer.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use reqwest::header::{DATE, HeaderMap, SET_COOKIE};
use secrecy::SecretString;

use crate::config::{TokenFrom, TokenLife, TokenSpec};
use crate::decode::Document;
use crate::limits;
use crate::mapping::Expression;
use crate::source::client::Answer;
use crate::source::fault::{Fault, Refusal, RequestLine};
use crate::source::header::text;
use crate::source::retry;

const NO_JSON_HINT: &str = "the token is looked for in a JSON answer: check the login's address with curl";

/// What a login gave.
pub(super) struct Granted {
    pub(super) token: SecretString,
    /// From the answer on; `None` where no end is known.
    pub(super) life: Option<Duration>,
    pub(super) next_refresh: Option<SecretString>,
}

/// An answer whose body is parsed when something of it is wanted: a token in a header needs no JSON.
pub(super) struct Reading<'a> {
    answer: &'a Answer,
    request: &'a RequestLine,
    document: Option<Document>,
}

impl<'a> Reading<'a> {
    pub(super) const fn new(answer: &'a Answer, request: &'a RequestLine) -> Self {
        Self { answer, request, document: None }
    }

    /// `now` is when the answer came.
    pub(super) fn granted(
        mut self,
        spec: &TokenSpec,
        next_refresh: Option<&Expression>,
        now: Timestamp,
    ) -> Result<Granted, Fault> {
        let token = match &spec.from {
            TokenFrom::Body(path) => self.scalar(path)?,
            TokenFrom::Header(name) => text(&self.answer.headers, name).map(str::to_owned),
            TokenFrom::Cookie(name) => cookie(&self.answer.headers, name),
        };
        let Some(token) = token.filter(|token| !token.is_empty()) else { return Err(self.without_token(&spec.from)) };
        let life = match &spec.life {
            None => None,
            Some(TokenLife::Fixed(life)) => Some(*life),
            Some(TokenLife::In(path)) => self.read(path, "expires_in", seconds)?,
            Some(TokenLife::At(path)) => {
                let date = text(&self.answer.headers, &DATE).and_then(retry::http_date);
                self.read(path, "expires_at", |text| until(instant(text)?, date.unwrap_or(now)))?
            }
        };
        if life.is_some_and(|life| life.is_zero()) {
            return Err(Fault::Select {
                problem: format!("{}: the login gave a token that has expired already", self.request),
                hint: "check `expires_in` or `expires_at` and the source's clock; or give tokens a fixed `life`",
            });
        }
        let next_refresh = next_refresh.map(|path| self.scalar(path)).transpose()?.flatten().map(SecretString::from);
        Ok(Granted { token: token.into(), life, next_refresh })
    }

    /// Some sources refuse with a success whose body tells the error.
    fn without_token(mut self, from: &TokenFrom) -> Fault {
        let status = self.answer.status;
        if let Some(refusal) = self.refusal() {
            return Fault::LoginRefused { request: self.request.clone(), status, refusal: Some(refusal) };
        }
        let place = match from {
            TokenFrom::Body(path) => format!("`{}`", path.source()),
            TokenFrom::Header(name) => format!("the header {name}"),
            TokenFrom::Cookie(name) => format!("the cookie {name}"),
        };
        Fault::Select {
            problem: format!("{}: {place} holds no token in the login's answer", self.request),
            hint: "compare `token`, `token_header` or `cookie` with what the source really answers to the login",
        }
    }

    /// The word of a refusal (RFC 6749 §5.2), where the body has a known one.
    pub(super) fn refusal(&mut self) -> Option<Refusal> {
        let document = self.document().ok()?;
        let word = Expression::compile(".error").ok()?.scalar(document).ok()??;
        Refusal::parse(&word)
    }

    fn document(&mut self) -> Result<&Document, Fault> {
        if self.document.is_none() {
            // The parser's own words show the shape of what it found.
            let document = Document::parse(self.answer.body.clone()).map_err(|_| Fault::Decode {
                request: self.request.clone(),
                problem: "the login's answer is no JSON".into(),
                hint: NO_JSON_HINT,
            })?;
            self.document = Some(document);
        }
        Ok(self.document.as_ref().expect("it was put there just now"))
    }

    fn scalar(&mut self, path: &Expression) -> Result<Option<String>, Fault> {
        let request = self.request;
        let result = path.scalar(self.document()?);
        result.map_err(|error| Fault::Select { problem: format!("{request}: {error}"), hint: error.hint() })
    }

    fn read<T>(
        &mut self,
        path: &Expression,
        key: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Fault> {
        let Some(text) = self.scalar(path)? else { return Ok(None) };
        let value = read(text.trim());
        value.map(Some).ok_or_else(|| Fault::Select {
            problem: format!("{}: `{}` ({key}) is no time in the login's answer", self.request, path.source()),
            hint: "`expires_in` is seconds; `expires_at` is RFC 3339, or seconds or milliseconds since 1970",
        })
    }
}

/// Seconds as a life. Nothing for what has passed.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    seconds.is_finite().then(|| bounded(seconds))
}

fn bounded(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.clamp(0.0, limits::TOKEN_LIFE_MAX.as_secs_f64()))
}

/// A point in time: RFC 3339, the same without a zone (then it is UTC), or a number since 1970.
fn instant(text: &str) -> Option<Timestamp> {
    if let Ok(number) = text.parse::<f64>() {
        let seconds = if number < limits::EPOCH_SECONDS_MAX { number } else { number / 1000.0 };
        let milliseconds = (seconds * 1000.0).is_finite().then_some(seconds * 1000.0)?;
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the next step; casts saturate")]
        return Timestamp::from_millisecond(milliseconds as i64).ok();
    }
    let zoned = text.parse::<Timestamp>().ok();
    zoned.or_else(|| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp()))
}

/// How long it is from `now` until then. Nothing for what has passed.
fn until(at: Timestamp, now: Timestamp) -> Option<Duration> {
    Some(bounded(at.duration_since(now).as_secs_f64()))
}

/// The value of a cookie that the answer sets, the last one where there are several (RFC 6265 §5.2).
fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let set = headers.get_all(SET_COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = set.filter_map(|text| text.split(';').next()?.split_once('='));
    pairs.rfind(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::header::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::ApiKeyPlace;

    const NOW: &str = "2026-03-01T12:00:00Z";
    /// `NOW` in seconds.
    const NOW_S: i64 = 1_772_366_400;

    fn jq(source: &str) -> Expression {
        Expression::compile(source).unwrap()
    }

    fn granted(
        from: TokenFrom,
        life: Option<TokenLife>,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Result<Granted, Fault> {
        let headers = headers.iter().map(|(name, value)| {
            (reqwest::header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        let answer = Answer {
            status: 200,
            headers: headers.fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            }),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        let line = RequestLine::new(&reqwest::Method::POST, &"https://login.example/token".parse().unwrap());
        let place = ApiKeyPlace::Header("Authorization".into());
        let spec = TokenSpec { from, life, place, prefix: String::new() };
        Reading::new(&answer, &line).granted(&spec, Some(&jq(".refresh_token")), NOW.parse().unwrap())
    }

    fn life(life: TokenLife, headers: &[(&'static str, &str)], value: &str) -> Result<Option<u64>, String> {
        let body = format!(r#"{{"t":"s3cret","x":{value}}}"#);
        let granted = granted(TokenFrom::Body(jq(".t")), Some(life), headers, &body);
        granted.map(|granted| granted.life.map(|life| life.as_secs())).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_life_in_seconds_may_be_spelled_in_many_ways() {
        let day = 24 * 60 * 60;
        for (value, expected) in [
            ("3600", Some(3600)),
            (r#""3600""#, Some(3600)),
            (r#"" 3599.9 ""#, Some(3599)),
            ("1e3", Some(1000)),
            ("null", None),
            (r#""""#, None),
            ("1e300", Some(3650 * day)),
        ] {
            assert_eq!(life(TokenLife::In(jq(".x")), &[], value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn a_point_in_time_may_be_spelled_in_many_ways() {
        let hour = NOW_S + 3600;
        for value in [
            r#""2026-03-01T13:00:00Z""#.to_owned(),
            r#""2026-03-01T14:00:00+01:00""#.to_owned(),
            r#""2026-03-01 13:00:00""#.to_owned(),
            r#""2026-03-01T13:00:00.000""#.to_owned(),
            hour.to_string(),
            format!("{hour}.5"),
            format!("\"{hour}\""),
            format!("{hour}000"),
            format!("\"{hour}000\""),
        ] {
            assert_eq!(life(TokenLife::At(jq(".x")), &[], &value), Ok(Some(3600)), "{value}");
        }
        assert_eq!(life(TokenLife::At(jq(".x")), &[], "null"), Ok(None));
        // The source's own clock is an hour late; so is its token.
        let date = [("date", "Sun, 01 Mar 2026 11:00:00 GMT")];
        assert_eq!(life(TokenLife::At(jq(".x")), &date, r#""2026-03-01T12:00:00Z""#), Ok(Some(3600)));
    }

    #[test]
    fn what_is_no_time_or_has_passed_is_told_without_being_shown() {
        for (kind, value) in [
            (TokenLife::In(jq(".x")), r#""s3cret""#),
            (TokenLife::In(jq(".x")), "true"),
            (TokenLife::In(jq(".x")), "0"),
            (TokenLife::In(jq(".x")), "-5"),
            (TokenLife::In(jq(".x")), "[1]"),
            (TokenLife::At(jq(".x")), r#""s3cret""#),
            (TokenLife::At(jq(".x")), r#""NaN""#),
            (TokenLife::At(jq(".x")), r#""inf""#),
            (TokenLife::At(jq(".x")), r#""2026-03-01T11:59:59Z""#),
            (TokenLife::At(jq(".x")), "1e300"),
        ] {
            let error = life(kind, &[], value).unwrap_err();
            assert!(error.starts_with("POST https://login.example/token: "), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_token_stands_in_the_body_a_header_or_a_cookie() {
        let headers =
            [("x-token", "h"), ("set-cookie", "other=1; Path=/"), ("set-cookie", "sid=c=1; Path=/; HttpOnly")];
        for (from, body, expected) in [
            (TokenFrom::Body(jq(".a.t")), r#"{"a":{"t":"b"},"refresh_token":"r"}"#, "b"),
            (TokenFrom::Header("X-Token".into()), r#"{"refresh_token":"r"}"#, "h"),
            (TokenFrom::Cookie("sid".into()), r#"{"refresh_token":"r"}"#, "c=1"),
        ] {
            let granted = granted(from, None, &headers, body).unwrap_or_else(|fault| panic!("{fault}"));
            assert_eq!(granted.token.expose_secret(), expected);
            assert_eq!(granted.next_refresh.unwrap().expose_secret(), "r");
        }
    }

    #[test]
    fn an_answer_without_a_token_says_where_it_was_sought() {
        for (from, body, expected) in [
            (TokenFrom::Body(jq(".t")), "{}", "`.t` holds no token in the login's answer"),
            (TokenFrom::Body(jq(".t")), r#"{"t":""}"#, "`.t` holds no token in the login's answer"),
            (TokenFrom::Body(jq(".t")), "s3cret", "the login's answer is no JSON"),
            (TokenFrom::Body(jq(".t")), r#"{"t":{"s3cret":1}}"#, "a list or object where a single value is needed"),
            (TokenFrom::Body(jq(".t")), r#"{"error":"s3cret"}"#, "`.t` holds no token in the login's answer"),
            (
                TokenFrom::Body(jq(".t")),
                r#"{"error":"invalid_grant","error_description":"s3cret"}"#,
                "the login was refused with 200 (invalid_grant)",
            ),
            (TokenFrom::Header("X-Token".into()), "s3cret", "the header X-Token holds no token"),
            (TokenFrom::Cookie("sid".into()), "s3cret", "the cookie sid holds no token"),
        ] {
            let fault = granted(from, None, &[], body).err().unwrap();
            assert!(fault.to_string().contains(expected), "{fault}");
            assert!(!format!("{fault} {fault:?}").contains("s3cret"), "{fault:?}");
        }
    }
}
