//! What an answer means: by the source's own rules first, then by its status alone.
//!
//! Invariant: no I/O, so that bodies can be looked at off the async threads. Nothing of a body leaves this module.

use reqwest::header::HeaderMap;

use super::client::Answer;
use crate::config::{ErrorRule, SourceSpec, Verdict};
use crate::decode::{Document, Format};

/// An answer that was held against the rules.
pub(super) struct Judged {
    pub(super) answer: Answer,
    /// The body as a page, where it had to be understood for this, so that it is not understood twice.
    pub(super) document: Option<Document>,
    /// The place of the rule that it meets, from 0.
    pub(super) rule: Option<usize>,
}

/// May what is in the body decide? Only then is the body of an answer that is no success read at all.
pub(super) fn need_body(rules: &[ErrorRule], status: u16, headers: &HeaderMap) -> bool {
    // A rule that is met without the body is the last that counts.
    let first = rules.iter().find(|rule| fits_head(rule, status, headers));
    first.is_some_and(reads_body)
}

/// Finds the first rule that an answer meets.
pub(super) fn judge(spec: &SourceSpec, answer: Answer) -> Judged {
    let mut document = None;
    let rule = spec.errors.iter().position(|rule| {
        fits_head(rule, answer.status, &answer.headers)
            && rule.contains.as_ref().is_none_or(|text| holds(&answer.body, text.as_bytes()))
            && rule.when.as_ref().is_none_or(|when| {
                // What is no JSON, and what the expression fails on, is not what the rule is about.
                let body = document.get_or_insert_with(|| Document::parse(answer.body.clone()).ok());
                body.as_ref().is_some_and(|body| when.truthy(body).unwrap_or(false))
            })
    });
    let document = document.flatten().filter(|_| spec.format == Format::Json);
    Judged { answer, document, rule }
}

const fn reads_body(rule: &ErrorRule) -> bool {
    rule.when.is_some() || rule.contains.is_some()
}

fn fits_head(rule: &ErrorRule, status: u16, headers: &HeaderMap) -> bool {
    let header = rule.header.as_ref().is_none_or(|wanted| {
        let holds_text = |value: &[u8]| wanted.contains.as_ref().is_none_or(|text| holds(value, text.as_bytes()));
        headers.get_all(&wanted.name).iter().any(|value| holds_text(value.as_bytes()))
    });
    header && (rule.statuses.is_empty() || rule.statuses.iter().any(|range| range.contains(&status)))
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len().max(1)).any(|part| part == text)
}

/// What a status that is no success means where no rule says otherwise.
pub(super) const fn usual(status: u16) -> Verdict {
    match status {
        401 => Verdict::RefreshToken,
        429 => Verdict::RateLimited,
        408 | 425 | 500..=599 => Verdict::Retry,
        _ => Verdict::Fail,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::config::HeaderRule;
    use crate::mapping::Expression;

    fn rule() -> ErrorRule {
        ErrorRule { statuses: Vec::new(), header: None, when: None, contains: None, then: Verdict::Fail, hint: None }
    }

    fn header(contains: Option<&str>) -> ErrorRule {
        let contains = contains.map(str::to_owned);
        ErrorRule { header: Some(HeaderRule { name: "X-Error".into(), contains }), ..rule() }
    }

    fn when(source: &str) -> ErrorRule {
        ErrorRule { when: Some(Expression::compile(source).unwrap()), ..rule() }
    }

    fn contains(text: &str) -> ErrorRule {
        ErrorRule { contains: Some(text.into()), ..rule() }
    }

    fn meets(
        rules: Vec<ErrorRule>,
        status: u16,
        headers: &[(&'static str, &'static str)],
        body: &str,
    ) -> Option<usize> {
        let mut spec = crate::source::tests::spec("http://a.example/", crate::config::PaginationSpec::None);
        spec.errors = rules;
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        judge(&spec, Answer { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }).rule
    }

    #[test]
    fn every_condition_must_hold() {
        let ranges = || ErrorRule { statuses: vec![200..=200, 400..=499], ..rule() };
        let both = |status| ErrorRule { statuses: vec![status..=status], ..when(".error.code == 7") };
        let body = r#"{"error":{"code":7},"text":"Daily quota"}"#;
        let error = &[("x-error", "a"), ("x-error", "over QUOTA")][..];
        for (rule, status, headers, body, met) in [
            (ranges(), 200, &[][..], "", true),
            (ranges(), 499, &[], "", true),
            (ranges(), 500, &[], "", false),
            (header(None), 200, error, "", true),
            (header(None), 200, &[], "", false),
            (header(Some("QUOTA")), 200, error, "", true),
            (header(Some("quota")), 200, error, "", false),
            (when(".error"), 200, &[], body, true),
            (when(".error.code"), 503, &[], body, true),
            (when(".error"), 200, &[], r#"{"error":null}"#, false),
            (when(".error"), 200, &[], "[1]", false),
            (when(".error"), 200, &[], "<html>", false),
            (when(".error"), 200, &[], "", false),
            (contains("Daily quota"), 200, &[], body, true),
            (contains("daily quota"), 200, &[], body, false),
            (contains("a"), 200, &[], "", false),
            (both(200), 200, &[], body, true),
            (both(200), 400, &[], body, false),
            (both(400), 400, &[], "{}", false),
        ] {
            let shown = format!("{rule:?} on {status} {headers:?} {body}");
            assert_eq!(meets(vec![rule], status, headers, body).is_some(), met, "{shown}");
        }
    }

    #[test]
    fn the_first_rule_wins() {
        let rules = || vec![when(".error.code == 1"), when(".error"), contains("error")];
        for (body, met) in [
            (r#"{"error":{"code":1}}"#, Some(0)),
            (r#"{"error":{"code":2}}"#, Some(1)),
            ("an error", Some(2)),
            ("{}", None),
        ] {
            assert_eq!(meets(rules(), 200, &[], body), met, "{body}");
        }
    }

    #[test]
    fn a_body_is_read_only_where_it_decides() {
        let none = HeaderMap::new();
        let status = |status, rule| ErrorRule { statuses: vec![status..=status], ..rule };
        for (rules, expected) in [
            (vec![], false),
            (vec![status(404, rule())], false),
            (vec![status(404, when("."))], true),
            (vec![status(403, when("."))], false),
            (vec![status(404, rule()), contains("x")], false),
            (vec![status(403, rule()), contains("x")], true),
            (vec![ErrorRule { contains: Some("x".into()), ..header(None) }], false),
        ] {
            assert_eq!(need_body(&rules, 404, &none), expected, "{rules:?}");
        }
    }

    #[test]
    fn what_statuses_mean_without_a_rule() {
        for (verdict, statuses) in [
            (Verdict::RefreshToken, &[401][..]),
            (Verdict::RateLimited, &[429]),
            (Verdict::Retry, &[408, 425, 500, 502, 503, 504, 599]),
            (Verdict::Fail, &[204, 300, 304, 400, 403, 404, 410, 422, 600]),
        ] {
            for status in statuses {
                assert_eq!(usual(*status), verdict, "{status}");
            }
        }
    }
}
