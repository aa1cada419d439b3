//! `[source.<name>.incremental]`: how only what changed is asked for.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::source::request_templates;
use super::text::{check_header_name, expression, read_zone};
use crate::config::read::Section;
use crate::config::{IncrementalSpec, RequestSpec, SINCE, TimeFormat, WatermarkSpec};
use crate::limits;

/// Reads it where it is there. `request` is the source's; `None` where that is faulty.
pub(super) fn read_incremental(
    mut section: Section<'_>,
    request: Option<&RequestSpec>,
) -> Option<Option<IncrementalSpec>> {
    let says_since = request.map(|request| request_templates(request).iter().any(|template| template.uses(SINCE)));
    let in_path = request.is_some_and(|request| request.path.uses(SINCE));
    let (place, findings) = (section.place().clone(), section.findings());
    let fault = |problem: &str, mend: &str| findings.fault(&place, problem, mend);
    if in_path {
        fault("the path says {since}, which a first read does not have", "put it into the query, a header or the body");
    }
    if !section.is_table() {
        section.finish();
        if says_since == Some(true) {
            fault("the request says {since}, but nothing says what that is", r#"write e.g. watermark = "run_start""#);
            return None;
        }
        return (!in_path).then_some(None);
    }
    if says_since == Some(false) {
        let mend = r#"write e.g. query = { modified_since = "{since}" } in [source.<name>.request]"#;
        fault("no part of the request says {since}", mend);
    }
    let watermark = read_watermark(&mut section);
    let format = read_format(&mut section);
    let mut duration = |key: &'static str, default, max| match section.optional(key) {
        Some(item) => item.duration(Duration::ZERO..=max),
        None => Some(default),
    };
    let lookback = duration("lookback", limits::LOOKBACK, limits::LOOKBACK_MAX);
    let full_every = duration("full_every", limits::FULL_EVERY, limits::FULL_EVERY_MAX);
    section.finish();
    let (watermark, format, lookback, full_every) = (watermark?, format?, lookback?, full_every?);
    (says_since != Some(false) && !in_path).then_some(Some(IncrementalSpec { watermark, format, lookback, full_every }))
}

#[derive(Clone, Copy)]
enum Kind {
    RecordMax,
    ResponseHeader,
    RunStart,
}

const KINDS: [(&str, Kind); 3] =
    [("record_max", Kind::RecordMax), ("response_header", Kind::ResponseHeader), ("run_start", Kind::RunStart)];

