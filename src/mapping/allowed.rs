//! Which jq an expression may use: an allow-list, checked on jaq's syntax tree.
//!
//! What is not listed is refused, so a filter that a newer jaq adds is refused until somebody has looked at
//! it. Left out on purpose: the clock and the local time zone (digests and dry runs must not depend on when
//! and where), the environment, further inputs, logging, ending the process, loops without a natural end
//! (`range`, `repeat`, `while`, `until`, `recurse(f)`, `combinations`), definitions and imports, and paths
//! that are made from values (`getpath`, `setpath`, `delpaths`), whose length a record would decide.

use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops::Math;

use super::syntax::{called, try_children};

/// Filters by name, with the numbers of arguments they may have.
const FILTERS: &[(&str, &[usize])] = &[
    // Values and choices
    ("empty", &[0]),
    ("error", &[0, 1]),
    ("false", &[0]),
    ("infinite", &[0]),
    ("isempty", &[1]),
    ("nan", &[0]),
    ("not", &[0]),
    ("null", &[0]),
    ("recurse", &[0]),
    ("select", &[1]),
    ("true", &[0]),
    // Types
    ("arrays", &[0]),
    ("booleans", &[0]),
    ("isarray", &[0]),
    ("isboolean", &[0]),
    ("isfinite", &[0]),
    ("isinfinite", &[0]),
    ("isnan", &[0]),
    ("isnormal", &[0]),
    ("isnumber", &[0]),
    ("isobject", &[0]),
    ("isstring", &[0]),
    ("iterables", &[0]),
    ("nulls", &[0]),
    ("numbers", &[0]),
    ("objects", &[0]),
    ("scalars", &[0]),
    ("strings", &[0]),
    ("toboolean", &[0]),
    ("tonumber", &[0]),
    ("tostring", &[0]),
    ("type", &[0]),
    ("values", &[0]),
    // Arrays and objects
    ("add", &[0, 1]),
    ("all", &[0, 1, 2]),
    ("any", &[0, 1, 2]),
    ("bsearch", &[1]),
    ("contains", &[1]),
    ("del", &[1]),
    ("first", &[0, 1]),
    ("flatten", &[0, 1]),
    ("from_entries", &[0]),
    ("group_by", &[1]),
    ("has", &[1]),
    ("in", &[1]),
    ("index", &[1]),
    ("indices", &[1]),
    ("inside", &[1]),
    ("join", &[1]),
    ("keys", &[0]),
    ("keys_unsorted", &[0]),
    ("last", &[0, 1]),
    ("length", &[0]),
    ("limit", &[2]),
    ("map", &[1]),
    ("map_values", &[1]),
    ("max", &[0]),
    ("max_by", &[1]),
    ("min", &[0]),
    ("min_by", &[1]),
    ("nth", &[1, 2]),
    ("path", &[1]),
    ("paths", &[0, 1]),
    ("pick", &[1]),
    ("reverse", &[0]),
    ("rindex", &[1]),
    ("skip", &[2]),
    ("sort", &[0]),
    ("sort_by", &[1]),
    ("to_entries", &[0]),
    ("transpose", &[0]),
    ("unique", &[0]),
    ("unique_by", &[1]),
    ("walk", &[1]),
    ("with_entries", &[1]),
    // Texts
    ("ascii_downcase", &[0]),
    ("ascii_upcase", &[0]),
    ("capture", &[1, 2]),
    ("endswith", &[1]),
    ("explode", &[0]),
    ("fromjson", &[0]),
    ("gsub", &[2, 3]),
    ("implode", &[0]),
    ("ltrim", &[0]),
    ("ltrimstr", &[1]),
    ("match", &[1, 2]),
    ("rtrim", &[0]),
    ("rtrimstr", &[1]),
    ("scan", &[1, 2]),
    ("split", &[1, 2]),
    ("splits", &[1, 2]),
    ("startswith", &[1]),
    ("sub", &[2, 3]),
    ("test", &[1, 2]),
    ("tojson", &[0]),
    ("trim", &[0]),
    ("utf8bytelength", &[0]),
    ("@base64", &[0]),
    ("@base64d", &[0]),
    ("@html", &[0]),
    ("@htmld", &[0]),
    ("@json", &[0]),
    ("@sh", &[0]),
    ("@text", &[0]),
    ("@uri", &[0]),
    ("@urid", &[0]),
    // Numbers
    ("abs", &[0]),
    ("ceil", &[0]),
    ("fabs", &[0]),
    ("floor", &[0]),
    ("pow", &[2]),
    ("round", &[0]),
    ("sqrt", &[0]),
    ("trunc", &[0]),
    // Times, in UTC only
    ("fromdate", &[0]),
    ("fromdateiso8601", &[0]),
    ("gmtime", &[0]),
    ("mktime", &[0]),
    ("strftime", &[1]),
    ("strptime", &[1]),
    ("todate", &[0]),
    ("todateiso8601", &[0]),
];

