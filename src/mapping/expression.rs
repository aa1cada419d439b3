//! A jq expression: compiled once, evaluated on pages and records.
//!
//! Everything that evaluates an expression goes through [`Expression::outputs`] or one of the shortcuts
//! beside it, which answer plain paths (`.next`, `.results[]`) from the text of the page without parsing it.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::Term;
use jaq_core::path::{Opt, Part};
use jaq_json::Val;

use super::allowed;
use super::error::{EvaluationError, ExpressionError, Failure, SelectError, TopLevelKeys, abbreviated};
use super::native::Native;
use super::program::Program;
use super::syntax::{self, SyntaxError};
use crate::decode::{self, Document, Found, RawRecord};
use crate::limits::{JQ_OUTPUT_BYTES_MAX, JQ_OUTPUTS_MAX, PAGE_BYTES_MAX};

/// A compiled jq expression. Cloning shares it; two are equal when their sources are.
#[derive(Clone)]
pub struct Expression(Arc<Compiled>);

struct Compiled {
    source: Box<str>,
    shape: Shape,
    native: Option<Native>,
    program: Program,
}

/// Whether an expression is plain enough to be answered without jaq.
enum Shape {
    /// `.a.b`
    Path(Vec<Box<str>>),
    /// `.a.b[]`
    Items(Vec<Box<str>>),
    Other,
}

impl Expression {
    /// Parses, checks against the allow-list of the mapping and compiles.
    pub fn compile(source: &str) -> Result<Self, ExpressionError> {
        let term = syntax::parse(source).map_err(|error| syntax_error(source, &error))?;
        allowed::check(&term).map_err(|refusal| refused(source, refusal))?;
        let shape = Shape::of(&term);
        let native = Native::of(&term);
        let program = Program::compile(source, term)
            .map_err(|undefined| ExpressionError::new(format!("undefined: `{}`", undefined.0), source, undefined.0))?;
        Ok(Self(Arc::new(Compiled { source: source.into(), shape, native, program })))
    }

    /// As the operator wrote it.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The form that answers on records without jaq, where there is one.
    pub(super) fn native(&self) -> Option<&Native> {
        self.0.native.as_ref()
    }

    /// The records of a page: every output, as JSON text.
    ///
    /// A path that ends in `[]` promises a list: anything else there, an object too, is an error. jq would
    /// give an object's values, and the message of a `200` that carries an error would become records.
    pub fn records(&self, page: &Document) -> Result<Vec<RawRecord>, SelectError> {
        match &self.0.shape {
            Shape::Items(path) => self.items(page, path),
            Shape::Path(_) | Shape::Other => self.serialised(page),
        }
    }

    /// The first output as text: numbers as JSON spells them. `None` for null, false, an empty text or no
    /// output; a list or an object is an error.
    pub fn scalar(&self, page: &Document) -> Result<Option<String>, EvaluationError> {
        self.text(self.first(page)?)
    }

    /// The same on a raw record.
    pub fn scalar_of_record(&self, record: &RawRecord) -> Result<Option<String>, EvaluationError> {
        record.document().map_or(Ok(None), |document| self.scalar(&document))
    }

    fn text(&self, value: Option<Val>) -> Result<Option<String>, EvaluationError> {
        let text = match value {
            None | Some(Val::Null | Val::Bool(false)) => return Ok(None),
            Some(Val::Bool(true)) => "true".to_owned(),
            Some(Val::Num(number)) => match decode::spell_number(&number) {
                Some(spelled) => spelled,
                None => return Ok(None),
            },
            Some(Val::TStr(text) | Val::BStr(text)) => String::from_utf8_lossy(&text).into_owned(),
            Some(Val::Arr(_) | Val::Obj(_)) => return Err(self.failed(Failure::NotScalar)),
        };
        Ok((!text.is_empty()).then_some(text))
    }

    /// Is the first output true in jq's sense: neither false nor null? No output is false.
    pub fn truthy(&self, page: &Document) -> Result<bool, EvaluationError> {
        Ok(self.first(page)?.is_some_and(|value| is_true(&value)))
    }

