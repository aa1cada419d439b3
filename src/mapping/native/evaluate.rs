//! The evaluation of a native form.
//!
//! Each node hands its outputs, one by one and as late as jaq would, to whoever wants them. So a reader that
//! stops after the first output never meets a failure that jaq would not have met.

use std::borrow::Cow;
use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::ControlFlow;

use jaq_core::ops::Cmp;

use super::filters::{WithText, to_string};
use super::node::{Constant, Native, Node, Step};
use super::number::{self, small_integer};
use super::piece::Piece;
use crate::decode::{Found, look_up_key};
use crate::limits::{JQ_OUTPUT_BYTES_MAX, JQ_OUTPUTS_MAX, JQ_STEPS_MAX, JQ_STEPS_PER_INPUT_BYTE};

/// jaq is asked long before its own bounds are met, which count in another way: what costs one step here, jaq
/// never weighs as more than so many.
const CAUTION: u64 = 16;
/// Larger records are jaq's. The outputs of any smaller one stay within their bounds: their size is taken from
/// the steps.
const RECORD_BYTES_MAX: u64 = JQ_OUTPUT_BYTES_MAX as u64 / 4;

/// jaq must be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mapping) struct Unsure;

/// Why an evaluation ends before its end.
enum Stop {
    Enough,
    Unsure,
}

type Flow = Result<(), Stop>;

/// A record and what was found in it at the paths of an expression.
#[derive(Clone, Copy)]
pub(in crate::mapping) struct Input<'r, 'a> {
    /// The text of an object, checked.
    pub(in crate::mapping) record: &'a [u8],
    pub(in crate::mapping) found: &'r [Found<'a>],
    /// For each of [`Native::paths`] its place in `found`.
    pub(in crate::mapping) places: &'r [usize],
}

impl Native {
    /// The output of the plainest expressions, which give just one. `None` leaves it to [`Self::run`].
    #[inline]
    pub(in crate::mapping) fn one<'a>(&'a self, input: Input<'_, 'a>) -> Option<Piece<'a>> {
        let evaluation = Evaluation::new(input)?;
        match &self.root {
            Node::Found { path, .. } => evaluation.at(*path),
            root => evaluation.one(root),
        }
    }

    /// Hands over each output until told to stop.
    pub(in crate::mapping) fn run<'a>(
        &'a self,
        input: Input<'_, 'a>,
        mut each: impl FnMut(&Piece<'a>) -> ControlFlow<()>,
    ) -> Result<(), Unsure> {
        let evaluation = Evaluation::new(input).ok_or(Unsure)?;
        let mut outputs = 0;
        let outcome = evaluation.run(&self.root, &Piece::RawObject(input.record), &mut |output| {
            outputs += 1;
            if outputs > JQ_OUTPUTS_MAX {
                return Err(Stop::Unsure);
            }
            evaluation.charge(output.size())?;
            if each(&output).is_break() { Err(Stop::Enough) } else { Ok(()) }
        });
        match outcome {
            Ok(()) | Err(Stop::Enough) => Ok(()),
            Err(Stop::Unsure) => Err(Unsure),
        }
    }
}

struct Evaluation<'r, 'a> {
    input: Input<'r, 'a>,
    steps: Cell<u64>,
}

type Out<'o, 'a> = &'o mut dyn FnMut(Piece<'a>) -> Flow;

impl<'r, 'a> Evaluation<'r, 'a> {
    /// `None` for records that are too large.
    #[inline]
    fn new(input: Input<'r, 'a>) -> Option<Self> {
        let bytes = u64::try_from(input.record.len()).unwrap_or(u64::MAX);
        let steps = (JQ_STEPS_MAX + bytes.min(RECORD_BYTES_MAX) * JQ_STEPS_PER_INPUT_BYTE) / CAUTION;
        (bytes <= RECORD_BYTES_MAX).then(|| Self { input, steps: Cell::new(steps) })
    }

    fn charge(&self, size: usize) -> Flow {
        let left = self.steps.get().checked_sub(u64::try_from(size).unwrap_or(u64::MAX)).ok_or(Stop::Unsure)?;
        self.steps.set(left);
        Ok(())
    }

