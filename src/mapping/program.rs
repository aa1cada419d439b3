//! A compiled jq term and its evaluation in jaq: the only place where jaq runs.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use jaq_core::box_iter::box_once;
use jaq_core::load::parse::{Def, Term};
use jaq_core::load::{Arena, File, Loader};
use jaq_core::native::{Fun, v};
use jaq_core::{Bind, Compiler, Ctx, Error, Exn, Filter, Native, Vars};
use jaq_json::Val;

use super::error::Failure;
use super::meter::{self, Allowance, Context, Metered};
use super::syntax::{called, children, place_in};
use crate::decode::RawRecord;
use crate::limits::{JQ_STEPS_MAX, JQ_STEPS_PER_INPUT_BYTE};

/// The name under which an expression is compiled; not allowed in one.
const MAIN: &str = "rollcall_expression";

/// jaq's own filters that no program of ours may hold, even through a definition of jaq's: the clock, the
/// environment, the local zone, the log, the end of the process. `fromjson` is replaced by ours.
const LEFT_OUT: [&str; 8] =
    ["debug_empty", "env", "fromjson", "halt", "localtime", "now", "stderr_empty", "strflocaltime"];

pub(super) struct Program(Filter<Metered>);

/// A name that jaq does not know, as it stands in the source.
#[derive(Debug)]
pub(super) struct Undefined<'s>(pub &'s str);

impl Program {
    /// Compiles a term that was parsed from `source` and is allowed.
    pub(super) fn compile<'s>(source: &'s str, mut term: Term<&'s str>) -> Result<Self, Undefined<'s>> {
        let built_in = &*BUILT_IN;
        let mut definitions = built_in.needed_by(&term);
        let kinds = |name: &str, arity| built_in.kinds(name, arity);
        meter::meter(&mut term, &kinds);
        definitions.push(Def { name: MAIN, args: Vec::new(), body: term });
        let arena = Arena::default();
        let Ok(modules) = Loader::new(definitions).load(&arena, File { code: MAIN, path: () }) else {
            return Err(Undefined(source));
        };
        Compiler::default().with_funs(filters()).compile(modules).map(Self).map_err(|errors| {
            let names = errors.iter().flat_map(|(_, errors)| errors);
            let place = names.filter_map(|(name, _)| place_in(source, name)).next();
            Undefined(place.map_or(source, |place| &source[place]))
        })
    }

    /// Evaluates on `input`, whose JSON text has `input_bytes`, and hands over each output until told to stop.
    pub(super) fn run(
        &self,
        input: &Val,
        input_bytes: usize,
        mut each: impl FnMut(Val) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        let input_bytes = u64::try_from(input_bytes).unwrap_or(u64::MAX);
        let allowance =
            Allowance::new(JQ_STEPS_MAX.saturating_add(input_bytes.saturating_mul(JQ_STEPS_PER_INPUT_BYTE)));
        let context = Context { lut: &self.0.lut, allowance: &allowance };
        // jaq's arithmetic and time filters hold a few assertions; one record must not end the process.
        // Nothing outlives a panic but `each`, whose owner gives up on the failure.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let context = Ctx::<Metered>::new(context, Vars::new([]));
            for output in self.0.id.run((context, input.clone())) {
                let output =
                    output.map_err(|end| end.get_err().map_or(Failure::TooMuchWork, |error| classify(&error)))?;
                if each(output)?.is_break() {
                    break;
                }
            }
            Ok(())
        }));
        outcome.unwrap_or(Err(Failure::Internal))
    }
}

/// The kind of a jq error. Its text holds values, so it goes no further than here.
fn classify(error: &Error<Val>) -> Failure {
    let text = error.to_string();
    // A text that jaq made is shown as JSON, one that it composes is not.
    let text = text.trim_matches('"');
    let starts = |prefix| text.starts_with(prefix);
    match () {
        () if starts("cannot index") => Failure::CannotIndex,
        () if starts("cannot use") && text.ends_with("as iterable (array or object)") => Failure::CannotIterate,
        () if starts("cannot use") => Failure::WrongKind,
        () if starts("cannot calculate") => Failure::CannotCalculate,
        () if starts("cannot parse") => Failure::CannotParse,
        () => Failure::Error,
    }
}

static BUILT_IN: LazyLock<BuiltIn> = LazyLock::new(BuiltIn::new);

