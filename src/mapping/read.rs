//! Typed values from what an expression gave, with the reason where that is not possible.

use std::borrow::Cow;

use compact_str::CompactString;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use url::Url;

use super::BadgeKind;
use super::native::Piece;
use crate::limits::{EXTERNAL_ID_BYTES_MAX, FIELD_BYTES_MAX, GROUP_NAME_BYTES_MAX, LIST_ITEMS_MAX};
use crate::model::{Email, ExternalId, Field, GroupName, RejectReason, Value};

/// What a badge may be.
const BADGE_ENDINGS: [&str; 4] = [".jpg", ".jpeg", ".png", ".pdf"];
/// What stands between the items of a list that becomes one text.
const LIST_SEPARATOR: &str = ", ";
/// Epoch numbers from here on are milliseconds: as seconds they would lie past the year 5138.
const EPOCH_SECONDS_END: f64 = 1e11;

type Read<T> = Result<T, RejectReason>;

/// One text of bounded length: texts trimmed, numbers and booleans as JSON spells them. `None` for null and for
/// a blank text.
#[inline]
fn single<'p>(value: &'p Piece<'_>, bytes_max: usize) -> Read<Option<Cow<'p, str>>> {
    let text = match value {
        Piece::Text(bytes) => trimmed(bytes)?,
        Piece::Null => return Ok(None),
        Piece::Bool(true) => Cow::Borrowed("true"),
        Piece::Bool(false) => Cow::Borrowed("false"),
        Piece::Number(spelled) => Cow::Borrowed(&**spelled),
        Piece::NotFinite | Piece::RawList(_) | Piece::List(_) | Piece::RawObject(_) | Piece::Opaque => {
            return Err(RejectReason::WrongType);
        }
    };
    match text.len() {
        0 => Ok(None),
        length if length <= bytes_max => Ok(Some(text)),
        _ => Err(RejectReason::FieldTooLong),
    }
}

#[inline]
fn trimmed(bytes: &[u8]) -> Read<Cow<'_, str>> {
    if bytes.contains(&0) {
        return Err(RejectReason::NulCharacter);
    }
    // Most texts neither begin nor end with what might be white space.
    let solid = |end: Option<&u8>| end.is_some_and(u8::is_ascii_graphic);
    Ok(match std::str::from_utf8(bytes) {
        Ok(text) if solid(bytes.first()) && solid(bytes.last()) => Cow::Borrowed(text),
        Ok(text) => Cow::Borrowed(text.trim()),
        Err(_) => Cow::Owned(String::from_utf8_lossy(bytes).trim().to_owned()),
    })
}

/// The items of a list that are not blank, each a single text.
fn list(value: &Piece<'_>) -> Read<Vec<CompactString>> {
    let mut texts = Vec::new();
    let read = value.try_items(|item| {
        let Some(text) = single(item, FIELD_BYTES_MAX)? else { return Ok(()) };
        if texts.len() == LIST_ITEMS_MAX {
            return Err(RejectReason::FieldTooLong);
        }
        texts.push((&*text).into());
        Ok(())
    });
    read.unwrap_or(Err(RejectReason::WrongType)).map(|()| texts)
}

pub(super) fn external_id(value: &Piece<'_>) -> Read<Option<ExternalId>> {
    let Some(text) = single(value, EXTERNAL_ID_BYTES_MAX)? else { return Ok(None) };
    Ok(ExternalId::new(&text))
}

pub(super) fn email(value: &Piece<'_>) -> Read<Option<Email>> {
    let Some(text) = single(value, usize::MAX)? else { return Ok(None) };
    Email::parse(&text).map(Some).map_err(|_| RejectReason::InvalidEmail)
}

/// A field that holds text: a list becomes one text, e.g. `Dr., Prof.`.
#[inline]
pub(super) fn text(value: &Piece<'_>) -> Read<Option<Value>> {
    if let Piece::RawList(_) | Piece::List(_) = value {
        let joined = list(value)?.join(LIST_SEPARATOR);
        let fits = joined.len() <= FIELD_BYTES_MAX;
        return if fits {
            Ok((!joined.is_empty()).then(|| Value::Text(joined.into())))
        } else {
            Err(RejectReason::FieldTooLong)
        };
    }
    Ok(single(value, FIELD_BYTES_MAX)?.map(|text| Value::Text((&*text).into())))
}

