use std::ops::ControlFlow;

use bytes::Bytes;
use jaq_json::Val;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;
use crate::decode::{Found, KeyTree, RawRecord, parse_value, write_json};
use crate::limits::JQ_OUTPUTS_MAX;
use crate::mapping::Expression;

/// A value of the native form as jaq's, by way of its JSON text.
fn value(piece: &Piece<'_>) -> Val {
    let parse = |json: &[u8]| parse_value(&Bytes::copy_from_slice(json)).unwrap();
    match piece {
        Piece::Null => Val::Null,
        Piece::Bool(value) => Val::Bool(*value),
        Piece::Number(spelled) => parse(spelled.as_bytes()),
        Piece::Text(text) => Val::utf8_str(text.to_vec()),
        Piece::RawList(json) | Piece::RawObject(json) => parse(json),
        Piece::List(items) => items.iter().map(value).collect(),
        Piece::NotFinite | Piece::Opaque => panic!("only jaq makes these"),
    }
}

/// With the kind, for a text could look like a number.
fn written(value: &Val) -> String {
    let mut out = Vec::new();
    write_json(value, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The first outputs, as many as wanted; an error where the native form is unsure.
fn native(expression: &Expression, record: &str, wanted: usize) -> Result<Vec<String>, Unsure> {
    let native = expression.native().ok_or(Unsure)?;
    let tree = KeyTree::new(native.paths().iter().map(|path| &**path));
    let mut found = vec![Found::Null; tree.len()];
    tree.find(record.as_bytes(), &mut found);
    let places: Vec<usize> = native.paths().iter().map(|path| tree.place(path).unwrap()).collect();
    let input = Input { record: record.as_bytes(), found: &found, places: &places };
    if let Some(piece) = native.one(input) {
        return Ok(vec![written(&value(&piece))]);
    }
    let mut outputs = Vec::new();
    native.run(input, |piece| {
        outputs.push(written(&value(piece)));
        if outputs.len() == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(outputs)
}

fn jaq(expression: &Expression, record: &str, wanted: usize) -> Result<Vec<String>, String> {
    let value = RawRecord::new(record.to_owned().into()).value().unwrap();
    let mut outputs = Vec::new();
    let outcome = expression.outputs(&value, record.len(), |output| {
        outputs.push(written(&output));
        if outputs.len() == wanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    outcome.map(|()| outputs).map_err(|failure| failure.to_string())
}

fn compile(source: &str) -> Expression {
    Expression::compile(source).unwrap_or_else(|error| panic!("{error}"))
}

const RECORD: &str = r#"{"id":4711,"email":" Ada@X.org ","first":"Ada","last":"Lovelace","n":null,"yes":true,"no":false,
    "price":"99.50","amount":1.50,"zero":-0,"neg":-3,"status":"PAID","tags":["VIP","Press",null,3],"empty":[],
    "answers":[{"q":"diet","a":["vegan"]},{"q":"hotel","a":"no"},{"q":"diet","a":"none"}],"twice":1,"twice":2,
    "profile":{"name":"A. L.","x":{"y":"deep"}},"cut":"a\ud83d","esc":"Caf\u00e9\n","big":12345678901234567890,
    "full":"Ada King Lovelace"}"#;

/// Expressions that have a native form, each with what it gives on [`RECORD`]: `None` where jaq must be asked.
const ANSWERED: &[(&str, Option<&[&str]>)] = &[
    (".id", Some(&["4711"])),
    (".absent", Some(&["null"])),
    (".profile.x.y", Some(&["\"deep\""])),
    (".profile?.x?.y?", Some(&["\"deep\""])),
    (".[\"first\"]", Some(&["\"Ada\""])),
    (".id.x", None),
    (".id.x?", Some(&[])),
    (".id?.x", None),
    (".profile.name.x?", Some(&[])),
    (".n.x.y", Some(&["null"])),
    (".twice", Some(&["2"])),
    (".cut", Some(&["\"a\u{fffd}\""])),
    (".esc", Some(&["\"Café\\u000a\""])),
    (".zero", Some(&["0"])),
    (".amount", Some(&["1.50"])),
    (".big", Some(&["12345678901234567890"])),
    (".tags[]", Some(&["\"VIP\"", "\"Press\"", "null", "3"])),
    (".tags[0], .tags[-1], .tags[9], .tags[-9]", Some(&["\"VIP\"", "3", "null", "null"])),
    (".tags | first, last", Some(&["\"VIP\"", "3"])),
    (".n[]", None),
    (".n[]?", Some(&[])),
    (".profile[]?", None),
    (".first[0]", None),
    (".first[0]?", Some(&[])),
    ("(.id.x)?", None),
    ("try .id catch 1", Some(&["4711"])),
    (".nick // .first", Some(&["\"Ada\""])),
    (".no // .n", Some(&["null"])),
    ("(.no, .yes, .id) // 1", Some(&["true", "4711"])),
    ("empty // \"x\"", Some(&["\"x\""])),
    (".id == 4711, .id != 4711, .id < 5, .id >= -1", Some(&["true", "false", "false", "true"])),
    (".amount == 1.5", None),
    (".amount > 1", Some(&["true"])),
    (".zero == 0", Some(&["true"])),
    (".big > 1", None),
    (".status == \"PAID\"", Some(&["true"])),
    (".status > .first, .n < .no, .id < .status, .tags > .status", Some(&["true", "true", "true", "true"])),
    (".tags == .tags", None),
    (".yes and .n", Some(&["false"])),
    (".no or .first", Some(&["true"])),
    (".yes | not", Some(&["false"])),
    ("(.yes, .no) and (.yes, .n)", Some(&["true", "false", "false"])),
    ("if .yes then .first else .last end", Some(&["\"Ada\""])),
    ("if .no then 1 elif .n then 2 end | .id", Some(&["4711"])),
    ("select(.status == \"PAID\") | .id", Some(&["4711"])),
    ("select(.no).id", Some(&[])),
    (".answers[]? | select(.q == \"diet\").a", Some(&["[\"vegan\"]", "\"none\""])),
    ("first(.answers[] | select(.q == \"diet\").a)", Some(&["[\"vegan\"]"])),
    ("first(empty)", Some(&[])),
    (".answers | map(.q)", Some(&["[\"diet\",\"hotel\",\"diet\"]"])),
    (".answers | any(.q == \"hotel\"), all(.q == \"hotel\")", Some(&["true", "false"])),
    (".empty | any, all, length, join(\",\")", Some(&["false", "true", "0", "\"\""])),
    ("[.first, .tags[]?, .n]", Some(&["[\"Ada\",\"VIP\",\"Press\",null,3,null]"])),
    ("[]", Some(&["[]"])),
    ("\"\\(.first) \\(.last)\"", Some(&["\"Ada Lovelace\""])),
    ("\"\\(.first, .id)-\\(1, 2)\"", Some(&["\"Ada-1\"", "\"Ada-2\"", "\"4711-1\"", "\"4711-2\""])),
    ("\"\\(.tags)\"", None),
    ("\"a\\tb\"", Some(&["\"a\\u0009b\""])),
    (".first + \" \" + .last", Some(&["\"Ada Lovelace\""])),
    (".n + .first, 1 + 2, .id + .neg", Some(&["\"Ada\"", "3", "4708"])),
    (".first + .id", None),
    (".amount + 1", None),
    (".email | trim | ascii_downcase", Some(&["\"ada@x.org\""])),
    (".email | ltrim, rtrim", Some(&["\"Ada@X.org \"", "\" Ada@X.org\""])),
    (".status | ascii_upcase, ascii_downcase", Some(&["\"PAID\"", "\"paid\""])),
    (".id | ascii_downcase", None),
    (".status | startswith(\"PA\"), endswith(\"x\")", Some(&["true", "false"])),
    (".id | startswith(\"4\")", None),
    (".status | ltrimstr(\"PA\"), rtrimstr(\"ID\"), ltrimstr(\"x\")", Some(&["\"ID\"", "\"PA\"", "\"PAID\""])),
    (".full | split(\" \")", Some(&["[\"Ada\",\"King\",\"Lovelace\"]"])),
    (".full | split(\" \") | last", Some(&["\"Lovelace\""])),
    ("\"aé\" | split(\"\")", Some(&["[\"a\",\"é\"]"])),
    (".tags | join(\", \")", Some(&["\"VIP, Press, null, 3\""])),
    (".status | contains(\"AI\")", Some(&["true"])),
    (".full | split(\" \") | contains([\"King\"]), contains([\"x\"])", Some(&["true", "false"])),
    (".tags | contains([\"VIP\"])", None),
    (".price | tonumber", Some(&["99.50"])),
    ("(.price | tonumber) > 50", Some(&["true"])),
    (".first | tonumber", None),
    (".id | tostring", Some(&["\"4711\""])),
    ("(.n, .yes, .amount, .first) | tostring", Some(&["\"null\"", "\"true\"", "\"1.50\"", "\"Ada\""])),
    (".tags | length", Some(&["4"])),
    (".esc | length", Some(&["5"])),
    (".yes | length", None),
    (
        "(.n, .yes, .id, .first, .tags, .profile) | type",
        Some(&["\"null\"", "\"boolean\"", "\"number\"", "\"string\"", "\"array\"", "\"object\""]),
    ),
    (".tags[] | strings", Some(&["\"VIP\"", "\"Press\""])),
    (".tags[] | values | scalars | isnumber", Some(&["false", "false", "true"])),
    ("null, .nick, \"second\", error", None),
    ("true, false, -7, 007", Some(&["true", "false", "-7", "7"])),
];

#[test]
fn answers_as_jaq_does() {
    for (source, expected) in ANSWERED {
        let expression = compile(source);
        let ours = native(&expression, RECORD, usize::MAX).ok();
        let expected = expected.map(|outputs| outputs.iter().map(|output| (*output).to_owned()).collect::<Vec<_>>());
        assert_eq!(ours, expected, "{source}");
        if let Some(ours) = ours {
            assert_eq!(jaq(&expression, RECORD, usize::MAX), Ok(ours), "{source}");
        }
    }
}

/// Every quoted text of a configuration that is a jq expression on a page or record: those that begin with a dot.
fn expressions(config: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in config.lines() {
        let line = line.split(" # ").next().unwrap_or_default();
        let mut rest = if line.trim_start().starts_with(['#', '/']) { "" } else { line };
        while let Some(start) = rest.find(['"', '\'']) {
            let quote = &rest[start..=start];
            let Some((text, after)) = rest[start + 1..].split_once(quote) else { break };
            found.extend(text.starts_with('.').then(|| text.to_owned()));
            rest = after;
        }
    }
    found
}

/// So that the fast way cannot silently go away.
#[test]
fn the_demo_and_the_example_are_answered_without_jaq() {
    let demo = expressions(include_str!("../../demo/config.rs"));
    let example = expressions(include_str!("../../../config/rollcall.example.toml"));
    assert!(demo.len() >= 20 && demo.iter().any(|source| source.contains("==")), "{demo:?}");
    assert!(example.len() >= 40 && example.iter().any(|source| source.contains("==")), "{example:?}");
    for source in demo.iter().chain(&example) {
        assert!(compile(source).native().is_some(), "{source}");
    }
}

#[test]
fn has_no_form_for_what_it_does_not_know() {
    for source in [
        ".a | test(\"x\")",
        ".a * 2",
        ".. | strings",
        "{a: 1}",
        ".a as $x | $x",
        ".a[1:]",
        ".[.k]",
        "1.5",
        "error",
        "@base64 \"\\(.a)\"",
        "reduce .[] as $x (0; . + $x)",
        ".a |= 1",
        "keys",
        "limit(1; .a)",
    ] {
        assert!(compile(source).native().is_none(), "{source}");
    }
}

/// A reader that stops early must not be told of what comes later, as with jaq.
#[test]
fn evaluates_no_further_than_asked() {
    let expression = compile(".id, .id.x");
    assert_eq!(native(&expression, RECORD, 1), Ok(vec!["4711".to_owned()]));
    assert_eq!(native(&expression, RECORD, 2), Err(Unsure));
    assert_eq!(native(&compile("first(.id, .id.x)"), RECORD, 2), Ok(vec!["4711".to_owned()]));
    assert_eq!(native(&compile("[.id, .id.x]"), RECORD, 1), Err(Unsure));
}

/// Long before jaq would give up, it is asked.
#[test]
fn leaves_much_work_to_jaq() {
    let list = |count: usize| format!("{{\"l\":[{}]}}", vec!["1"; count].join(","));
    let text = |bytes: usize| format!("{{\"t\":\"{}\"}}", "x".repeat(bytes));
    assert!(native(&compile(".l[]"), &list(JQ_OUTPUTS_MAX), usize::MAX).is_ok());
    assert_eq!(native(&compile(".l[]"), &list(JQ_OUTPUTS_MAX + 1), usize::MAX), Err(Unsure));
    assert_eq!(native(&compile("[.l[] | .l] | length"), &list(1), usize::MAX), Err(Unsure), "an error");
    let squared = compile(".l | map(1) | any((.) == 2)");
    assert!(native(&squared, &list(100), usize::MAX).is_ok());
    for (source, record) in [
        ("[.l[] == .l[]] | length", list(400)),
        (".l | map(1) | join(\"xxxxxxxx\")", list(1_000)),
        (".t + .t | . + . | . + . | . + . | . + . | . + . | . + . | length", text(4_000)),
        ("\"\\(.t)\\(.t)\\(.t)\\(.t)\\(.t)\\(.t)\\(.t)\\(.t)\\(.t)\"", text(4_000)),
        (".t", text(crate::limits::JQ_OUTPUT_BYTES_MAX)),
    ] {
        assert_eq!(native(&compile(source), &record, usize::MAX), Err(Unsure), "{source}");
    }
}

/// Up to where the native form gives up, jaq is far from doing so.
#[test]
fn what_is_answered_is_within_jaqs_bounds() {
    let mut answered = [0; 8];
    for size in (0..14).map(|power| 1_usize << power) {
        let list = vec!["\"ab\""; size].join(",");
        let record = format!("{{\"l\":[{list}],\"t\":\"{}\",\"o\":[[[[{list}]]]]}}", "x".repeat(size * 8));
        for (n, source) in [
            "[.l[] == .l[]] | length",
            ".l | map(1) | join(\"xxxxxxxx\")",
            ".t + .t | . + . | . + . | . + . | . + . | length",
            "[.o, .o, .o] | map(type) | join(\",\")",
            ".o | type, isobject, (. == 1), (. > \"t\"), first, last, (map(map(map(length))) | length)",
            ".l | any(. == \"c\"), all(. == \"ab\"), map(select(. != \"a\") | ascii_upcase | ltrimstr(\"A\"))",
            "(.t | split(\"\") | map(. + \"y\") | join(\"\")) == .t",
            "[.l[] | . + .] | map(contains(\"b\")) | any, length",
        ]
        .into_iter()
        .enumerate()
        {
            let expression = compile(source);
            if let Ok(ours) = native(&expression, &record, usize::MAX) {
                assert_eq!(jaq(&expression, &record, usize::MAX), Ok(ours), "{source} of {size}");
                answered[n] += 1;
            }
        }
    }
    assert!(answered.iter().all(|times| (3..14).contains(times)), "each up to a size: {answered:?}");
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[abc]", Just("q".to_owned()), Just("é".to_owned())]
}

/// A step on the way into a value.
fn step() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => key().prop_map(|key| if key == "é" { "[\"é\"]".to_owned() } else { format!(".{key}") }),
        2 => Just("[]".to_owned()),
        1 => (-2..3_i32).prop_map(|n| format!("[{n}]")),
    ]
}

fn path() -> impl Strategy<Value = String> {
    let steps = proptest::collection::vec((step(), any::<bool>()), 1..4);
    steps.prop_map(|steps| {
        let steps: String =
            steps.iter().map(|(step, optional)| format!("{step}{}", if *optional { "?" } else { "" })).collect();
        if steps.starts_with('[') { format!(".{steps}") } else { steps }
    })
}

fn constant() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "null",
        "true",
        "false",
        "empty",
        "0",
        "1",
        "-1",
        "100",
        "007",
        "1.5",
        "1e2",
        "\"\"",
        "\"a\"",
        "\"b\"",
        "\" \"",
        "\"aé\"",
        "\"\\n\"",
        "\"\\u00e9\"",
        "[]",
        "[\"a\"]",
        "12345678901234567890",
        "error",
    ];
    one_of(WORDS)
}

fn filter() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "not",
        "length",
        "tostring",
        "tonumber",
        "type",
        "ascii_downcase",
        "ascii_upcase",
        "trim",
        "ltrim",
        "rtrim",
        "first",
        "last",
        "any",
        "all",
        "values",
        "strings",
        "numbers",
        "arrays",
        "objects",
        "scalars",
        "iterables",
        "nulls",
        "booleans",
        "isstring",
        "isnumber",
        "isarray",
        "isobject",
        "isboolean",
        ".",
        ".[]",
        ".[]?",
        ".[0]",
        "reverse",
        "add",
        "keys",
    ];
    one_of(WORDS)
}

