//! What a test or a benchmark may do to the list: the queries of `POST /control/…`.

use url::form_urlencoded;

use crate::limits;

/// A change of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    /// Raises the version of so many percent of the records.
    Churn { percent: f64 },
    /// Cancels so many that are not cancelled yet.
    Cancel { count: u32 },
    /// Takes so many out of the list.
    Remove { count: u32 },
    /// Adds so many new ones.
    Add { count: u32 },
}

/// Why a control request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum ControlError {
    #[error("no such control: churn, cancel, remove and add exist")]
    Unknown,
    #[error("percent must be a number from 0 to 100, e.g. ?percent=1")]
    Percent,
    #[error("count must be a whole number from 1 to {max}, e.g. ?count=5", max = limits::DEMO_RECORDS_MAX)]
    Count,
}

impl Change {
    /// Reads `name` of the path `/control/{name}` and the query. Without a value: 1 percent, 1 record.
    pub fn parse(name: &str, query: &str) -> Result<Self, ControlError> {
        match name {
            "churn" => Ok(Self::Churn { percent: percent(query)? }),
            "cancel" => Ok(Self::Cancel { count: count(query)? }),
            "remove" => Ok(Self::Remove { count: count(query)? }),
            "add" => Ok(Self::Add { count: count(query)? }),
            _ => Err(ControlError::Unknown),
        }
    }
}

fn percent(query: &str) -> Result<f64, ControlError> {
    let Some(text) = value(query, "percent") else { return Ok(1.0) };
    text.parse().ok().filter(|percent| (0.0..=100.0).contains(percent)).ok_or(ControlError::Percent)
}

fn count(query: &str) -> Result<u32, ControlError> {
    let Some(text) = value(query, "count") else { return Ok(1) };
    text.parse().ok().filter(|count| (1..=limits::DEMO_RECORDS_MAX).contains(count)).ok_or(ControlError::Count)
}

/// The first value of a query parameter.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_read_or_refused() {
        for (name, query, expected) in [
            ("churn", "percent=2.5", Ok(Change::Churn { percent: 2.5 })),
            ("churn", "", Ok(Change::Churn { percent: 1.0 })),
            ("cancel", "count=5", Ok(Change::Cancel { count: 5 })),
            ("remove", "a=b&count=5", Ok(Change::Remove { count: 5 })),
            ("add", "", Ok(Change::Add { count: 1 })),
            ("churn", "percent=NaN", Err(ControlError::Percent)),
            ("churn", "percent=101", Err(ControlError::Percent)),
            ("churn", "percent=", Err(ControlError::Percent)),
            ("cancel", "count=0", Err(ControlError::Count)),
            ("cancel", "count=-1", Err(ControlError::Count)),
            ("add", "count=4294967295", Err(ControlError::Count)),
            ("explode", "", Err(ControlError::Unknown)),
        ] {
            assert_eq!(Change::parse(name, query), expected, "{name}?{query}");
        }
    }
}