/// Why those that people do reach for are not listed.
const REASONS: &[(&[&str], &str)] = &[
    (
        &["now", "localtime", "strflocaltime", "input_line_number"],
        "an expression must give the same answer at any time and place",
    ),
    (&["env", "$ENV", "$__prog_args", "get_search_list"], "an expression cannot read the environment"),
    (&["input", "inputs", "input_filename"], "an expression sees one page or record"),
    (&["debug", "stderr", "halt", "halt_error"], "an expression only gives values"),
    (&["range", "repeat", "while", "until", "recurse", "combinations"], "it may run without end"),
    (&["getpath", "setpath", "delpaths", "leaf_paths"], "write the path itself, as in `.a.b`"),
    (&["import", "include", "module"], "an expression cannot load other files"),
];

const NO_DEFINITIONS: &str = "an expression cannot define filters";
const TIMES_UPDATE: &str = "*=";
const NO_TIMES_UPDATE: &str = "write `|= . *` instead";
const NO_NAMESPACE: &str = "an expression cannot load other files";

/// Something an expression may not use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal<'s> {
    /// As it stands in the source; `*=` is not a part of it.
    pub name: &'s str,
    pub why: Option<&'static str>,
}

/// Why a name is refused, where there is a particular reason.
pub(super) fn reason(name: &str) -> Option<&'static str> {
    REASONS.iter().find(|(names, _)| names.contains(&name)).map(|(_, why)| *why)
}

/// Refuses the first thing in `term` that is not allowed.
pub(super) fn check<'s>(term: &Term<&'s str>) -> Result<(), Refusal<'s>> {
    if let Some((name, arity)) = called(term) {
        check_name(name, arity)?;
    }
    match term {
        Term::Var(name) => {
            if let Some(why) = reason(name) {
                return Err(Refusal { name, why: Some(why) });
            }
        }
        Term::Def(definitions, _) => {
            let name = definitions.first().map_or("", |definition| definition.name);
            return Err(Refusal { name, why: Some(NO_DEFINITIONS) });
        }
        Term::BinOp(_, BinaryOp::UpdateMath(Math::Mul), _) => {
            return Err(Refusal { name: TIMES_UPDATE, why: Some(NO_TIMES_UPDATE) });
        }
        _ => {}
    }
    try_children(term, &mut check)
}

fn check_name(name: &str, arity: usize) -> Result<(), Refusal<'_>> {
    if FILTERS.iter().any(|(allowed, arities)| *allowed == name && arities.contains(&arity)) {
        return Ok(());
    }
    let why = if name.contains("::") { Some(NO_NAMESPACE) } else { reason(name) };
    Err(Refusal { name, why })
}

/// Is there a filter of this name, with other numbers of arguments? Then those.
pub(super) fn arities(name: &str) -> Option<&'static [usize]> {
    FILTERS.iter().find(|(allowed, _)| *allowed == name).map(|(_, arities)| *arities)
}

