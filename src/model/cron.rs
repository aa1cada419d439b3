//! Times as cron has them: minute, hour, day of the month, month, day of the week.
//!
//! As crontab(5) says: `*`, numbers, ranges, lists, steps, and the English names of months and days in three letters; 0 and 7
//! are Sunday. Where both kinds of day are said, either will do.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Five fields. What comes never is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cron {
    text: String,
    /// Bit n: the minute n.
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    /// Bit 0: Sunday.
    weekdays: u64,
    /// Does the field begin with `*`, so that only the other kind of day counts?
    any_day: bool,
    any_weekday: bool,
}

/// Why a text is no cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    #[error("must have five fields: minute, hour, day of the month, month, day of the week (got {0})")]
    Fields(usize),
    #[error("the {0} must be a number, a range, a list or a step from {1} to {2}")]
    Field(&'static str, u32, u32),
    #[error("never comes: no such month has such a day")]
    Never,
    #[error("must be at most {CRON_BYTES_MAX} bytes")]
    Long,
}

/// Longest expression, in bytes.
const CRON_BYTES_MAX: usize = 256;
const EVERY_HOUR: u64 = (1 << 24) - 1;
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// In a leap year.
const DAYS_OF_MONTHS: [u32; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// What a field may hold.
struct Kind {
    name: &'static str,
    low: u32,
    high: u32,
    /// The first is `low`.
    words: &'static [&'static str],
}

const MINUTE: Kind = Kind { name: "minute", low: 0, high: 59, words: &[] };
const HOUR: Kind = Kind { name: "hour", low: 0, high: 23, words: &[] };
const DAY: Kind = Kind { name: "day of the month", low: 1, high: 31, words: &[] };
const MONTH: Kind = Kind { name: "month", low: 1, high: 12, words: &MONTHS };
const WEEKDAY: Kind = Kind { name: "day of the week", low: 0, high: 7, words: &WEEKDAYS };

impl Kind {
    fn read(&self, text: &str) -> Result<u64, CronError> {
        let mut items = text.split(',').map(|item| self.item(item));
        let bits = items.try_fold(0, |bits, item| Some(bits | item?));
        bits.ok_or(CronError::Field(self.name, self.low, self.high))
    }

    fn item(&self, text: &str) -> Option<u64> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|step| (1..=self.high).contains(step))?)),
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.low, self.high),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            // `5/10` goes on to the end, as Vixie's does.
            None if step.is_some() => (self.value(range)?, self.high),
            None => (self.value(range)?, self.value(range)?),
        };
        if from > to {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        Some((from..=to).step_by(step).fold(0, |bits, value| bits | 1 << value))
    }

    fn value(&self, text: &str) -> Option<u32> {
        let word = self.words.iter().zip(self.low..).find(|(word, _)| word.eq_ignore_ascii_case(text));
        let value = word.map(|(_, value)| value).or_else(|| number(text));
        value.filter(|value| (self.low..=self.high).contains(value))
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl Cron {
    pub fn parse(text: &str) -> Result<Self, CronError> {
        if text.len() > CRON_BYTES_MAX {
            return Err(CronError::Long);
        }
        let fields: Vec<_> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return Err(CronError::Fields(fields.len())) };
        let weekdays = WEEKDAY.read(weekday)?;
        let cron = Self {
            text: fields.join(" "),
            minutes: MINUTE.read(minute)?,
            hours: HOUR.read(hour)?,
            days: DAY.read(day)?,
            months: MONTH.read(month)?,
            weekdays: weekdays | weekdays >> 7,
            any_day: day.starts_with('*'),
            any_weekday: weekday.starts_with('*'),
        };
        if cron.comes() { Ok(cron) } else { Err(CronError::Never) }
    }

    /// Only where just the day of the month counts it may be one that no such month has.
    fn comes(&self) -> bool {
        let has_day = |(month, days): (u32, u32)| has(self.months, month) && (1..=days).any(|day| has(self.days, day));
        !self.any_weekday || (1..).zip(DAYS_OF_MONTHS).any(has_day)
    }

    /// Is the date one of its days?
    pub fn has_date(&self, date: Date) -> bool {
        let day = has(self.days, date.day().unsigned_abs().into());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset().unsigned_abs().into());
        let either = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        has(self.months, date.month().unsigned_abs().into()) && either
    }

    /// Does it go on hour by hour, so that clocks that are set do not matter to it?
    pub fn is_hourly(&self) -> bool {
        self.hours & EVERY_HOUR == EVERY_HOUR
    }

    /// Its hours, from this one on.
    pub fn hours_from(&self, hour: i8) -> impl Iterator<Item = i8> + '_ {
        (hour.max(0)..24).filter(|hour| has(self.hours, hour.unsigned_abs().into()))
    }

    /// Its minutes of an hour, from this one on.
    pub fn minutes_from(&self, minute: i8) -> impl Iterator<Item = i8> + '_ {
        (minute.max(0)..60).filter(|minute| has(self.minutes, minute.unsigned_abs().into()))
    }
}

