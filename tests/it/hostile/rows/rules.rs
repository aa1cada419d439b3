//! Answers that only the source's own rules know for what they are.

use crate::hostile::list::{good, refusal, respond};
use crate::hostile::row::{Paging, Row};

/// The limits of a row's source, and a rule.
macro_rules! rule {
    ($name:literal, $rule:literal) => {
        concat!("tries = 3\n[[source.", $name, ".error]]\n", $rule)
    };
}

pub fn rows() -> Vec<Row> {
    let error = br#"{"error":"p1@canary.example Zebulon","items":[]}"#;
    vec![
        Row::lasting("rule-fails", "status", "answered 200 (rule 1 of `error`)", respond(200, &[], error))
            .limits(rule!("rule-fails", "when = \".error\"\nthen = \"fail\"\nhint = \"ask Eve\""))
            .hint("ask Eve"),
        Row::transient("rule-retries", "status", "answered 200 (rule 1 of `error`)", respond(200, &[], error))
            .limits(rule!("rule-retries", "contains = '\"error\"'\nthen = \"retry\"")),
        Row::lasting(
            "rule-quota",
            "quota",
            "answered 403: the quota is used up (rule 1",
            refusal(403, &["x-quota-left: 0"]),
        )
        .limits(rule!(
            "rule-quota",
            "status = \"4xx\"\nheader = { name = \"X-Quota-Left\" }\nthen = \"quota_exhausted\""
        ))
        .hint("when the quota opens"),
        Row::lasting("rule-token", "auth", "answered 400 (rule 1 of `error`)", refusal(400, &[]))
            .limits(rule!("rule-token", "status = [400, 419]\nthen = \"refresh_token\"")),
        // What is ignored makes the list short, and nobody missing.
        Row::done("rule-ignores", |asked| match asked.page() {
            1 => good("rule-ignores", Paging::Page, asked),
            _ => refusal(404, &[]),
        })
        .limits(rule!("rule-ignores", "status = 404\nthen = \"ignore\""))
        .requests(2)
        .unchanged(2)
        .incomplete(),
    ]
}