fn read_watermark(section: &mut Section<'_>) -> Option<WatermarkSpec> {
    let kind = section.required_choice("watermark", &KINDS, r#"write e.g. watermark = "record_max""#)?;
    match kind {
        Kind::RecordMax => {
            let mend = r#"write where a record's time of change stands, e.g. record = ".modified""#;
            section.required("record", mend).and_then(|item| expression(&item)).map(WatermarkSpec::RecordMax)
        }
        Kind::ResponseHeader => {
            let item = section.required("header", r#"write the header, e.g. header = "X-Page-Generated""#)?;
            let name = item.text()?;
            check_header_name(&item, name)?;
            Some(WatermarkSpec::ResponseHeader(name.to_owned()))
        }
        Kind::RunStart => Some(WatermarkSpec::RunStart),
    }
}

fn read_format(section: &mut Section<'_>) -> Option<TimeFormat> {
    let zone = match section.optional("zone") {
        Some(item) => read_zone(&item)?,
        None => TimeZone::UTC,
    };
    let Some(item) = section.optional("format") else { return Some(TimeFormat::Rfc3339(zone)) };
    match item.text()? {
        "rfc3339" => Some(TimeFormat::Rfc3339(zone)),
        "unix" => Some(TimeFormat::Unix),
        "unix_ms" => Some(TimeFormat::UnixMs),
        pattern if pattern.contains('%') => {
            let format = TimeFormat::Pattern(pattern.to_owned(), zone);
            // A pattern that does not read what it writes would lose the watermark.
            if format.write(Timestamp::UNIX_EPOCH).and_then(|text| format.read(&text)).is_none() {
                item.fault("this pattern does not tell a day", "use strftime's, e.g. \"%Y-%m-%d %H:%M:%S\"");
                return None;
            }
            Some(format)
        }
        _ => {
            let mend = r#"write "rfc3339", "unix", "unix_ms" or a pattern such as "%Y-%m-%d %H:%M:%S""#;
            item.fault("no format of times", mend);
            None
        }
    }
}

impl TimeFormat {
    /// The instant that a source wrote; `None` where it is none in this format.
    pub fn read(&self, text: &str) -> Option<Timestamp> {
        let text = text.trim();
        match self {
            Self::Rfc3339(zone) => text.parse().ok().or_else(|| {
                let time: jiff::civil::DateTime = text.parse().ok()?;
                time.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
            }),
            Self::Unix => {
                let seconds: f64 = text.parse().ok()?;
                let seconds = Some(seconds.floor()).filter(|seconds| seconds.abs() < 1e12)?;
                Timestamp::from_second(seconds as i64).ok()
            }
            Self::UnixMs => Timestamp::from_millisecond(text.parse().ok()?).ok(),
            Self::Pattern(pattern, zone) => {
                let parsed = strtime::parse(pattern, text).ok()?;
                parsed.to_timestamp().ok().or_else(|| {
                    let time = parsed.to_datetime().or_else(|_| parsed.to_date().map(Into::into)).ok()?;
                    time.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp())
                })
            }
        }
    }

    /// An instant as the source writes it; never later than the instant itself.
    pub fn write(&self, at: Timestamp) -> Option<String> {
        match self {
            Self::Rfc3339(zone) if *zone == TimeZone::UTC => Some(at.to_string()),
            Self::Rfc3339(zone) => strtime::format("%Y-%m-%dT%H:%M:%S%.f%:z", &at.to_zoned(zone.clone())).ok(),
            Self::Unix => Some(at.as_second().to_string()),
            Self::UnixMs => Some(at.as_millisecond().to_string()),
            Self::Pattern(pattern, zone) => strtime::format(pattern, &at.to_zoned(zone.clone())).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_read_and_written_as_the_source_does() {
        let berlin = || TimeZone::get("Europe/Berlin").unwrap();
        let pattern = |text: &str| TimeFormat::Pattern(text.to_owned(), berlin());
        for (format, text, instant) in [
            (TimeFormat::Rfc3339(TimeZone::UTC), "2026-05-01T10:00:00.25Z", "2026-05-01T10:00:00.25Z"),
            (TimeFormat::Rfc3339(berlin()), "2026-05-01T12:00:00+02:00", "2026-05-01T10:00:00Z"),
            (TimeFormat::Unix, "1777629600", "2026-05-01T10:00:00Z"),
            (TimeFormat::UnixMs, "1777629600250", "2026-05-01T10:00:00.25Z"),
            (pattern("%Y-%m-%d %H:%M:%S"), "2026-05-01 12:00:00", "2026-05-01T10:00:00Z"),
            (pattern("%Y-%m-%d"), "2026-05-01", "2026-04-30T22:00:00Z"),
        ] {
            assert_eq!(format.read(text), Some(at(instant)), "{format:?}");
            assert_eq!(format.write(at(instant)).as_deref(), Some(text), "{format:?}");
        }
    }

    #[test]
    fn what_a_source_leaves_out_is_of_its_zone() {
        let berlin = TimeFormat::Rfc3339(TimeZone::get("Europe/Berlin").unwrap());
        assert_eq!(berlin.read("2026-05-01T12:00:00"), Some(at("2026-05-01T10:00:00Z")));
        assert_eq!(TimeFormat::Rfc3339(TimeZone::UTC).read("2026-05-01 12:00:00"), Some(at("2026-05-01T12:00:00Z")));
        assert_eq!(TimeFormat::Unix.read("1777629600.9"), Some(at("2026-05-01T10:00:00Z")));
        for (format, text) in
            [(&berlin, "soon"), (&berlin, ""), (&TimeFormat::Unix, "1e300"), (&TimeFormat::Unix, "NaN")]
        {
            assert_eq!(format.read(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_never_later() {
        let late = at("2026-05-01T10:00:59.999Z");
        for format in [
            TimeFormat::Unix,
            TimeFormat::Pattern("%Y-%m-%d %H:%M".into(), TimeZone::UTC),
            TimeFormat::Pattern("%Y-%m-%d".into(), TimeZone::get("Pacific/Auckland").unwrap()),
        ] {
            let written = format.write(late).unwrap();
            assert!(format.read(&written).unwrap() <= late, "{written}");
        }
    }
}