    /// Hands over each output on a value whose JSON text has `input_bytes`, until told to stop. Bounded by
    /// [`JQ_OUTPUTS_MAX`] and [`JQ_OUTPUT_BYTES_MAX`].
    pub(super) fn outputs(
        &self,
        input: &Val,
        input_bytes: usize,
        mut each: impl FnMut(Val) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let mut count = 0;
        let mut bytes = 0;
        self.0.program.run(input, input_bytes, |output| {
            count += 1;
            bytes += text_bytes(&output);
            if count > JQ_OUTPUTS_MAX {
                return Err(Failure::TooManyOutputs);
            }
            if bytes > JQ_OUTPUT_BYTES_MAX {
                return Err(Failure::TooManyBytes);
            }
            Ok(each(output))
        })
    }

    fn items(&self, page: &Document, path: &[Box<str>]) -> Result<Vec<RawRecord>, SelectError> {
        page.items(path).map_err(|found| self.no_list(page, path, found))
    }

    fn no_list(&self, page: &Document, path: &[Box<str>], found: Found<'_>) -> SelectError {
        let place = if path.is_empty() { "the body".to_owned() } else { format!("`.{}`", path.join(".")) };
        let what = match found {
            Found::Null => "null or absent",
            Found::NoKeys => "inside something that is no object",
            Found::Value(value) => match value.first() {
                Some(b'{') => "an object",
                Some(b'"') => "a text",
                Some(b't' | b'f') => "a boolean",
                _ => "a number",
            },
        };
        SelectError::NoList {
            expression: abbreviated(self.source()),
            what: format!("{place} is {what}"),
            keys: TopLevelKeys::of(decode::keys(page.bytes())),
        }
    }