type Signature = (&'static str, usize);

/// jaq's filters: those defined in jq, already metered, and the kinds of arguments of the others.
struct BuiltIn {
    definitions: Vec<Def<&'static str>>,
    /// For each of `definitions`, the names it uses.
    uses: Vec<HashSet<Signature>>,
    native: Natives,
}

/// For each name the arguments of its variants.
type Natives = HashMap<&'static str, Vec<Box<[Bind]>>>;

impl BuiltIn {
    fn new() -> Self {
        let mut native = Natives::new();
        for (name, binds, _) in filters() {
            native.entry(name).or_default().push(binds);
        }
        let mut definitions: Vec<_> = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).collect();
        let uses = definitions.iter().map(|definition| names(&definition.body)).collect();
        for definition in &mut definitions {
            meter::meter(&mut definition.body, &|name, arity| kinds_in(&native, name, arity));
        }
        Self { definitions, uses, native }
    }

    fn kinds(&self, name: &str, arity: usize) -> Option<&[Bind]> {
        kinds_in(&self.native, name, arity)
    }

    /// The definitions that `term` uses, directly or not, in jaq's order (each uses only earlier ones). A
    /// program that held all of them would be a hundred times as big.
    fn needed_by(&self, term: &Term<&str>) -> Vec<Def<&'static str>> {
        let mut wanted: HashSet<(&str, usize)> = names(term);
        let mut needed = vec![false; self.definitions.len()];
        for n in (0..self.definitions.len()).rev() {
            let definition = &self.definitions[n];
            if wanted.contains(&(definition.name, definition.args.len())) {
                needed[n] = true;
                wanted.extend(self.uses[n].iter().copied());
            }
        }
        self.definitions
            .iter()
            .zip(needed)
            .filter(|(_, needed)| *needed)
            .map(|(definition, _)| definition.clone())
            .collect()
    }
}

fn kinds_in<'a>(native: &'a Natives, name: &str, arity: usize) -> Option<&'a [Bind]> {
    native.get(name)?.iter().find(|binds| binds.len() == arity).map(|binds| &**binds)
}

/// The filters that are not defined in jq: jaq's without [`LEFT_OUT`], and ours.
fn filters() -> impl Iterator<Item = Fun<Metered>> {
    let jaq = jaq_core::funs::<Metered>().chain(jaq_std::funs()).chain(jaq_json::funs());
    jaq.filter(|(name, ..)| !LEFT_OUT.contains(name)).chain(meter::filters()).chain([from_json()])
}

/// `fromjson` by our own grammar: jaq's recurses without a limit and takes minutes for a long number.
fn from_json() -> Fun<Metered> {
    ("fromjson", v(0), Native::new(|cv| box_once(read_json(cv.1).map_err(Exn::from))))
}

fn read_json(text: Val) -> Result<Val, Error<Val>> {
    match text {
        Val::TStr(text) => RawRecord::new(*text).value().ok_or_else(|| Error::str("cannot parse as JSON")),
        other => Err(Error::typ(other, "string")),
    }
}

/// The names that a term calls, with their numbers of arguments.
fn names<'s>(term: &Term<&'s str>) -> HashSet<(&'s str, usize)> {
    let mut names = HashSet::new();
    collect_names(term, &mut names);
    names
}