const fn has(bits: u64, value: u32) -> bool {
    bits >> value & 1 == 1
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Cron {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        Self::parse(&text)
    }
}

impl From<Cron> for String {
    fn from(cron: Cron) -> Self {
        cron.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(bits: u64) -> Vec<u32> {
        (0..64).filter(|value| has(bits, *value)).collect()
    }

    #[test]
    fn fields_are_as_crontab_has_them() {
        let cron = Cron::parse(" 0,30  8-18/2 1,15 Jan-mar  mon-FRI,7 ").unwrap();
        assert_eq!(cron.to_string(), "0,30 8-18/2 1,15 Jan-mar mon-FRI,7");
        assert_eq!((values(cron.minutes), values(cron.hours)), (vec![0, 30], vec![8, 10, 12, 14, 16, 18]));
        assert_eq!((values(cron.days), values(cron.months)), (vec![1, 15], vec![1, 2, 3]));
        assert_eq!(values(cron.weekdays & 0x7f), [0, 1, 2, 3, 4, 5]);
        let steps = Cron::parse("5/20 */6 * * *").unwrap();
        assert_eq!((values(steps.minutes), values(steps.hours)), (vec![5, 25, 45], vec![0, 6, 12, 18]));
        assert_eq!(values(Cron::parse("* * * * 5-7").unwrap().weekdays & 0x7f), [0, 5, 6]);
        assert!(Cron::parse("7 * * * *").unwrap().is_hourly() && !Cron::parse("7 1-23 * * *").unwrap().is_hourly());
    }

    #[test]
    fn either_kind_of_day_will_do_where_both_are_said() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        // 2026-06-12 is a Friday, 2026-06-13 a Saturday.
        for (text, friday_12, saturday_13, friday_19) in [
            ("0 0 * * *", true, true, true),
            ("0 0 13 * *", false, true, false),
            ("0 0 * * 5", true, false, true),
            ("0 0 13 * 5", true, true, true),
            ("0 0 */13 * 6", false, false, false),
            ("0 0 * 7 *", false, false, false),
        ] {
            let cron = Cron::parse(text).unwrap();
            let found = ["2026-06-12", "2026-06-13", "2026-06-19"].map(|day| cron.has_date(date(day)));
            assert_eq!(found, [friday_12, saturday_13, friday_19], "{text}");
        }
    }

    #[test]
    fn what_is_none_says_why() {
        for (text, error) in [
            ("", CronError::Fields(0)),
            ("@daily", CronError::Fields(1)),
            ("* * * * * *", CronError::Fields(6)),
            ("60 * * * *", CronError::Field("minute", 0, 59)),
            ("* 24 * * *", CronError::Field("hour", 0, 23)),
            ("* * 0 * *", CronError::Field("day of the month", 1, 31)),
            ("* * * 13 *", CronError::Field("month", 1, 12)),
            ("* * * * 8", CronError::Field("day of the week", 0, 7)),
            ("* * * * monday", CronError::Field("day of the week", 0, 7)),
            ("*/0 * * * *", CronError::Field("minute", 0, 59)),
            ("5-1 * * * *", CronError::Field("minute", 0, 59)),
            ("1,,2 * * * *", CronError::Field("minute", 0, 59)),
            ("+1 * * * *", CronError::Field("minute", 0, 59)),
            ("-1 * * * *", CronError::Field("minute", 0, 59)),
            ("0 0 30 2 *", CronError::Never),
            ("0 0 31 4,6,9,11 *", CronError::Never),
        ] {
            assert_eq!(Cron::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Cron::parse(&format!("{} * * * *", "1,".repeat(200))), Err(CronError::Long));
        for sound in ["0 0 29 2 *", "0 0 31 2 1", "0 0 31 1-4 *"] {
            assert!(Cron::parse(sound).is_ok(), "{sound}");
        }
    }

    #[test]
    fn it_is_stored_as_it_is_written() {
        let cron = Cron::parse("0 6 * * 1-5").unwrap();
        let text = serde_json::to_string(&cron).unwrap();
        assert_eq!((text.as_str(), serde_json::from_str(&text).ok()), ("\"0 6 * * 1-5\"", Some(cron)));
    }
}
