//! How far a read has come, in the source's own time, so that the next one may ask for what changed since.
//!
//! Invariant: pure. A watermark is never later than what the source had when the read began, as far as it tells.

use jiff::Timestamp;
use reqwest::header::{DATE, HeaderMap};
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::header::text;
use super::retry::http_date;
use crate::config::{IncrementalSpec, TimeFormat, WatermarkSpec};
use crate::decode::RawRecord;

const HINT: &str = "compare `incremental` with what the source really sends, or choose another `watermark`";

/// What one page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    at: Option<Timestamp>,
    /// The server's time, where it tells.
    date: Option<Timestamp>,
}

/// What the pages of one list said so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) at: Option<Timestamp>,
    /// When the first page was answered.
    began: Option<Timestamp>,
}

impl Sign {
    pub(super) fn of(spec: &IncrementalSpec, headers: &HeaderMap, records: &[RawRecord]) -> Result<Self, Fault> {
        let date = text(headers, DATE).and_then(http_date);
        let at = match &spec.watermark {
            WatermarkSpec::RecordMax(when) => newest(when, &spec.format, records)?,
            WatermarkSpec::ResponseHeader(name) => {
                let told = text(headers, name).ok_or_else(|| absent(name))?;
                Some(spec.format.read(told).or_else(|| told.parse().ok()).ok_or_else(|| absent(name))?)
            }
            WatermarkSpec::RunStart => Some(date.ok_or_else(|| absent("Date"))?),
        };
        Ok(Self { at, date })
    }
}

fn absent(header: &str) -> Fault {
    Fault::Select { problem: format!("the answer has no header '{header}' that tells the time"), hint: HINT }
}

/// The newest time that the records bear. One without a time, or with an unreadable one, does not count: the
/// watermark then moves less far, and nothing is missed.
fn newest(
    when: &crate::mapping::Expression,
    format: &TimeFormat,
    records: &[RawRecord],
) -> Result<Option<Timestamp>, Fault> {
    let mut newest = None;
    let mut unreadable = 0;
    for record in records {
        match when.scalar_of_record(record).ok().flatten().map(|text| format.read(&text)) {
            Some(Some(at)) => newest = newest.max(Some(at)),
            Some(None) => unreadable += 1,
            None => {}
        }
    }
    if newest.is_none() && unreadable > 0 {
        let problem =
            format!("`{}` is no time in the `format` of `incremental` in any record of the page", when.source());
        return Err(Fault::Select { problem, hint: HINT });
    }
    Ok(newest)
}

impl Mark {
    /// Takes up the next page's sign.
    pub(super) fn take(&mut self, spec: &IncrementalSpec, sign: Sign, is_first: bool) {
        if is_first {
            self.began = sign.date;
        }
        match spec.watermark {
            // One in the future, by a slip of the pen, must not hide what comes until then.
            WatermarkSpec::RecordMax(_) => {
                let cap = |at: Timestamp| self.began.map_or(at, |began| at.min(began));
                self.at = self.at.max(sign.at.map(cap));
            }
            // What changes while the list is read is asked for again.
            WatermarkSpec::ResponseHeader(_) | WatermarkSpec::RunStart => {
                if is_first {
                    self.at = sign.at;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::mapping::Expression;

    fn spec(watermark: WatermarkSpec) -> IncrementalSpec {
        let (lookback, full_every) = (Duration::ZERO, Duration::ZERO);
        IncrementalSpec { watermark, format: TimeFormat::Rfc3339(TimeZone::UTC), lookback, full_every }
    }

    fn by_record() -> IncrementalSpec {
        spec(WatermarkSpec::RecordMax(Expression::compile(".at").unwrap()))
    }

    fn headers(pairs: &Head) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn records(times: &[&str]) -> Vec<RawRecord> {
        times.iter().map(|at| RawRecord::new(Bytes::from(format!("{{\"at\":{at}}}")))).collect()
    }

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    const DATE_10: (&str, &str) = ("date", "Fri, 01 May 2026 10:00:00 GMT");

    type Head = [(&'static str, &'static str)];

    fn after(spec: &IncrementalSpec, pages: &[(&Head, &[&str])]) -> Option<Timestamp> {
        let mut mark = Mark::default();
        for (n, (head, times)) in pages.iter().enumerate() {
            mark.take(spec, Sign::of(spec, &headers(head), &records(times)).unwrap(), n == 0);
        }
        mark.at
    }

    #[test]
    fn the_newest_record_tells_but_none_of_the_future() {
        let spec = by_record();
        let early: &[&str] = &[r#""2026-05-01T08:00:00Z""#, "null", r#""soon""#];
        let late: &[&str] = &[r#""2026-05-01T09:00:00Z""#];
        assert_eq!(after(&spec, &[(&[DATE_10], late), (&[], early)]), at("2026-05-01T09:00:00Z"));
        assert_eq!(after(&spec, &[(&[DATE_10], &[r#""2099-01-01T00:00:00Z""#])]), at("2026-05-01T10:00:00Z"));
        assert_eq!(after(&spec, &[(&[], &[r#""2099-01-01T00:00:00Z""#])]), at("2099-01-01T00:00:00Z"));
        assert_eq!(after(&spec, &[(&[DATE_10], &[])]), None);
    }

    #[test]
    fn headers_count_as_of_the_first_page() {
        let header = spec(WatermarkSpec::ResponseHeader("X-Page-Generated".into()));
        let page = |at: &'static str| [("x-page-generated", at), DATE_10];
        let (first, second) = (page("2026-05-01T09:59:59.5Z"), page("2026-05-01T10:30:00Z"));
        assert_eq!(after(&header, &[(&first, &[]), (&second, &[])]), at("2026-05-01T09:59:59.5Z"));
        assert_eq!(after(&spec(WatermarkSpec::RunStart), &[(&[DATE_10], &[])]), at("2026-05-01T10:00:00Z"));
    }

    #[test]
    fn what_tells_nothing_is_a_fault() {
        for (spec, head, times, problem) in [
            (spec(WatermarkSpec::RunStart), &[][..], &[][..], "no header 'Date'"),
            (spec(WatermarkSpec::ResponseHeader("X-At".into())), &[DATE_10], &[], "no header 'X-At'"),
            (spec(WatermarkSpec::ResponseHeader("X-At".into())), &[("x-at", "later")], &[], "no header 'X-At'"),
            (by_record(), &[DATE_10], &[r#""ada""#, r#""bob""#], "`.at` is no time"),
        ] {
            let fault = Sign::of(&spec, &headers(head), &records(times)).unwrap_err().to_string();
            assert!(fault.contains(problem) && !fault.contains("ada"), "{fault}");
        }
    }
}
