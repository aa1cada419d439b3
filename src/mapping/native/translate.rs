//! From jaq's syntax tree to the native form. What is not known here has none.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::ops::Math;
use jaq_core::path::{Opt, Part};

use super::filters::{Filter, WithText};
use super::node::{Constant, KeyPath, Node, Step};
use super::number::small_integer;
use super::piece::Kind;

/// Collects the paths while it translates.
#[derive(Default)]
pub(super) struct Translator {
    pub(super) paths: Vec<KeyPath>,
}

type Parts<'s> = [(Part<Term<&'s str>>, Opt)];

impl Translator {
    /// Recurses as deep as the term, which [`super::super::syntax`] bounds. `of_record` says that `.` is the
    /// record itself.
    pub(super) fn term(&mut self, term: &Term<&str>, of_record: bool) -> Option<Node> {
        Some(match term {
            Term::Id => Node::Input,
            Term::Num(spelled) => integer(spelled, false)?,
            Term::Neg(inner) => match &**inner {
                Term::Num(spelled) => integer(spelled, true)?,
                _ => return None,
            },
            Term::Str(None, parts) => self.string(parts, of_record)?,
            Term::Arr(None) => Node::Collect(Box::new(Node::Empty)),
            Term::Arr(Some(inner)) => Node::Collect(self.boxed(inner, of_record)?),
            // A failure makes jaq judge; without one, `try` and `?` change nothing.
            Term::TryCatch(body, _) => self.term(body, of_record)?,
            Term::IfThenElse(branches, otherwise) => self.choice(branches, otherwise.as_deref(), of_record)?,
            Term::BinOp(left, op, right) => self.operation(left, op, right, of_record)?,
            Term::Path(head, path) => self.path(head, &path.0, of_record)?,
            Term::Call(name, args) => self.call(name, args, of_record)?,
            _ => return None,
        })
    }

    fn boxed(&mut self, term: &Term<&str>, of_record: bool) -> Option<Box<Node>> {
        self.term(term, of_record).map(Box::new)
    }

    fn string(&mut self, parts: &[StrPart<&str, Term<&str>>], of_record: bool) -> Option<Node> {
        if let Some(text) = literal(parts) {
            return Some(Node::Constant(Constant::Text(text)));
        }
        let part = |part: &StrPart<&str, Term<&str>>| match part {
            StrPart::Str(text) => Some(Node::Constant(Constant::Text((*text).into()))),
            StrPart::Char(character) => Some(Node::Constant(Constant::Text(character.to_string().into()))),
            StrPart::Term(term) => self.term(term, of_record),
        };
        parts.iter().map(part).collect::<Option<_>>().map(Node::Interpolate)
    }

    fn choice(
        &mut self,
        branches: &[(Term<&str>, Term<&str>)],
        otherwise: Option<&Term<&str>>,
        of_record: bool,
    ) -> Option<Node> {
        let mut node = otherwise.map_or(Some(Node::Input), |term| self.term(term, of_record))?;
        for (condition, then) in branches.iter().rev() {
            node = Node::If(self.boxed(condition, of_record)?, self.boxed(then, of_record)?, Box::new(node));
        }
        Some(node)
    }

    fn operation(
        &mut self,
        left: &Term<&str>,
        op: &BinaryOp<&str>,
        right: &Term<&str>,
        of_record: bool,
    ) -> Option<Node> {
        let right_of_record = match op {
            BinaryOp::Pipe(_) => of_record && matches!(left, Term::Id),
            _ => of_record,
        };
        let (left, right) = (self.boxed(left, of_record)?, self.boxed(right, right_of_record)?);
        Some(match op {
            BinaryOp::Pipe(None) => Node::Pipe(left, right),
            BinaryOp::Comma => Node::Comma(left, right),
            BinaryOp::Alt => Node::Alternative(left, right),
            BinaryOp::Or => Node::Logic(left, true, right),
            BinaryOp::And => Node::Logic(left, false, right),
            BinaryOp::Cmp(comparison) => Node::Compare(left, *comparison, right),
            BinaryOp::Math(Math::Add) => Node::Add(left, right),
            _ => return None,
        })
    }

    fn path(&mut self, head: &Term<&str>, parts: &Parts<'_>, of_record: bool) -> Option<Node> {
        let head = self.term(head, of_record)?;
        let (mut node, rest) = match head {
            Node::Input if of_record => self.found(parts),
            head => (head, parts),
        };
        for (part, opt) in rest {
            node = Node::Step(Box::new(node), step(part)?, matches!(opt, Opt::Optional));
        }
        Some(node)
    }

