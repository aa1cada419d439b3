//! Bounds what one evaluation may cost, whatever the expression and the record.
//!
//! jaq has no limit of its own: `[.[] as $a | .[] as $b | …]` multiplies, `. + .` twenty times over is a
//! million copies. So a term is rewritten before it is compiled: wherever a value is taken apart, put
//! together, compared or handed to a built-in filter, a filter of ours is inserted that passes the value on
//! and takes its size from the evaluation's allowance (see [`Allowance`]). Where that is used up, or where a
//! value gets deeper than [`JQ_DEPTH_MAX`], the evaluation ends; no `try` or `//` can catch it. The filters
//! that jaq itself defines in jq are rewritten in the same way.
//!
//! What this bounds: the number of outputs, the work between them, the size and depth of every value made.
//! What it leaves: one built-in filter on values within the allowance, e.g. one regex match, which takes time
//! in proportion to the pattern times the text. Repeating a text with `*` is refused outright.

use std::cell::Cell;

use jaq_core::box_iter::box_once;
use jaq_core::data::HasLut;
use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Term};
use jaq_core::native::{Fun, v};
use jaq_core::ops::Math;
use jaq_core::path::{Opt, Part, Path};
use jaq_core::{Bind, DataT, Error, Exn, Lut, Native};
use jaq_json::{Num, Val};

use super::syntax::children_mut;
use crate::limits::JQ_DEPTH_MAX;

/// Passes its input on for the input's size. Names with `!` cannot be written in an expression.
const WEIGH: &str = "!weigh";
/// Passes its input on for one step.
const STEP: &str = "!step";
/// As `!weigh`; refuses texts, and numbers whose products could grow without bound.
const FACTOR: &str = "!factor";

/// Bytes of text that count as one step.
const TEXT_BYTES_PER_STEP: usize = 16;
/// Longest exact integer that may be multiplied, in bits.
const FACTOR_BITS_MAX: u64 = 4_096;
/// jaq wants an exit code; nobody sees it.
const EXIT_CODE: i32 = 0;

/// The steps one evaluation may still take.
#[derive(Debug)]
pub(super) struct Allowance(Cell<u64>);

impl Allowance {
    pub(super) fn new(steps: u64) -> Self {
        Self(Cell::new(steps))
    }

    fn take(&self, steps: usize) -> Result<(), UsedUp> {
        let left = self.0.get().checked_sub(u64::try_from(steps).unwrap_or(u64::MAX)).ok_or(UsedUp)?;
        self.0.set(left);
        Ok(())
    }

    /// Takes the size of a value: one step for each value in it and for every 16 bytes of text.
    fn weigh(&self, value: &Val, depth: usize) -> Result<(), UsedUp> {
        match value {
            Val::Null | Val::Bool(_) => self.take(1),
            Val::Num(Num::BigInt(int)) => self.take(1 + usize::try_from(int.bits() / 64).unwrap_or(usize::MAX)),
            Val::Num(Num::Dec(spelled)) => self.take(1 + spelled.len() / TEXT_BYTES_PER_STEP),
            Val::Num(_) => self.take(1),
            Val::TStr(text) | Val::BStr(text) => self.take(1 + text.len() / TEXT_BYTES_PER_STEP),
            Val::Arr(items) => {
                self.take(1)?;
                let depth = depth.checked_sub(1).ok_or(UsedUp)?;
                items.iter().try_for_each(|item| self.weigh(item, depth))
            }
            Val::Obj(entries) => {
                self.take(1)?;
                let depth = depth.checked_sub(1).ok_or(UsedUp)?;
                entries.iter().try_for_each(|(key, item)| {
                    self.weigh(key, depth)?;
                    self.weigh(item, depth)
                })
            }
        }
    }
}

/// The allowance is used up, or a value too deep.
struct UsedUp;

impl From<UsedUp> for Exn<'_, Val> {
    fn from(UsedUp: UsedUp) -> Self {
        Exn::halt(EXIT_CODE)
    }
}

/// jaq's values, with an allowance at hand.
pub(super) struct Metered;

#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub lut: &'a Lut<Metered>,
    pub allowance: &'a Allowance,
}

impl DataT for Metered {
    type V<'a> = Val;
    type Data<'a> = Context<'a>;
}

impl<'a> HasLut<'a, Metered> for Context<'a> {
    fn lut(&self) -> &'a Lut<Metered> {
        self.lut
    }
}

fn weigh<'a>(context: &Context<'a>, value: &Val) -> Result<(), Exn<'a, Val>> {
    Ok(context.allowance.weigh(value, JQ_DEPTH_MAX)?)
}

fn step<'a>(context: &Context<'a>) -> Result<(), Exn<'a, Val>> {
    Ok(context.allowance.take(1)?)
}

fn factor(value: Val) -> Result<Val, Error<Val>> {
    match value {
        Val::TStr(_) | Val::BStr(_) => Err(Error::str("texts cannot be multiplied")),
        Val::Num(Num::BigInt(int)) if int.bits() > FACTOR_BITS_MAX => Err(Error::str("number too long to multiply")),
        other => Ok(other),
    }
}

