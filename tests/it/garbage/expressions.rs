//! jq expressions: what `check` makes of any text, and what an accepted one may cost.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use rollcall::decode::Document;
use rollcall::mapping::Expression;

use super::mutation::{mutated_text, mutations};

/// Generous: what a bounded evaluation takes is far below, what an unbounded one takes is far above.
const AT_MOST: Duration = Duration::from_secs(20);

static PAGE: LazyLock<Document> = LazyLock::new(|| {
    let page =
        r#"{"results": [{"a": 1, "b": "two, 2", "c": [3, {"d": null}]}, {}], "n": 1e300, "t": "2026-03-01T08:00:00Z"}"#;
    Document::parse(Bytes::from_static(page.as_bytes())).unwrap()
});

fn try_out(source: &str) -> Result<(), TestCaseError> {
    let began = Instant::now();
    match Expression::compile(source) {
        Ok(expression) => {
            let _ = (expression.records(&PAGE), expression.scalar(&PAGE), expression.truthy(&PAGE));
        }
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    prop_assert!(began.elapsed() < AT_MOST, "{:?} for {source}", began.elapsed());
    Ok(())
}

const TOKENS: &[&str] = &[
    ".",
    "..",
    ".a",
    ".results",
    ".results[]",
    ".[]",
    ".[0]",
    ".[1:]",
    ".[-1]",
    ".\"b\"",
    "?",
    "|",
    ",",
    ";",
    ":",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "//",
    "==",
    "!=",
    "<",
    "and",
    "or",
    "not",
    "+",
    "-",
    "*",
    "/",
    "%",
    "=",
    "|=",
    "+=",
    "//=",
    "as",
    "$x",
    "$__loc__",
    "$ENV",
    "if",
    "then",
    "elif",
    "else",
    "end",
    "try",
    "catch",
    "reduce",
    "foreach",
    "def",
    "f:",
    "f",
    "label",
    "break",
    "import",
    "@base64",
    "@base64d",
    "@json",
    "@text",
    "\"",
    "\"\\(",
    ")\"",
    "\"x\"",
    "0",
    "1",
    "1e999",
    "-1",
    "1000000000",
    "null",
    "true",
    "map",
    "select",
    "range",
    "range(0; 1e12)",
    "repeat(.)",
    "recurse",
    "env",
    "input",
    "now",
    "length",
    "keys",
    "add",
    "any",
    "all",
    "flatten",
    "split",
    "join",
    "test",
    "sub",
    "gsub",
    "\"(a*)*b\"",
    "ascii_downcase",
    "tonumber",
    "tostring",
    "fromjson",
    "tojson",
    "todate",
    "fromdate",
    "strptime",
    "mktime",
    "explode",
    "implode",
    "ltrimstr",
    "limit",
    "first",
    "until",
    "while",
    "paths",
    "getpath",
    "to_entries",
    "from_entries",
    "with_entries",
    "group_by",
    "min_by",
    "splits",
    "error",
    "halt",
    "debug",
    "infinite",
    "nan",
    "pow",
    "ceil",
    "tojson | fromjson",
    "#",
    "\n",
    "é",
    "\u{0}",
];

/// Of every kind that a configuration may have, for mutations that stay near what is accepted.
const SOUND: &[&str] = &[
    ".results[]",
    ".a // .b // \"none\"",
    "[.results[] | select(.a == 1 and (.b | test(\"^t\"))) | .c[]?]",
    "if .n > 5 then \"big\" elif .n then .t[0:10] else empty end",
    ".results | map({id: .a, tags: ([.b, .c[]?] | map(tostring) | join(\",\"))}) | .[0]",
    "reduce .results[] as $r (0; . + ($r.a // 0))",
    ".b | split(\", \") | .[0] | ascii_downcase | ltrimstr(\"x\")",
    "\"\\(.t | fromdate | todate) \\(.results | length)\"",
    "try (.b | tonumber) catch 0",
    "[.results[] | to_entries[] | select(.value != null) | .key] | unique | length",
];

proptest! {
    #[test]
    fn any_text(source in "\\PC{0,60}") {
        try_out(&source)?;
    }

    #[test]
    fn tokens_in_any_order(
        tokens in proptest::collection::vec(proptest::sample::select(TOKENS), 1..25),
        gap in proptest::sample::select(vec!["", " "]),
    ) {
        try_out(&tokens.join(gap))?;
    }

    #[test]
    fn mutated_expressions(source in proptest::sample::select(SOUND), mutations in mutations()) {
        try_out(&mutated_text(source, &mutations))?;
    }
}

#[test]
fn the_sound_ones_are_sound() {
    for source in SOUND {
        assert!(Expression::compile(source).is_ok(), "{source}: {}", Expression::compile(source).unwrap_err());
    }
}

#[test]
fn what_grows_ends_at_a_bound() {
    for source in [
        "[range(1e12)] | length",
        "def f: f; f",
        "[limit(1e9; repeat(1))]",
        "[.. , .. | .. , .. | .. , .. | ..] | length",
        "\"x\" * 1e9 | length",
        "[range(1000) | range(1000) | range(1000)] | length",
        "reduce range(1e6) as $i (\"x\"; . + .) | length",
        "reduce range(1e6) as $i ([]; [., .])",
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" | test(\"(a*)*(a*)*b\")",
        "[splits(\"\")] | length",
        "\"\\(\"\\(\"\\(\"\\(1)\")\")\")\"",
    ] {
        try_out(source).unwrap();
    }
    for (part, times) in [("(", 5_000), ("[", 5_000), (".a|", 5_000), ("-", 5_000), ("\"\\(", 5_000), (".a.", 9_000)] {
        assert!(Expression::compile(&part.repeat(times)).is_err(), "{times} times {part}");
        let closed = format!("{}1{}", part.repeat(200), ")".repeat(200));
        try_out(&closed).unwrap();
    }
}