    /// All records in one buffer, which they share.
    fn serialised(&self, page: &Document) -> Result<Vec<RawRecord>, SelectError> {
        let bytes_max = usize::try_from(PAGE_BYTES_MAX).unwrap_or(usize::MAX);
        let mut texts = Vec::new();
        let mut ends = Vec::new();
        let outcome = self.0.program.run(page.value(), page.bytes().len(), |output| {
            decode::write_json(&output, &mut texts).map_err(|decode::NotJson| Failure::NotJson)?;
            ends.push(texts.len());
            Ok(if texts.len() > bytes_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        outcome.map_err(|failure| self.failed(failure))?;
        if texts.len() > bytes_max {
            return Err(SelectError::TooLarge { expression: abbreviated(self.source()) });
        }
        let texts = Bytes::from(texts);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        Ok(starts.zip(&ends).map(|(start, end)| RawRecord::new(texts.slice(start..*end))).collect())
    }

    /// The first output on a page.
    fn first(&self, page: &Document) -> Result<Option<Val>, EvaluationError> {
        if let Shape::Path(path) = &self.0.shape {
            match page.look_up(path) {
                Found::Null => return Ok(None),
                // The text is part of a checked page, so there is a value.
                Found::Value(text) => return Ok(decode::parse_value(&page.bytes().slice_ref(text))),
                Found::NoKeys => {}
            }
        }
        let mut first = None;
        let outcome = self.outputs(page.value(), page.bytes().len(), |output| {
            first = Some(output);
            ControlFlow::Break(())
        });
        outcome.map_err(|failure| self.failed(failure))?;
        Ok(first)
    }

    fn failed(&self, failure: Failure) -> EvaluationError {
        EvaluationError::new(self.source(), failure)
    }
}

/// jq's truth.
pub(super) fn is_true(value: &Val) -> bool {
    !matches!(value, Val::Null | Val::Bool(false))
}

/// How much text a value holds, in bytes; small values count as one.
fn text_bytes(value: &Val) -> usize {
    match value {
        Val::Null | Val::Bool(_) | Val::Num(_) => 1,
        Val::TStr(text) | Val::BStr(text) => 1 + text.len(),
        Val::Arr(items) => 1 + items.iter().map(text_bytes).sum::<usize>(),
        Val::Obj(entries) => 1 + entries.iter().map(|(key, item)| text_bytes(key) + text_bytes(item)).sum::<usize>(),
    }
}

impl Shape {
    fn of(term: &Term<&str>) -> Self {
        let parts = match term {
            Term::Id => return Self::Path(Vec::new()),
            Term::Path(head, path) if matches!(**head, Term::Id) => &path.0,
            _ => return Self::Other,
        };
        let (parts, items) = match parts.split_last() {
            Some(((Part::Range(None, None), Opt::Essential), before)) => (before, true),
            _ => (&**parts, false),
        };
        let keys: Option<Vec<Box<str>>> = parts.iter().map(plain_key).collect();
        match keys {
            Some(keys) if items => Self::Items(keys),
            Some(keys) => Self::Path(keys),
            None => Self::Other,
        }
    }
}

fn plain_key((part, opt): &(Part<Term<&str>>, Opt)) -> Option<Box<str>> {
    match (part, opt) {
        (Part::Index(Term::Str(None, parts)), Opt::Essential) => match &parts[..] {
            [StrPart::Str(key)] => Some((*key).into()),
            _ => None,
        },
        _ => None,
    }
}

fn syntax_error(source: &str, error: &SyntaxError<'_>) -> ExpressionError {
    match error {
        SyntaxError::TooLong { max, what } => {
            ExpressionError::new(format!("too long: at most {max} {what}"), source, "")
        }
        SyntaxError::Unexpected { expected, found } => {
            let first_word = source.split_whitespace().next().unwrap_or("");
            if let ("import" | "include" | "module", Some(why)) = (first_word, allowed::reason(first_word)) {
                return ExpressionError::new(format!("not allowed: `{first_word}` ({why})"), source, first_word);
            }
            let hint = hint(found).map_or(String::new(), |hint| format!(" ({hint})"));
            ExpressionError::new(format!("syntax error: expected {expected}{hint}"), source, first_token(found))
        }
    }
}

/// The word or sign that `rest` begins with.
fn first_token(rest: &str) -> &str {
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '@');
    let word = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
    let sign = rest.chars().next().map_or(0, char::len_utf8);
    &rest[..word.max(sign)]
}

/// What people used to other languages trip over.
fn hint(found: &str) -> Option<&'static str> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| found.starts_with(prefix));
    match () {
        () if starts(&["'", "‘", "“", "”"]) => Some("texts stand in double quotes: \"…\""),
        () if starts(&["&"]) => Some("jq says `and`"),
        () if starts(&["||"]) => Some("jq says `or`"),
        () if starts(&["!"]) => Some("jq says `… | not`"),
        () if starts(&["==="]) => Some("jq says `==`"),
        () => None,
    }
}

fn refused(source: &str, refusal: allowed::Refusal<'_>) -> ExpressionError {
    let name = refusal.name;
    let why = match (refusal.why, allowed::arities(name)) {
        (Some(why), _) => format!(" ({why})"),
        (None, Some(arities)) => {
            let arities: Vec<_> = arities.iter().map(usize::to_string).collect();
            format!(" (the number of its arguments: {})", arities.join(" or "))
        }
        (None, None) => format!(" (for a key write `.{name}`, for a text \"{name}\")"),
    };
    let place = source.find(name).filter(|_| name == "*=").map_or(name, |at| &source[at..at + name.len()]);
    ExpressionError::new(format!("undefined function or not allowed: `{name}`{why}"), source, place)
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.source())
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Expression {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(text: &str) -> Document {
        Document::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    fn records(source: &str, text: &str) -> Result<Vec<String>, String> {
        let found = Expression::compile(source).unwrap().records(&page(text)).map_err(|error| error.to_string())?;
        Ok(found.iter().map(|record| String::from_utf8_lossy(record.bytes()).into_owned()).collect())
    }

    #[test]
    fn finds_records() {
        for (source, text, expected) in [
            (".results[]", r#"{"next":null,"results":[{"a": 1}, {"b":"]"}]}"#, &[r#"{"a": 1}"#, r#"{"b":"]"}"#][..]),
            (".[]", " [1, null ,[]] ", &["1", "null", "[]"]),
            (".", r#" {"a":1} "#, &[r#"{"a":1}"#]),
            (".a.b[]", r#"{"a":{"b":[]}}"#, &[]),
            (r#".["a b"][]"#, r#"{"a b":[1]}"#, &["1"]),
            (".a[]?", r#"{"a":null}"#, &[]),
            (
                ".o[] as $o | $o.p[] | . + {id: $o.id}",
                r#"{"o":[{"id":7,"p":[{"x":1.50},{"x":"é\n"}]}]}"#,
                &[r#"{"x":1.50,"id":7}"#, "{\"x\":\"é\\u000a\",\"id\":7}"],
            ),
        ] {
            assert_eq!(records(source, text), Ok(expected.iter().map(|s| (*s).to_owned()).collect()), "{source}");
        }
    }

    #[test]
    fn a_plain_path_shares_the_page() {
        let page = page(r#"{"a":[{"b":1}]}"#);
        let found = Expression::compile(".a[]").unwrap().records(&page).unwrap();
        assert_eq!(found[0].bytes().as_ptr(), page.bytes()[6..].as_ptr());
    }

    #[test]
    fn no_list_is_an_error_that_shows_keys_but_no_values() {
        for (source, text, expected) in [
            (
                ".results[]",
                r#"{"detail":"ada@x.org","status":403,"ada@x.org":1,"Ada Lovelace":2,"user_17":3}"#,
                "`.results[]` found no list: `.results` is null or absent (the body's top-level keys: detail, status)",
            ),
            (
                ".a.b[]",
                r#"{"a":"Ada"}"#,
                "`.a.b[]` found no list: `.a.b` is inside something that is no object (the body's top-level keys: a)",
            ),
            (
                ".[]",
                r#"{"error":"x"}"#,
                "`.[]` found no list: the body is an object (the body's top-level keys: error)",
            ),
            (".[]", "\"Ada\"", "`.[]` found no list: the body is a text"),
            (".[]", "7", "`.[]` found no list: the body is a number"),
            (".a[]", r#"{"a":true}"#, "`.a[]` found no list: `.a` is a boolean (the body's top-level keys: a)"),
            (
                ".a[] | .b",
                r#"{"a":null}"#,
                "the expression `.a[] | .b` failed: `[]` was applied to a value that is neither list nor object",
            ),
            (
                ".a[] | .b",
                r#"{"a":["Ada"]}"#,
                "the expression `.a[] | .b` failed: a key or index was asked of a value that has none",
            ),
            (
                "{(.a[]): 1} | {([.]): 1}",
                r#"{"a":["x"]}"#,
                "the expression `{(.a[]): 1} | {([.]): 1}` failed: an object with a key that is no text",
            ),
        ] {
            assert_eq!(records(source, text), Err(expected.to_owned()), "{source}");
        }
    }

    #[test]
    fn scalars_and_truth() {
        let page = page(
            r#"{"next":"abc","n":12345678901234567890,"f":1.50,"z":null,"e":"","no":false,"yes":true,"l":[1],"o":{}}"#,
        );
        for (source, text, truth) in [
            (".next", Ok(Some("abc")), true),
            (".n", Ok(Some("12345678901234567890")), true),
            (".f", Ok(Some("1.50")), true),
            (".f * 2", Ok(Some("3")), true),
            (".z", Ok(None), false),
            (".absent.deeper", Ok(None), false),
            (".e", Ok(None), true),
            (".no", Ok(None), false),
            (".yes", Ok(Some("true")), true),
            ("empty", Ok(None), false),
            (".next, error", Ok(Some("abc")), true),
            (".next // \"x\"", Ok(Some("abc")), true),
            (".l", Err(()), true),
            (".o | .", Err(()), true),
        ] {
            let expression = Expression::compile(source).unwrap();
            assert_eq!(
                expression.scalar(&page).map_err(drop),
                text.map(|text: Option<&str>| text.map(str::to_owned)),
                "{source}"
            );
            assert_eq!(expression.truthy(&page), Ok(truth), "{source}");
        }
        let failing = Expression::compile(".next.deeper").unwrap();
        assert!(failing.scalar(&page).is_err() && failing.truthy(&page).is_err());
        let error = failing.scalar(&page).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the expression `.next.deeper` failed: a key or index was asked of a value that has none"
        );
        assert!(error.hint().contains("curl"));
    }

    #[test]
    fn outputs_are_bounded() {
        let run = |source: &str, input: &str| {
            let value = RawRecord::new(input.to_owned().into()).value().unwrap();
            Expression::compile(source).unwrap().outputs(&value, input.len(), |_| ControlFlow::Continue(()))
        };
        let items = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(run(".[]", &items(JQ_OUTPUTS_MAX)), Ok(()));
        assert_eq!(run(".[]", &items(JQ_OUTPUTS_MAX + 1)), Err(Failure::TooManyOutputs));
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
        assert_eq!(run(".", &text(JQ_OUTPUT_BYTES_MAX - 1)), Ok(()));
        assert_eq!(run(".", &text(JQ_OUTPUT_BYTES_MAX)), Err(Failure::TooManyBytes));
    }

    #[test]
    fn a_page_of_any_size_can_be_gone_through() {
        let text = format!("[{}]", vec![r#"{"id":1,"tags":["a","b"]}"#; 40_000].join(","));
        let found = Expression::compile(".[] | . + {n: (.tags | length)}").unwrap().records(&page(&text)).unwrap();
        assert_eq!(found.len(), 40_000);
    }

    #[test]
    fn is_shared_between_threads_and_prints_its_source() {
        fn assert<T: Send + Sync + Clone>() {}
        assert::<Expression>();
        let expression = Expression::compile(".a").unwrap();
        assert_eq!(format!("{expression:?}"), "Expression(.a)");
        assert_eq!(expression, Expression::compile(".a").unwrap());
        assert_ne!(expression, Expression::compile(".b").unwrap());
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let key = "[a-c\\\\\"é]{1,2}";
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i32>().prop_map(Into::into),
            "[a-z\\[\\]{},:\"\\\\ \u{e9}\n]{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 40, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::btree_map(key, inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// The shortcuts answer what jaq answers, wherever they answer.
        #[test]
        fn shortcuts_agree_with_jaq(value in json(), path in proptest::collection::vec("[a-c]", 0..3), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let page = page(&text);
            let path = if path.is_empty() { ".".to_owned() } else { format!(".{}", path.join(".")) };
            let plain = Expression::compile(&path).unwrap();
            let in_jaq = Expression::compile(&format!("{path} | .")).unwrap();
            prop_assert_eq!(plain.scalar(&page).map_err(drop), in_jaq.scalar(&page).map_err(drop));
            prop_assert_eq!(plain.truthy(&page).map_err(drop), in_jaq.truthy(&page).map_err(drop));

            let items = Expression::compile(&format!("{path}[]")).unwrap().records(&page);
            let list = format!("{path} | if type == \"array\" then .[] else error end");
            let in_jaq = Expression::compile(&list).unwrap().records(&page);
            prop_assert_eq!(items.is_ok(), in_jaq.is_ok());
            let parsed = |records: Vec<RawRecord>| -> Vec<serde_json::Value> {
                records.iter().map(|record| serde_json::from_slice(record.bytes()).unwrap()).collect()
            };
            if let (Ok(items), Ok(in_jaq)) = (items, in_jaq) {
                prop_assert_eq!(parsed(items), parsed(in_jaq));
            }
        }

        #[test]
        fn any_source_compiles_or_is_refused(source in r#"[.\[\](){}|,:;"\\$a-d0-9+*/=<>?@# 'é-]{0,24}"#) {
            if let Err(error) = Expression::compile(&source) {
                prop_assert!(error.to_string().contains('^'));
            }
        }
    }
}