    /// The output on the record of the plainest expressions, which give just one; `None` leaves it to
    /// [`Self::run`].
    fn one(&self, node: &'a Node) -> Option<Piece<'a>> {
        match node {
            Node::Found { path, .. } => self.at(*path),
            Node::Constant(constant) => Some(constant.piece()),
            Node::Compare(left, op, right) => {
                let (left, right) = (self.one(left)?, self.one(right)?);
                self.charge(left.size() + right.size()).ok()?;
                compare(&left, *op, &right).map(Piece::Bool)
            }
            Node::Logic(left, word, right) => {
                let left = self.one(left)?.is_true();
                Some(Piece::Bool(if left == *word { left } else { self.one(right)?.is_true() }))
            }
            _ => None,
        }
    }

    /// Recurses as deep as the expression nests.
    fn run(&self, node: &'a Node, input: &Piece<'a>, out: Out<'_, 'a>) -> Flow {
        self.charge(1)?;
        match node {
            Node::Input => out(input.clone()),
            Node::Found { path, or_nothing } => match self.at(*path) {
                Some(value) => out(value),
                None if *or_nothing => Ok(()),
                None => Err(Stop::Unsure),
            },
            Node::Constant(constant) => out(constant.piece()),
            Node::Empty => Ok(()),
            Node::Step(head, step, optional) => {
                self.run(head, input, &mut |value| self.step(&value, step, *optional, out))
            }
            Node::Pipe(left, right) => self.run(left, input, &mut |value| self.run(right, &value, out)),
            Node::Comma(left, right) => {
                self.run(left, input, out)?;
                self.run(right, input, out)
            }
            Node::Alternative(left, right) => self.alternative(left, right, input, out),
            Node::Logic(left, word, right) => self.run(left, input, &mut |left| {
                if left.is_true() == *word {
                    return out(Piece::Bool(*word));
                }
                self.run(right, input, &mut |right| out(Piece::Bool(right.is_true())))
            }),
            Node::Compare(left, op, right) => self.pairs(left, right, input, &mut |left, right| {
                out(Piece::Bool(compare(left, *op, right).ok_or(Stop::Unsure)?))
            }),
            Node::Add(left, right) => {
                self.pairs(left, right, input, &mut |left, right| out(add(left, right).ok_or(Stop::Unsure)?))
            }
            Node::If(condition, then, otherwise) => self.run(condition, input, &mut |holds| {
                self.run(if holds.is_true() { then } else { otherwise }, input, out)
            }),
            Node::Collect(items) => out(Piece::List(self.collect(items, input)?)),
            Node::Interpolate(parts) => self.interpolate(parts, input, &mut Vec::new(), out),
            Node::First(inner) => self.first(inner, input, out),
            Node::Any(word, items) => out(Piece::Bool(self.meets(items, input, *word)? == *word)),
            Node::Kinds(from, to) => {
                self.charge(input.size())?;
                if (*from..=*to).contains(&input.kind()) { out(input.clone()) } else { Ok(()) }
            }
            Node::Apply(filter) => {
                self.charge(input.size())?;
                out(filter.apply(input).ok_or(Stop::Unsure)?)
            }
            Node::ApplyWith(filter, argument) => {
                self.run(argument, input, &mut |argument| out(self.apply_with(*filter, input, &argument)?))
            }
        }
    }

    /// The value at a path; `None` where jq would fail.
    #[inline]
    fn at(&self, path: usize) -> Option<Piece<'a>> {
        let place = self.input.places.get(path)?;
        Piece::found(*self.input.found.get(*place)?)
    }

    fn step(&self, value: &Piece<'a>, step: &Step, optional: bool, out: Out<'_, 'a>) -> Flow {
        let below = match (step, value) {
            (Step::Each, Piece::RawList(_) | Piece::List(_)) => return self.each(value, out),
            (Step::Key(key), Piece::RawObject(json)) => {
                self.charge(json.len())?;
                Piece::found(look_up_key(json, key))
            }
            (Step::Key(_) | Step::Nth(..), Piece::Null) => Some(Piece::Null),
            (Step::Nth(nth, from_end), Piece::RawList(_) | Piece::List(_)) => Some(self.nth(value, *nth, *from_end)?),
            // jaq has its own ways here, e.g. with equal keys.
            (Step::Each | Step::Nth(..), Piece::RawObject(_)) => return Err(Stop::Unsure),
            _ => None,
        };
        match below {
            Some(below) => out(below),
            None if optional => Ok(()),
            None => Err(Stop::Unsure),
        }
    }

    fn each(&self, list: &Piece<'a>, out: Out<'_, 'a>) -> Flow {
        self.charge(list.size())?;
        list.try_items(|item| out(item.clone())).unwrap_or(Err(Stop::Unsure))
    }