/// A custom field: keeps its kind. An empty list is blank.
pub(super) fn any(value: &Piece<'_>) -> Read<Option<Value>> {
    match value {
        Piece::Bool(value) => Ok(Some(Value::Bool(*value))),
        Piece::Number(_) => Ok(single(value, FIELD_BYTES_MAX)?.map(|spelled| Value::Number((&*spelled).into()))),
        Piece::RawList(_) | Piece::List(_) => {
            let items = list(value)?;
            if items.iter().map(CompactString::len).sum::<usize>() > FIELD_BYTES_MAX {
                return Err(RejectReason::FieldTooLong);
            }
            Ok((!items.is_empty()).then_some(Value::List(items)))
        }
        _ => text(value),
    }
}

/// The value that a JSON text makes of a profile field, by the rules of a mapped one; `None` of a blank.
pub fn field_value(field: &Field, json: &str) -> Read<Option<Value>> {
    let piece = Piece::of(json.as_bytes());
    if let Field::Custom(_) = field { any(&piece) } else { text(&piece) }
}

/// An https URL, of a file of one of these kinds or of anything. Kept as spelled.
pub(super) fn badge_url(value: &Piece<'_>, kind: BadgeKind) -> Read<Option<Value>> {
    let Some(text) = single(value, FIELD_BYTES_MAX)? else { return Ok(None) };
    let good = is_plain_badge(&text) || is_badge(&text, kind);
    if good { Ok(Some(Value::Text((&*text).into()))) } else { Err(RejectReason::InvalidUrl) }
}

fn is_badge(text: &str, kind: BadgeKind) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    url.scheme() == "https" && (kind == BadgeKind::Any || has_badge_ending(url.path()))
}

fn has_badge_ending(path: &str) -> bool {
    let ends = |ending: &&str| {
        let last = path.len().checked_sub(ending.len()).and_then(|start| path.get(start..));
        last.is_some_and(|last| last.eq_ignore_ascii_case(ending))
    };
    BADGE_ENDINGS.iter().any(ends)
}