    /// As many of the first parts as are keys, answered by one look-up. The record is an object, so the first
    /// key never fails; where the others do, they must all agree on what then happens.
    fn found<'p, 's>(&mut self, parts: &'p Parts<'s>) -> (Node, &'p Parts<'s>) {
        let mut keys = Vec::new();
        let mut optional = None;
        for (part, opt) in parts {
            let Some(Step::Key(key)) = step(part) else { break };
            if !keys.is_empty() && *optional.get_or_insert(is_optional(*opt)) != is_optional(*opt) {
                break;
            }
            keys.push(key);
        }
        let rest = &parts[keys.len()..];
        if keys.is_empty() {
            return (Node::Input, rest);
        }
        let keys = keys.into_boxed_slice();
        let known = self.paths.iter().position(|path| *path == keys);
        let path = known.unwrap_or_else(|| {
            self.paths.push(keys);
            self.paths.len() - 1
        });
        (Node::Found { path, or_nothing: optional.unwrap_or(false) }, rest)
    }

    fn call(&mut self, name: &str, args: &[Term<&str>], of_record: bool) -> Option<Node> {
        match args {
            [] => constant(name).or_else(|| kinds(name)).or_else(|| Filter::named(name).map(Node::Apply)),
            [arg] => self.call_with(name, arg, of_record),
            _ => None,
        }
    }

    fn call_with(&mut self, name: &str, arg: &Term<&str>, of_record: bool) -> Option<Node> {
        let each = || Box::new(Node::Step(Box::new(Node::Input), Step::Each, false));
        Some(match name {
            "select" => Node::If(self.boxed(arg, of_record)?, Box::new(Node::Input), Box::new(Node::Empty)),
            "map" => Node::Collect(Box::new(Node::Pipe(each(), self.boxed(arg, false)?))),
            "any" => Node::Any(true, Box::new(Node::Pipe(each(), self.boxed(arg, false)?))),
            "all" => Node::Any(false, Box::new(Node::Pipe(each(), self.boxed(arg, false)?))),
            "first" => Node::First(self.boxed(arg, of_record)?),
            _ => Node::ApplyWith(WithText::named(name)?, self.boxed(arg, of_record)?),
        })
    }
}

fn is_optional(opt: Opt) -> bool {
    matches!(opt, Opt::Optional)
}

fn step(part: &Part<Term<&str>>) -> Option<Step> {
    Some(match part {
        Part::Range(None, None) => Step::Each,
        Part::Range(..) => return None,
        Part::Index(Term::Str(None, parts)) => Step::Key(literal(parts)?),
        Part::Index(Term::Num(spelled)) => Step::Nth(spelled.parse().ok()?, false),
        Part::Index(Term::Neg(inner)) => match &**inner {
            Term::Num(spelled) => Step::Nth(spelled.parse().ok().filter(|n| *n > 0)?, true),
            _ => return None,
        },
        Part::Index(_) => return None,
    })
}

/// A text without interpolation.
fn literal(parts: &[StrPart<&str, Term<&str>>]) -> Option<Box<str>> {
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(plain) => text.push_str(plain),
            StrPart::Char(character) => text.push(*character),
            StrPart::Term(_) => return None,
        }
    }
    Some(text.into())
}

fn integer(spelled: &str, negative: bool) -> Option<Node> {
    let value = small_integer(spelled)?;
    let value = if negative { -value } else { value };
    Some(Node::Constant(Constant::Integer(value.to_string().into())))
}

fn constant(name: &str) -> Option<Node> {
    Some(match name {
        "empty" => Node::Empty,
        "null" => Node::Constant(Constant::Null),
        "true" => Node::Constant(Constant::Bool(true)),
        "false" => Node::Constant(Constant::Bool(false)),
        "first" => Node::Step(Box::new(Node::Input), Step::Nth(0, false), false),
        "last" => Node::Step(Box::new(Node::Input), Step::Nth(1, true), false),
        "any" | "all" => Node::Any(name == "any", Box::new(Node::Step(Box::new(Node::Input), Step::Each, false))),
        _ => return None,
    })
}

fn kinds(name: &str) -> Option<Node> {
    let (from, to) = match name {
        "values" => (Kind::Bool, Kind::Object),
        "nulls" => (Kind::Null, Kind::Null),
        "booleans" => (Kind::Bool, Kind::Bool),
        "numbers" => (Kind::Number, Kind::Number),
        "strings" => (Kind::Text, Kind::Text),
        "arrays" => (Kind::List, Kind::List),
        "objects" => (Kind::Object, Kind::Object),
        "iterables" => (Kind::List, Kind::Object),
        "scalars" => (Kind::Null, Kind::Text),
        _ => return None,
    };
    Some(Node::Kinds(from, to))
}