    fn nth(&self, list: &Piece<'a>, nth: usize, from_end: bool) -> Result<Piece<'a>, Stop> {
        self.charge(list.size())?;
        let mut items = Vec::new();
        list.try_items(|item| {
            items.push(item.clone());
            Ok::<(), Stop>(())
        })
        .unwrap_or(Err(Stop::Unsure))?;
        let place = if from_end { items.len().checked_sub(nth) } else { Some(nth) };
        let in_list = place.filter(|place| *place < items.len());
        Ok(in_list.map_or(Piece::Null, |place| items.swap_remove(place)))
    }

    /// The true outputs of the left side; where there is none, the right side's.
    fn alternative(&self, left: &'a Node, right: &'a Node, input: &Piece<'a>, out: Out<'_, 'a>) -> Flow {
        let mut any = false;
        self.run(left, input, &mut |value| {
            if !value.is_true() {
                return Ok(());
            }
            any = true;
            out(value)
        })?;
        if any { Ok(()) } else { self.run(right, input, out) }
    }

    /// Each output of the left side with each of the right, the left side's changing more slowly.
    fn pairs(
        &self,
        left: &'a Node,
        right: &'a Node,
        input: &Piece<'a>,
        out: &mut dyn FnMut(&Piece<'a>, &Piece<'a>) -> Flow,
    ) -> Flow {
        self.run(left, input, &mut |left| {
            self.run(right, input, &mut |right| {
                self.charge(left.size() + right.size())?;
                out(&left, &right)
            })
        })
    }

    fn collect(&self, items: &'a Node, input: &Piece<'a>) -> Result<Vec<Piece<'a>>, Stop> {
        let mut list = Vec::new();
        self.run(items, input, &mut |item| {
            self.charge(item.size())?;
            list.push(item);
            Ok(())
        })?;
        Ok(list)
    }

    /// Appends each output of the first part to `text`, and after it those of the others.
    fn interpolate(&self, parts: &'a [Node], input: &Piece<'a>, text: &mut Vec<u8>, out: Out<'_, 'a>) -> Flow {
        let Some((part, rest)) = parts.split_first() else {
            self.charge(text.len())?;
            return out(Piece::Text(Cow::Owned(text.clone())));
        };
        let length = text.len();
        self.run(part, input, &mut |value| {
            self.charge(length + value.size())?;
            let Some(Piece::Text(value)) = to_string(&value) else { return Err(Stop::Unsure) };
            text.truncate(length);
            text.extend_from_slice(&value);
            self.interpolate(rest, input, text, out)
        })
    }

    fn first(&self, inner: &'a Node, input: &Piece<'a>, out: Out<'_, 'a>) -> Flow {
        let mut first = None;
        let outcome = self.run(inner, input, &mut |value| {
            first = Some(value);
            Err(Stop::Enough)
        });
        match first {
            Some(value) => out(value),
            None => outcome,
        }
    }

    /// Is the truth of any output as wanted?
    fn meets(&self, items: &'a Node, input: &Piece<'a>, wanted: bool) -> Result<bool, Stop> {
        let mut met = false;
        let outcome = self.run(items, input, &mut |value| {
            met = value.is_true() == wanted;
            if met { Err(Stop::Enough) } else { Ok(()) }
        });
        if met { Ok(true) } else { outcome.map(|()| false) }
    }

    fn apply_with(&self, filter: WithText, input: &Piece<'a>, argument: &Piece<'a>) -> Result<Piece<'a>, Stop> {
        let weight = filter.weight(input);
        self.charge((input.size() + argument.size()).saturating_mul(weight))?;
        let output = filter.apply(input, argument).ok_or(Stop::Unsure)?;
        self.charge(output.size())?;
        Ok(output)
    }
}

impl Constant {
    fn piece(&self) -> Piece<'_> {
        match self {
            Self::Null => Piece::Null,
            Self::Bool(value) => Piece::Bool(*value),
            Self::Integer(spelled) => Piece::Number(Cow::Borrowed(spelled)),
            Self::Text(text) => Piece::text(text),
        }
    }
}

/// Kinds have an order; lists and objects among themselves are left to jaq.
fn compare(left: &Piece<'_>, op: Cmp, right: &Piece<'_>) -> Option<bool> {
    let order = match (left, right) {
        (Piece::Bool(left), Piece::Bool(right)) => left.cmp(right),
        (Piece::Number(left), Piece::Number(right)) => number::compare(left, right)?,
        (Piece::Text(left), Piece::Text(right)) => left.cmp(right),
        (Piece::Null, Piece::Null) => Ordering::Equal,
        (left, right) if left.kind() != right.kind() => left.kind().cmp(&right.kind()),
        _ => return None,
    };
    Some(match op {
        Cmp::Lt => order.is_lt(),
        Cmp::Le => order.is_le(),
        Cmp::Gt => order.is_gt(),
        Cmp::Ge => order.is_ge(),
        Cmp::Eq => order.is_eq(),
        Cmp::Ne => order.is_ne(),
    })
}

fn add<'a>(left: &Piece<'a>, right: &Piece<'a>) -> Option<Piece<'a>> {
    match (left, right) {
        (Piece::Null, other) | (other, Piece::Null) => Some(other.clone()),
        (Piece::Text(left), Piece::Text(right)) => Some(Piece::Text(Cow::Owned([&**left, &**right].concat()))),
        (Piece::Number(left), Piece::Number(right)) => {
            let sum = small_integer(left)? + small_integer(right)?;
            Some(Piece::Number(Cow::Owned(sum.to_string())))
        }
        _ => None,
    }
}