fn collect_names<'s>(term: &Term<&'s str>, names: &mut HashSet<(&'s str, usize)>) {
    names.extend(called(term));
    children(term, &mut |child| collect_names(child, names));
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::syntax;
    use super::*;
    use crate::limits::{JQ_NESTING_MAX, JQ_TOKENS_MAX};

    fn outputs(source: &str, input: &str) -> Result<Vec<String>, Failure> {
        let term = syntax::parse(source).unwrap_or_else(|error| panic!("{source:.80}: {error:?}"));
        let program = Program::compile(source, term).unwrap_or_else(|error| panic!("{source:.80}: {error:?}"));
        let value = RawRecord::new(input.to_owned().into()).value().unwrap();
        let mut outputs = Vec::new();
        program.run(&value, input.len(), |output| {
            outputs.push(output.to_string());
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(outputs)
    }

    /// The metering must not change what an expression means: what jq's manual promises, through every kind
    /// of term that is rewritten.
    #[test]
    fn means_what_jq_means() {
        let input = r#"{"a":[1,2,3],"s":"x y","o":{"b":{"c":[true,null]}},"k":"s","n":null}"#;
        for (source, expected) in [
            (".a[]", &["1", "2", "3"][..]),
            (".a[1:]", &["[2,3]"]),
            (".a | .[-1:][0], .[0]", &["3", "1"]),
            (".[.k]", &["\"x y\""]),
            (".o[.k]?, .o.b[\"c\"][]", &["null", "true", "null"]),
            ("[.a[] | . * 2, . + 1]", &["[2,2,4,3,6,4]"]),
            ("{s, t: .a[], (.k): 1}", &["{\"s\":1,\"t\":1}", "{\"s\":1,\"t\":2}", "{\"s\":1,\"t\":3}"]),
            ("\"\\(.a[0])-\\(.s)\"", &["\"1-x y\""]),
            ("@base64 \"\\(.s)!\"", &["\"eCB5!\""]),
            (".a |= map(. + 1) | .a", &["[2,3,4]"]),
            ("(.a[] | select(. > 1)) |= . * 10 | .a", &["[1,20,30]"]),
            ("del(.a[0], .o) | .a", &["[2,3]"]),
            (".o.b.c[0] = 5 | .o", &["{\"b\":{\"c\":[5,null]}}"]),
            (".n //= 4 | .n", &["4"]),
            ("[paths]| length", &["12"]),
            ("[..] | length", &["13"]),
            ("path(.o.b[])", &["[\"o\",\"b\",\"c\"]"]),
            ("(.. | select(. == 2)) |= 9 | .a", &["[1,9,3]"]),
            ("walk(if type == \"number\" then -. else . end) | .a", &["[-1,-2,-3]"]),
            ("to_entries | map(.key) | join(\",\")", &["\"a,s,o,k,n\""]),
            ("with_entries(select(.key == \"k\"))", &["{\"k\":\"s\"}"]),
            ("reduce .a[] as $x (0; . + $x)", &["6"]),
            ("[foreach .a[] as $x (0; . + $x; [$x, .])]", &["[[1,1],[2,3],[3,6]]"]),
            ("label $f | .a[] | ., if . == 2 then break $f else empty end", &["1", "2"]),
            ("[limit(2; .a[])], first(.a[]), [skip(1; .a[])], nth(1; .a[])", &["[1,2]", "1", "[2,3]", "2"]),
            (
                ".a | sort_by(-.), max, (group_by(. > 1) | length), any(. > 2), all(. > 2), add",
                &["[3,2,1]", "3", "2", "true", "false", "6"],
            ),
            (". as {a: [$x, $y], $s} | [$x, $y, $s]", &["[1,2,\"x y\"]"]),
            ("try (.s | tonumber) catch \"no\"", &["\"no\""]),
            ("(.s | .[0]?) // \"alt\"", &["\"alt\""]),
            ("if .a[] > 1 then 1 else 0 end", &["0", "1", "1"]),
            (
                ".s | split(\" \"), test(\"X\"; \"i\"), gsub(\"[xy]\"; \"<\\(\"z\")>\"), [scan(\"\\\\w\")]",
                &["[\"x\",\"y\"]", "true", "\"<z> <z>\"", "[\"x\",\"y\"]"],
            ),
            ("\"{\\\"a\\\":[1]}\" | fromjson", &["{\"a\":[1]}"]),
            ("\"12.50\" | tonumber", &["12.50"]),
            ("[[1,[2]],3] | flatten, flatten(1), transpose?", &["[1,2,3]", "[1,[2],3]"]),
            (
                "\"2026-03-14T15:09:26Z\" | fromdate, (fromdate | todate, strftime(\"%Y\"))",
                &["1773500966", "\"2026-03-14T15:09:26Z\"", "\"2026\""],
            ),
            ("pick(.o.b.c)", &["{\"o\":{\"b\":{\"c\":[true,null]}}}"]),
            ("[1,2,1] - [1] | ., unique, (. | inside([2,3]))", &["[2]", "[2]", "true"]),
            ("(.a, .s) | length", &["3", "3"]),
            ("(null * 1)?, 2 * 3, ({a:1} * {b:2})", &["6", "{\"a\":1,\"b\":2}"]),
        ] {
            assert_eq!(
                outputs(source, input).as_deref(),
                Ok(expected).map(|e| e.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{source}"
            );
        }
    }

    #[test]
    fn failures_name_their_kind_and_no_value() {
        for (source, failure) in [
            (".s.x", Failure::CannotIndex),
            (".s[]", Failure::CannotIterate),
            (".a | ascii_downcase", Failure::WrongKind),
            (".s - 1", Failure::CannotCalculate),
            (".s | fromjson", Failure::CannotParse),
            ("error(\"x\")", Failure::Error),
            (".s * 3", Failure::Error),
        ] {
            assert_eq!(outputs(source, r#"{"s":"Ada","a":[1]}"#), Err(failure), "{source}");
        }
    }

    /// Each would take hours, all memory or the stack without bounds. The generous limit allows for a slow
    /// machine; what matters is that each ends.
    #[test]
    fn hostile_expressions_end_quickly() {
        let many = format!("[{}]", vec!["[1,2,3]"; 3_000].join(","));
        let doubled = |step: &str, times| format!(".[0] | {}", vec![step; times].join(" | "));
        let cross = (0..12).map(|n| format!(".[] as $v{n}")).collect::<Vec<_>>().join(" | ") + " | 1";
        for source in [
            cross,
            "[.[] as $a | .[] as $b | .[] as $c | [$a, $b, $c]]".to_owned(),
            doubled("(., .)", 40),
            doubled("[., .]", 60) + " | tojson",
            doubled("[., .]", 60) + " | . == 1",
            doubled("[., .]", 60) + " | [..]",
            doubled("{a: ., b: .}", 60) + " | tostring",
            doubled(". + .", 60),
            "\"xxxxxxxxxxxxxxxx\" | ".to_owned() + &vec![". + ."; 60].join(" | "),
            "\"\\\"\" | ".to_owned() + &vec!["@json"; 60].join(" | "),
            "\"x\" * 1000000000".to_owned(),
            "99999999999999999999 | ".to_owned() + &vec![". * ."; 60].join(" | "),
            "reduce .[] as $x (null; [.])".to_owned(),
            "reduce .[] as $x (null; {a: .})".to_owned(),
            "reduce .[] as $x ({}; .a = .)".to_owned(),
            "reduce .[] as $x ([1]; . + .)".to_owned(),
            "reduce .[] as $x (\"xxxxxxxx\"; . + .)".to_owned(),
            "reduce .[] as $x ([1]; .[length:] = .)".to_owned(),
            "try ([.[] as $a | .[] as $b | .[] as $c | 1]) catch 1".to_owned(),
            "[.[] | try ([.[] as $a | .[] as $b | .[] as $c | 1] | error) catch 1] | . as $x | [$x[] as $a | $x[] as $b | $x[] as $c | 1]".to_owned(),
            "((.[] as $a | .[] as $b | .[] as $c | empty) // 1)".to_owned(),
            "[.. as $a | .. as $b | .. as $c | $a]".to_owned(),
            "path(.. as $a | .. as $b | .. as $c | .)".to_owned(),
            ". as $r | del(.[] | select([$r | .. as $a | .. as $b | .. as $c | 1]))".to_owned(),
            "any(.[] as $a | .[] as $b | .[] as $c | false; .)".to_owned(),
            "add(.[] as $a | .[] as $b | .[] as $c | 1)".to_owned(),
            "map(.) ".to_owned() + &"| map(map_values(., .))".repeat(40),
            "[limit(1000000000000; .[] as $a | .[] as $b | .[] as $c | 1)]".to_owned(),
            "tojson | ".to_owned() + &vec!["[explode, explode] | add | implode"; 24].join(" | "),
        ] {
            let start = Instant::now();
            let outcome = outputs(&source, &many);
            let took = start.elapsed();
            assert!(took < Duration::from_secs(60), "{took:?}: {source:.80}");
            assert!(matches!(outcome, Err(Failure::TooMuchWork | Failure::Error)), "{source:.80}: {:?}", outcome.map(|o| o.len()));
        }
    }

    /// Deep sources reach their end on a thread's usual stack: parsed, compiled and run, or refused.
    #[test]
    fn deep_expressions_do_not_exhaust_the_stack() {
        for (start, repeated, end) in [
            ("", "(", ""),
            ("", "[", ""),
            ("", "\"\\(", ""),
            ("", "-", "1"),
            ("", ".|", "."),
            ("", "try ", "."),
            ("", "if . then ", "."),
            ("", ". as $x|", "."),
            ("", "label $x|", "."),
            ("", "reduce ", "."),
            (".", "?", ""),
            (".", "[]", ""),
            (".", "+.", ""),
            (".", "//.", ""),
            (".", " as $x|.", ""),
            (".", ",.", ""),
        ] {
            for times in [90, JQ_NESTING_MAX - 2, JQ_TOKENS_MAX / 2 - 1, JQ_TOKENS_MAX - 1, 16_000] {
                let source = format!("{start}{}{end}", repeated.repeat(times));
                let Ok(term) = syntax::parse(&source) else { continue };
                if let Ok(program) = Program::compile(&source, term) {
                    let _ = program.run(&Val::Null, 4, |_| Ok(ControlFlow::Continue(())));
                }
            }
        }
        let deep = format!("\"{}\"", "[".repeat(100_000));
        assert_eq!(outputs("tonumber", &deep), Err(Failure::CannotParse));
        let long = "1".repeat(1_000_000);
        assert!(outputs("[., (tojson | tonumber)] | map(. * .)", &long).is_ok());
    }
}