/// Expressions of the subset, and some that are nearly so.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![5 => path(), 2 => constant(), 2 => filter()];
    leaf.prop_recursive(4, 24, 3, |inner| {
        const OPERATORS: &[&str] =
            &["|", "|", "|", ",", "//", "and", "or", "==", "!=", "<", "<=", ">", ">=", "+", "-"];
        const WITH_ONE: &[&str] = &["select", "map", "any", "all", "first", "startswith", "endswith", "ltrimstr", "rtrimstr", "split", "join",
            "contains", "map_values", "isempty"];
        prop_oneof![
            6 => (inner.clone(), one_of(OPERATORS), inner.clone())
                .prop_map(|(left, op, right)| format!("({left}) {op} ({right})")),
            4 => (one_of(WITH_ONE), inner.clone()).prop_map(|(name, arg)| format!("{name}({arg})")),
            2 => (inner.clone(), filter()).prop_map(|(left, filter)| format!("({left}) | {filter}")),
            2 => (inner.clone(), step(), any::<bool>())
                .prop_map(|(head, step, optional)| format!("({head}){step}{}", if optional { "?" } else { "" })),
            1 => inner.clone().prop_map(|inner| format!("[{inner}]")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("\"<\\({a})-\\({b})\\n\"")),
            1 => (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("if {a} then {b} else {c} end")),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("if {a} then {b} end")),
            1 => inner.clone().prop_map(|inner| format!("({inner})?")),
            1 => inner.prop_map(|inner| format!("try ({inner}) catch .")),
        ]
    })
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,2})",
        one_of(&[
            "-0",
            "0.0",
            "-0.0",
            "1.50",
            "1.5",
            "1e2",
            "100",
            "1E+2",
            "100.0",
            "1e999",
            "-1e999",
            "12345678901234567890",
            "999999999999999",
            "9007199254740993",
            "0.1e-400",
            "123456789012345678901234567890.5",
        ]),
        "\"[abAB ,é]{0,4}\"",
        one_of(&[
            r#""\u00e9a""#,
            r#""\ud83d\ude00""#,
            r#""\ud83d""#,
            r#""a\n\t ""#,
            r#""\u0000""#,
            r#""\"\\""#,
            r#""100""#,
            r#"" 1""#,
            r#""-0""#,
            r#""1.50""#,
            r#""1e2""#,
            "\"\u{a0}a\u{2003}\u{85}\u{200b}\"",
            r#""null""#,
            r#""[1]""#,
        ]),
    ];
    let entry_key = prop_oneof![6 => key(), 1 => Just("\\u0061".to_owned()), 1 => Just("A".to_owned())];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::vec((entry_key.clone(), inner), 0..5).prop_map(|entries| object(&entries)),
        ]
    })
}

fn object(entries: &[(String, String)]) -> String {
    let entries: Vec<_> = entries.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
    format!("{{{}}}", entries.join(","))
}

fn record() -> impl Strategy<Value = String> {
    let entry_key = prop_oneof![6 => key(), 1 => Just("\\u0061".to_owned())];
    proptest::collection::vec((entry_key, json()), 0..7).prop_map(|entries| object(&entries))
}

proptest! {
    #![proptest_config(Config { cases: 3_000, ..Config::default() })]

    /// Where the native form answers, jaq gives the same and does not fail.
    #[test]
    fn never_differs_from_jaq(source in expression(), records in proptest::collection::vec(record(), 4), wanted in 1..4_usize) {
        let Ok(expression) = Expression::compile(&source) else { return Ok(()) };
        for record in records {
            for wanted in [wanted, usize::MAX] {
                if let Ok(ours) = native(&expression, &record, wanted) {
                    prop_assert_eq!(jaq(&expression, &record, wanted), Ok(ours), "`{}` on {}", source, record);
                }
            }
        }
    }
}