/// Every allowed filter, for tests that each exists in jaq.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, usize)> {
    FILTERS.iter().flat_map(|(name, arities)| arities.iter().map(|arity| (*name, *arity)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Expression;

    #[test]
    fn every_listed_filter_exists() {
        for (name, arity) in all() {
            let args = vec!["."; arity].join("; ");
            let source = if arity == 0 { name.to_owned() } else { format!("{name}({args})") };
            assert!(Expression::compile(&source).is_ok(), "{source}");
        }
    }

    #[test]
    fn ordinary_expressions_are_allowed() {
        for source in [
            ".",
            ".a.b[0]?.c // \"none\"",
            r#".["first-name"]"#,
            ".tags | map(select(.kind == \"vip\") | .name)",
            "[.a, .b[]?] | join(\", \")",
            "if .x then .y elif .z then 1 else empty end",
            "reduce .[] as $x (0; . + $x)",
            "foreach .[] as [$a, {b: $c}] (0; . + $a; [$c])",
            "label $out | .[] | if . then ., break $out else . end",
            "try error(\"x\") catch .",
            r#""\(.first) \(.last)" | @uri"#,
            r#"@base64 "a\(.b)""#,
            ".orders[] as $o | $o.positions[] | . + {order: ($o | del(.positions))}",
            ".name | split(\" \") | {first: .[0], last: .[-1]}",
            ".created | strptime(\"%d.%m.%Y\") | mktime | todate",
            ".a |= ascii_downcase | .b = 1 | .c += 1 | .d //= 2",
            ".. | strings",
            "-.a * 2 % 3 - 1 / 4",
            "{a, $__loc__: 1}",
            "# a comment\n.a",
        ] {
            let compiled = Expression::compile(source);
            let wanted = !source.contains("$__loc__");
            assert_eq!(compiled.is_ok(), wanted, "{source}: {compiled:?}");
        }
    }

    #[test]
    fn the_rest_is_refused_with_the_place() {
        for (source, expected) in [
            (
                ".a | now",
                "undefined function or not allowed: `now` (an expression must give the same answer at any time and place)
  .a | now
       ^^^",
            ),
            (
                ".a |\n  [.b, env.HOME]",
                "undefined function or not allowed: `env` (an expression cannot read the environment)
    [.b, env.HOME]
         ^^^",
            ),
            (
                "$ENV.HOME",
                "undefined function or not allowed: `$ENV` (an expression cannot read the environment)
  $ENV.HOME
  ^^^^",
            ),
            (
                "[range(1e12)]",
                "undefined function or not allowed: `range` (it may run without end)
  [range(1e12)]
   ^^^^^",
            ),
            (
                "recurse(.a)",
                "undefined function or not allowed: `recurse` (it may run without end)
  recurse(.a)
  ^^^^^^^",
            ),
            (
                "def f: f; f",
                "undefined function or not allowed: `f` (an expression cannot define filters)
  def f: f; f
      ^",
            ),
            (
                r#"import "a" as a; ."#,
                "not allowed: `import` (an expression cannot load other files)
  import \"a\" as a; .
  ^^^^^^",
            ),
            (
                ".x *= 2",
                "undefined function or not allowed: `*=` (write `|= . *` instead)
  .x *= 2
     ^^",
            ),
            (
                "email",
                "undefined function or not allowed: `email` (for a key write `.email`, for a text \"email\")
  email
  ^^^^^",
            ),
            (
                "join",
                "undefined function or not allowed: `join` (the number of its arguments: 1)
  join
  ^^^^",
            ),
            (
                ".müller",
                "syntax error: expected token
  .müller
    ^^^^^",
            ),
            (
                ".a == 'x'",
                "syntax error: expected token (texts stand in double quotes: \"…\")
  .a == 'x'
        ^",
            ),
            (
                ".a && .b",
                "syntax error: expected token (jq says `and`)
  .a && .b
     ^",
            ),
            (
                ".a || .b",
                "syntax error: expected an operator or the end (jq says `or`)
  .a || .b
     ^",
            ),
            (
                ".a |",
                "syntax error: expected a value or filter
  .a |
      ^",
            ),
            (
                "",
                "syntax error: expected a value or filter
  
  ^",
            ),
            (
                "[.a, .b",
                "syntax error: expected closing bracket
  [.a, .b
         ^",
            ),
            (
                "$x",
                "undefined: `$x`
  $x
  ^^",
            ),
        ] {
            let error = Expression::compile(source).unwrap_err().to_string();
            assert_eq!(error, expected, "{source}");
        }
    }

    #[test]
    fn what_could_tell_time_or_place_or_reach_out_is_refused() {
        for source in [
            "localtime",
            "strflocaltime(\"%H\")",
            "input",
            "inputs",
            "debug",
            "debug(.)",
            "stderr",
            "halt",
            "halt_error",
            "input_filename",
            "repeat(.)",
            "while(true; .)",
            "until(false; .)",
            "combinations",
            "combinations(3)",
            "getpath([\"a\"])",
            "setpath([\"a\"]; 1)",
            "delpaths([[\"a\"]])",
            "$__prog_args",
            "include \"a\"; .",
            "a::b",
            "error_empty",
            "matches(\"a\"; \"\")",
            "path_value(.)",
            "rollcall_expression",
            "[.[] | {a: [now]}]",
            "\"\\(now)\"",
            "@now",
            ". as {(now): $x} | $x",
            "if now then 1 end",
            ".[now]",
            ".[1:now]",
            "try now",
            "reduce now as $x (0; .)",
            "-now",
            "limit(1; repeat(.))",
            "first(inputs)",
        ] {
            assert!(Expression::compile(source).is_err(), "{source}");
        }
    }
}