/// The filters that [`meter`] inserts. They are the identity: also as a path, and as the target of an update.
pub(super) fn filters() -> [Fun<Metered>; 3] {
    let weigh = Native::<Metered>::new(|cv| box_once(weigh(cv.0.data(), &cv.1).map(|()| cv.1)))
        .with_paths(|cv| box_once(weigh(cv.0.data(), &cv.1.0).map(|()| cv.1)))
        .with_update(|cv, update| match weigh(cv.0.data(), &cv.1) {
            Ok(()) => update(cv.1),
            Err(end) => box_once(Err(end)),
        });
    let step = Native::<Metered>::new(|cv| box_once(step(cv.0.data()).map(|()| cv.1)))
        .with_paths(|cv| box_once(step(cv.0.data()).map(|()| cv.1)))
        .with_update(|cv, update| match step(cv.0.data()) {
            Ok(()) => update(cv.1),
            Err(end) => box_once(Err(end)),
        });
    let factor = Native::<Metered>::new(|cv| {
        box_once(self::weigh(cv.0.data(), &cv.1).and_then(|()| factor(cv.1).map_err(Exn::from)))
    });
    [(WEIGH, v(0), weigh), (STEP, v(0), step), (FACTOR, v(0), factor)]
}

/// What [`meter`] must know of a filter that is not defined in jq: the kinds of its arguments.
pub(super) type Kinds<'k> = &'k dyn Fn(&str, usize) -> Option<&'k [Bind]>;

/// Built-in filters that only pass values on: what they pass is weighed where it comes from.
const PASSING: [&str; 7] = ["error_empty", "first", "last", "limit", "path", "path_value", "skip"];
/// The one built-in filter that makes many outputs of small inputs; only jaq's own definitions may call it.
const RANGE: &str = "range";

/// Inserts the metering filters. On evaluations within the allowance the meaning stays the same.
pub(super) fn meter(term: &mut Term<&str>, kinds: Kinds<'_>) {
    children_mut(term, &mut |child| meter(child, kinds));
    insert(term, kinds);
}

/// Inserts what one term needs. Apart from [`meter`], so that deep terms take little stack.
fn insert(term: &mut Term<&str>, kinds: Kinds<'_>) {
    match term {
        Term::Recurse => prepend(WEIGH, term),
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    append(WEIGH, term);
                }
            }
        }
        Term::Arr(Some(_)) | Term::Obj(_) => append(WEIGH, term),
        Term::BinOp(left, op, right) => match op {
            BinaryOp::Comma => append(STEP, right),
            BinaryOp::Math(Math::Mul) => {
                append(FACTOR, left);
                append(FACTOR, right);
            }
            BinaryOp::Math(_) | BinaryOp::Cmp(_) => {
                append(WEIGH, left);
                append(WEIGH, right);
            }
            BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => append(WEIGH, term),
            BinaryOp::Pipe(_) | BinaryOp::Alt | BinaryOp::Or | BinaryOp::And => {}
        },
        Term::Call(..) => insert_at_call(term, kinds),
        Term::Path(head, path) => *term = metered_path(std::mem::take(&mut **head), std::mem::take(&mut path.0)),
        Term::Id
        | Term::Num(_)
        | Term::Var(_)
        | Term::Break(_)
        | Term::Arr(None)
        | Term::Neg(_)
        | Term::Label(..)
        | Term::Fold(..)
        | Term::TryCatch(..)
        | Term::IfThenElse(..)
        | Term::Def(..) => {}
    }
}

/// Built-in filters take as much time as their input and their arguments are big.
fn insert_at_call(term: &mut Term<&str>, kinds: Kinds<'_>) {
    let Term::Call(name, args) = term else { return };
    let Some(binds) = kinds(name, args.len()).filter(|_| !PASSING.contains(name)) else { return };
    for (arg, bind) in args.iter_mut().zip(binds) {
        if let Bind::Var(()) = bind {
            append(WEIGH, arg);
        }
    }
    if *name == RANGE { append(STEP, term) } else { prepend(WEIGH, term) }
}

/// What `[]` takes apart is weighed before; what `[from:to]` copies, after.
///
/// Splitting `.a[].b` does not change what an index such as `.k` in `.a[.k]` refers to: jaq evaluates it on
/// the input of the whole path, and the head's input is the same.
fn metered_path<'s>(head: Term<&'s str>, parts: Vec<(Part<Term<&'s str>>, Opt)>) -> Term<&'s str> {
    let mut done = head;
    let mut pending = Vec::new();
    for (part, opt) in parts {
        match part {
            Part::Range(None, None) => {
                done = joined(done, std::mem::take(&mut pending));
                append(WEIGH, &mut done);
                pending.push((part, opt));
            }
            Part::Range(..) => {
                pending.push((part, opt));
                done = joined(done, std::mem::take(&mut pending));
                append(WEIGH, &mut done);
            }
            Part::Index(mut index) => {
                if !is_literal(&index) {
                    append(WEIGH, &mut index);
                }
                pending.push((Part::Index(index), opt));
            }
        }
    }
    joined(done, pending)
}

fn joined<'s>(head: Term<&'s str>, parts: Vec<(Part<Term<&'s str>>, Opt)>) -> Term<&'s str> {
    if parts.is_empty() { head } else { Term::Path(Box::new(head), Path(parts)) }
}

/// A literal index is as long as it is in the source; any other is hashed or compared.
fn is_literal(index: &Term<&str>) -> bool {
    match index {
        Term::Num(_) => true,
        Term::Str(None, parts) => parts.iter().all(|part| !matches!(part, StrPart::Term(_))),
        _ => false,
    }
}

/// `term` becomes `term | filter`.
fn append(filter: &'static str, term: &mut Term<&str>) {
    let before = std::mem::take(term);
    *term = match before {
        Term::Id => Term::Call(filter, Vec::new()),
        before => pipe(before, Term::Call(filter, Vec::new())),
    };
}

/// `term` becomes `filter | term`.
fn prepend(filter: &'static str, term: &mut Term<&str>) {
    let after = std::mem::take(term);
    *term = pipe(Term::Call(filter, Vec::new()), after);
}

fn pipe<'s>(left: Term<&'s str>, right: Term<&'s str>) -> Term<&'s str> {
    Term::BinOp(Box::new(left), BinaryOp::Pipe(None), Box::new(right))
}
