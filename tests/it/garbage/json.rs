//! Pages: our grammar beside serde's.

use bytes::Bytes;
use proptest::prelude::*;
use rollcall::decode::Document;
use rollcall::limits::JSON_DEPTH_MAX;
use rollcall::mapping::Expression;
use serde::de::IgnoredAny;

use super::mutation::{mutated, mutations};

const PAGE: &str = r#"{"data": [
  {"id": "reg_000001", "email": "Ada@example.org", "name": {"first": "Ada", "last": "L\u00e9\ud83d\ude00"}, "n": -1.5e-3},
  {"id": 2, "tags": ["a", "b\\\"\n", "", null, true, false], "ö": "日本語\t", "deep": [[[[{"x": [0, 12345678901234567890]}]]]]}
], "meta": {"page": 1, "pages": 10, "total": 1000, "next": null}}"#;

/// Does serde take it for JSON? Unlike ours it passes no byte order mark, refuses lone surrogates, and bounds depth
/// and numbers in its own way.
fn theirs(bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    serde_json::from_str::<IgnoredAny>(text.trim_start_matches('\u{feff}')).map(drop).map_err(|error| error.to_string())
}

fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let ours = Document::parse(Bytes::copy_from_slice(bytes));
    let shown = String::from_utf8_lossy(bytes);
    match (&ours, theirs(bytes)) {
        (Ok(_), Err(why)) => {
            let is_surrogate = why.contains("surrogate") || why.contains("end of hex escape");
            prop_assert!(
                is_surrogate || why.contains("number out of range"),
                "we take what serde does not, {why}: {shown}"
            );
        }
        (Err(error), Ok(())) => prop_assert!(error.to_string().contains("deep"), "we refuse, {error}: {shown}"),
        _ => {}
    }
    match ours {
        // What was checked once is trusted from then on: everything that reads it must hold out.
        Ok(page) => {
            for expression in [".data[]", ".meta.total", ".data[0].name.last", "[.. | strings] | length"] {
                let expression = Expression::compile(expression).unwrap();
                let _ = (expression.records(&page), expression.scalar(&page), expression.truthy(&page));
            }
        }
        Err(error) => {
            let said = error.to_string() + error.hint();
            prop_assert!(!said.contains("Ada") && said.len() < 1000, "{said}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        check(&bytes)?;
    }

    #[test]
    fn tokens_in_any_order(tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 0..40)) {
        check(tokens.concat().as_bytes())?;
    }

    #[test]
    fn mutated_pages(mutations in mutations()) {
        check(&mutated(PAGE.as_bytes(), &mutations))?;
    }
}

const TOKENS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\"a\"",
    "\"\\u00e9\"",
    "\"\\ud83d\"",
    "\"\\ud83d\\ude00\"",
    "\"\\x\"",
    "0",
    "-0",
    "01",
    "1.",
    ".5",
    "1e5",
    "1E+",
    "-",
    "9999999999999999999999",
    "1e999",
    "true",
    "false",
    "null",
    "nul",
    "NaN",
    " ",
    "\n",
    "\t",
    "\u{0}",
    "\u{feff}",
    "\u{2028}",
    "//",
    "é",
];

#[test]
fn nesting_ends_at_its_limit() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let each = open.matches(['[', '{']).count();
        for depth in [1, JSON_DEPTH_MAX / each, JSON_DEPTH_MAX / each + 1, 1_000_000] {
            let page = open.repeat(depth) + "1" + &close.repeat(depth);
            let parsed = Document::parse(Bytes::from(page));
            assert_eq!(parsed.is_ok(), depth * each <= JSON_DEPTH_MAX, "{depth} of {open}");
            assert!(Document::parse(Bytes::from(open.repeat(depth))).is_err());
        }
    }
}
