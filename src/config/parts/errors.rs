//! `[[source.<name>.error]]`: what answers mean that this source alone gives.

use std::ops::RangeInclusive;

use super::text::{check_token, optional_expression};
use crate::config::read::{Item, Section, shown};
use crate::config::{ErrorRule, HeaderRule, Verdict};
use crate::limits::{ERROR_HINT_BYTES_MAX, ERROR_RULES_MAX, ERROR_TEXT_BYTES_MAX};

const VERDICTS: [(&str, Verdict); 6] = [
    ("retry", Verdict::Retry),
    ("rate_limited", Verdict::RateLimited),
    ("quota_exhausted", Verdict::QuotaExhausted),
    ("refresh_token", Verdict::RefreshToken),
    ("ignore", Verdict::Ignore),
    ("fail", Verdict::Fail),
];

/// Statuses that an answer may have when it comes here.
const STATUSES: RangeInclusive<u16> = 200..=599;

pub(super) fn read_errors(rules: Vec<Section<'_>>) -> Option<Vec<ErrorRule>> {
    if let Some(extra) = rules.get(ERROR_RULES_MAX) {
        let problem = format!("more than {ERROR_RULES_MAX} rules");
        extra.findings().fault(extra.place(), problem, "let one rule cover several cases");
        return None;
    }
    // Collected before `?`, so that every faulty rule is reported.
    let rules: Vec<_> = rules.into_iter().map(read_rule).collect();
    rules.into_iter().collect()
}

fn read_rule(mut section: Section<'_>) -> Option<ErrorRule> {
    let statuses = match section.optional("status") {
        Some(item) => read_statuses(&item),
        None => Some(Vec::new()),
    };
    let header = section.section("header");
    let header = if header.is_table() { read_header(header).map(Some) } else { read_no_header(header) };
    let when = optional_expression(&mut section, "when");
    let contains = optional_text(&mut section, "contains", ERROR_TEXT_BYTES_MAX);
    let then = section.required_choice("then", &VERDICTS, r#"write what the answer means, e.g. then = "fail""#);
    let hint = optional_text(&mut section, "hint", ERROR_HINT_BYTES_MAX);
    let rule =
        ErrorRule { statuses: statuses?, header: header?, when: when?, contains: contains?, then: then?, hint: hint? };
    let successes = rule.statuses.is_empty() || rule.statuses.iter().any(|range| *range.start() < 300);
    if successes && rule.header.is_none() && rule.when.is_none() && rule.contains.is_none() {
        let problem = "every success would meet this rule, and no page would ever be read";
        let mend = "write a status of errors, e.g. \"4xx\", or what tells the error: header, when or contains";
        section.findings().fault(section.place(), problem, mend);
        return None;
    }
    section.finish();
    Some(rule)
}

fn optional_text(section: &mut Section<'_>, key: &'static str, bytes_max: usize) -> Option<Option<String>> {
    let Some(item) = section.optional(key) else { return Some(None) };
    let text = item.text()?;
    if text.len() > bytes_max {
        item.fault(format!("longer than {bytes_max} bytes"), "shorten it");
        return None;
    }
    Some(Some(text.to_owned()))
}

/// Asks for the keys all the same, so that they are known.
fn read_no_header(mut section: Section<'_>) -> Option<Option<HeaderRule>> {
    let _ = (section.optional("name"), section.optional("contains"));
    Some(None)
}

fn read_header(mut section: Section<'_>) -> Option<HeaderRule> {
    let name = section.required("name", r#"write e.g. name = "X-Error""#).and_then(|item| {
        let name = item.text()?;
        check_token(&item, name)?;
        Some(name.to_owned())
    });
    let contains = optional_text(&mut section, "contains", ERROR_TEXT_BYTES_MAX);
    section.finish();
    Some(HeaderRule { name: name?, contains: contains? })
}

fn read_statuses(item: &Item<'_>) -> Option<Vec<RangeInclusive<u16>>> {
    let items = item.list_or_one();
    if items.is_empty() {
        item.fault("an empty list", "write e.g. 403 or \"4xx\", or leave it out");
        return None;
    }
    let ranges: Vec<_> = items.iter().map(read_status).collect();
    ranges.into_iter().collect()
}

/// One status, or all that begin with a digit: `"4xx"`.
fn read_status(item: &Item<'_>) -> Option<RangeInclusive<u16>> {
    if !item.is_text() {
        return item.integer(STATUSES).map(|status| status..=status);
    }
    let text = item.text()?;
    let class = ["2xx", "3xx", "4xx", "5xx"].iter().zip((200..=500).step_by(100)).find(|(class, _)| **class == text);
    if class.is_none() {
        item.fault(
            format!("no status (got {})", shown(text)),
            "write a number, or \"2xx\", \"3xx\", \"4xx\" or \"5xx\"",
        );
    }
    class.map(|(_, first)| first..=first + 99)
}