/// Only where [`is_badge`] would say so, too: a name of plain labels, of which the last is neither a number nor
/// an encoded one, and a path of characters that mean nothing else.
fn is_plain_badge(text: &str) -> bool {
    let rest = text.strip_prefix("https://");
    let Some((host, path)) = rest.and_then(|rest| rest.split_once('/')) else { return false };
    let label = |label: &str| {
        let letters = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        label.starts_with(|first: char| first.is_ascii_lowercase()) && letters
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-');
    host.split('.').all(label) && path.bytes().all(plain) && has_badge_ending(path)
}

/// The names of groups in one output: a text or number, or a list of them. A boolean is no name; it is what
/// `.vip and "VIP"` gives by mistake.
pub(super) fn group_names(value: &Piece<'_>, names: &mut Vec<GroupName>) -> Read<()> {
    match value.try_items(|item| group_name(item, names)) {
        Some(read) => read,
        None => group_name(value, names),
    }
}

fn group_name(value: &Piece<'_>, names: &mut Vec<GroupName>) -> Read<()> {
    if matches!(value, Piece::Bool(_)) {
        return Err(RejectReason::WrongType);
    }
    if let Some(text) = single(value, GROUP_NAME_BYTES_MAX)? {
        names.extend(GroupName::new(&text));
    }
    Ok(())
}

/// An instant: RFC 3339; a date or date-time without a zone, read as UTC; or seconds or milliseconds since
/// 1970 as a number. Nothing is guessed from any other text.
pub(super) fn timestamp(value: &Piece<'_>) -> Read<Option<Timestamp>> {
    let instant = match value {
        Piece::Number(spelled) => epoch(spelled),
        Piece::NotFinite => None,
        Piece::Text(_) => {
            let Some(text) = single(value, usize::MAX)? else { return Ok(None) };
            written(&text)
        }
        Piece::Null => return Ok(None),
        _ => return Err(RejectReason::WrongType),
    };
    instant.map(Some).ok_or(RejectReason::InvalidTime)
}

fn written(text: &str) -> Option<Timestamp> {
    // `20260314` is a date to ISO 8601 and could be an epoch to the source; `[Europe/Paris]` is a zone, which
    // must not be read as UTC.
    if text.bytes().all(|byte| byte.is_ascii_digit()) || text.contains('[') {
        return None;
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    let civil = text.parse::<DateTime>().ok()?;
    Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn epoch(number: &str) -> Option<Timestamp> {
    let seconds_or_millis: f64 = number.parse().ok()?;
    let millis = if seconds_or_millis.abs() < EPOCH_SECONDS_END { seconds_or_millis * 1e3 } else { seconds_or_millis };
    // Saturates; jiff refuses what lies outside its years.
    Timestamp::from_millisecond(millis.round() as i64).ok().filter(|_| millis.is_finite())
}

#[cfg(test)]
mod tests {
    use jaq_json::Val;
    use proptest::{prop_assert, prop_assert_eq, prop_assume, proptest};

    use super::*;
    use crate::decode::RawRecord;

    /// The value as jaq gives it.
    fn value(json: &str) -> Piece<'static> {
        let value = RawRecord::new(json.to_owned().into()).value().unwrap();
        Piece::from(&*Box::leak(Box::new(value)))
    }

    fn nan() -> Piece<'static> {
        Piece::from(&*Box::leak(Box::new(Val::from(f64::NAN))))
    }

    proptest! {
        /// It does not matter whether jaq or the native form gave a value.
        #[test]
        fn the_source_of_a_value_does_not_matter(
            json in r#"(-?[0-9]|[1-9][0-9]{0,70}|[0-9]\.[0-9]{1,3}(E2)?|true|"[a-c@. \u{e9}]{0,8}"|"a\\u(0000|00e9|d800|0020)"|\[("[a ]{0,2}"|7|null|\[\])?(,-0|,"")?\]|\{\}|null)"#,
        ) {
            prop_assume!(serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok() || json.contains("ud800"));
            let (ours, jaqs) = (Piece::of(json.as_bytes()), value(&json));
            prop_assert_eq!(text(&ours), text(&jaqs));
            prop_assert_eq!(any(&ours), any(&jaqs));
            prop_assert_eq!(external_id(&ours), external_id(&jaqs));
            prop_assert_eq!(email(&ours), email(&jaqs));
            prop_assert_eq!(timestamp(&ours), timestamp(&jaqs));
            let groups = |value: &Piece<'_>| {
                let mut names = Vec::new();
                group_names(value, &mut names).map(|()| names)
            };
            prop_assert_eq!(groups(&ours), groups(&jaqs));
        }

        /// What the short way takes for a badge is one to the URL standard.
        #[test]
        fn plain_badges_are_badges(
            host in "(xn--|[0x]{0,2})?[a-z0-9.]{0,6}(\\.[a-z0-9]{0,3})?",
            path in "[a-z./%?#_:@\\\\ -]{0,8}",
            ending in "\\.(png|PDF|jpeg|jpg|gif)",
        ) {
            let text = format!("https://{host}/{path}{ending}");
            prop_assert!(!is_plain_badge(&text) || is_badge(&text, BadgeKind::File), "{}", text);
        }
    }

    fn text_value(text: &str) -> Read<Option<Value>> {
        Ok(Some(Value::Text(text.into())))
    }

    /// A JSON text of so many bytes.
    fn long(bytes: usize) -> String {
        format!("\"{}\"", "x".repeat(bytes))
    }

    #[test]
    fn texts() {
        for (json, expected) in [
            ("\"  Ada \\n\"", text_value("Ada")),
            ("\"e\\u0301\"", text_value("e\u{301}")),
            ("4711", text_value("4711")),
            ("1.50", text_value("1.50")),
            ("true", text_value("true")),
            ("false", text_value("false")),
            ("null", Ok(None)),
            ("\" \\t\"", Ok(None)),
            ("[]", Ok(None)),
            ("[null,\"\"]", Ok(None)),
            ("[\" Dr. \",null,2]", text_value("Dr., 2")),
            ("[[\"a\"]]", Err(RejectReason::WrongType)),
            ("[{}]", Err(RejectReason::WrongType)),
            ("{}", Err(RejectReason::WrongType)),
            ("\"a\\u0000b\"", Err(RejectReason::NulCharacter)),
            ("[\"\\u0000\"]", Err(RejectReason::NulCharacter)),
        ] {
            assert_eq!(text(&value(json)), expected, "{json}");
        }
    }

    #[test]
    fn custom_values_keep_their_kind() {
        let items = |items: &[&str]| Ok(Some(Value::List(items.iter().map(|item| (*item).into()).collect())));
        for (json, expected) in [
            ("\" vegan \"", text_value("vegan")),
            ("12345678901234567890", Ok(Some(Value::Number("12345678901234567890".into())))),
            ("1.50", Ok(Some(Value::Number("1.50".into())))),
            ("false", Ok(Some(Value::Bool(false)))),
            ("[\"a\",1,true,null,\" \"]", items(&["a", "1", "true"])),
            ("[]", Ok(None)),
            ("null", Ok(None)),
            ("\"\"", Ok(None)),
            ("{\"a\":1}", Err(RejectReason::WrongType)),
            ("[[1]]", Err(RejectReason::WrongType)),
            ("\"\\u0000\"", Err(RejectReason::NulCharacter)),
        ] {
            assert_eq!(any(&value(json)), expected, "{json}");
        }
        assert_eq!(any(&nan()), Err(RejectReason::WrongType));
    }

    #[test]
    fn lengths_are_bounded() {
        let too_long = RejectReason::FieldTooLong;
        assert!(text(&value(&long(FIELD_BYTES_MAX))).is_ok());
        assert_eq!(text(&value(&long(FIELD_BYTES_MAX + 1))), Err(too_long));
        let halves = format!("[{0},{0}]", long(FIELD_BYTES_MAX / 2));
        assert_eq!(text(&value(&halves)), Err(too_long), "the separator counts");
        assert!(any(&value(&halves)).is_ok());
        assert_eq!(any(&value(&format!("[{0},{0},1]", long(FIELD_BYTES_MAX / 2)))), Err(too_long));
        let items = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert!(any(&value(&items(LIST_ITEMS_MAX))).is_ok());
        assert_eq!(any(&value(&items(LIST_ITEMS_MAX + 1))), Err(too_long));
        assert!(external_id(&value(&long(EXTERNAL_ID_BYTES_MAX))).is_ok());
        assert_eq!(external_id(&value(&long(EXTERNAL_ID_BYTES_MAX + 1))), Err(too_long));
        assert!(group_names(&value(&long(GROUP_NAME_BYTES_MAX)), &mut Vec::new()).is_ok());
        assert_eq!(group_names(&value(&long(GROUP_NAME_BYTES_MAX + 1)), &mut Vec::new()), Err(too_long));
    }

    #[test]
    fn ids_and_emails() {
        let id = |json: &str| external_id(&value(json)).map(|id| id.map(|id| id.as_str().to_owned()));
        assert_eq!(id("4711"), Ok(Some("4711".to_owned())));
        assert_eq!(id("\" A-1 \""), Ok(Some("A-1".to_owned())));
        assert_eq!(id("\"\""), Ok(None));
        assert_eq!(id("[1]"), Err(RejectReason::WrongType));
        let address = |json: &str| email(&value(json)).map(|email| email.map(|email| email.as_str().to_owned()));
        assert_eq!(address("\" Ada@X.org \""), Ok(Some("Ada@X.org".to_owned())));
        assert_eq!(address("null"), Ok(None));
        assert_eq!(address("\"ada\""), Err(RejectReason::InvalidEmail));
        assert_eq!(address("7"), Err(RejectReason::InvalidEmail));
        assert_eq!(address("\"a\\u0000@b\""), Err(RejectReason::NulCharacter));
        assert_eq!(address("[\"a@b\"]"), Err(RejectReason::WrongType));
    }

    #[test]
    fn badges() {
        assert!(is_plain_badge("https://badges.example/reg_000001.png"), "the usual kind");
        let read = |text: &str, kind| badge_url(&value(&format!("\"{text}\"")), kind);
        for good in
            ["https://x.org/a.jpg", "https://x.org/b/A.JPEG?size=2#x", "https://x.org/a.png", "HTTPS://x.org/a.Pdf"]
        {
            assert_eq!(read(good, BadgeKind::File), text_value(good), "{good}");
            assert_eq!(read(good, BadgeKind::Any), text_value(good), "{good}");
        }
        for other in ["https://x.org/a.gif", "https://x.org/?a.jpg", "https://x.org/badge/1"] {
            assert_eq!(read(other, BadgeKind::File), Err(RejectReason::InvalidUrl), "{other}");
            assert_eq!(read(other, BadgeKind::Any), text_value(other), "{other}");
        }
        for bad in ["a.jpg", "//x.org/a.jpg", "ftp://x.org/a.jpg", "http://x.org/a.jpg", "javascript:a.jpg"] {
            assert_eq!(read(bad, BadgeKind::File), Err(RejectReason::InvalidUrl), "{bad}");
            assert_eq!(read(bad, BadgeKind::Any), Err(RejectReason::InvalidUrl), "{bad}");
        }
        assert_eq!(badge_url(&Piece::Null, BadgeKind::File), Ok(None));
    }

    #[test]
    fn groups() {
        let names = |json: &str| {
            let mut names = Vec::new();
            group_names(&value(json), &mut names)
                .map(|()| names.iter().map(|group| group.name.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(names("\" VIP \""), Ok(vec!["VIP".to_owned()]));
        assert_eq!(names("[\"a\",7,null,\" \"]"), Ok(vec!["a".to_owned(), "7".to_owned()]));
        assert_eq!(names("null"), Ok(vec![]));
        for wrong in ["true", "[true]", "{}", "[[\"a\"]]", "[{}]"] {
            assert_eq!(names(wrong), Err(RejectReason::WrongType), "{wrong}");
        }
    }

    #[test]
    fn times() {
        for (json, expected) in [
            ("\"2026-03-14T15:09:26Z\"", "2026-03-14T15:09:26Z"),
            ("\"2026-03-14T15:09:26.5+02:00\"", "2026-03-14T13:09:26.5Z"),
            ("\"2026-03-14 15:09:26\"", "2026-03-14T15:09:26Z"),
            ("\"2026-03-14T15:09\"", "2026-03-14T15:09:00Z"),
            ("\"2026-03-14\"", "2026-03-14T00:00:00Z"),
            ("1773500966", "2026-03-14T15:09:26Z"),
            ("1773500966.25", "2026-03-14T15:09:26.25Z"),
            ("1773500966250", "2026-03-14T15:09:26.25Z"),
            ("1.773500966e9", "2026-03-14T15:09:26Z"),
            ("0", "1970-01-01T00:00:00Z"),
        ] {
            let read = timestamp(&value(json)).map(|at| at.map(|at| at.to_string()));
            assert_eq!(read, Ok(Some(expected.to_owned())), "{json}");
        }
        assert_eq!(timestamp(&Piece::Null), Ok(None));
        assert_eq!(timestamp(&value("\"\"")), Ok(None));
        for bad in [
            "\"yesterday\"",
            "\"14.03.2026\"",
            "\"1773500966\"",
            "\"20260314\"",
            "\"2026-03-14T15:09:26[Europe/Paris]\"",
            "\"2026-13-01\"",
            "1e300",
            "-1e15",
        ] {
            assert_eq!(timestamp(&value(bad)), Err(RejectReason::InvalidTime), "{bad}");
        }
        assert_eq!(timestamp(&nan()), Err(RejectReason::InvalidTime));
        assert_eq!(timestamp(&value("true")), Err(RejectReason::WrongType));
    }
}
