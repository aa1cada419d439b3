//! The expressions of a mapping on one record: one walk over its text finds what all of them read.
//!
//! Whatever the native forms leave open goes to jaq; then, once for the record, its value is built.

use std::cell::OnceCell;
use std::ops::ControlFlow;

use jaq_json::Val;

use super::Expression;
use super::native::{Input, Native, Piece, Unsure};
use crate::decode::{Found, KeyTree, RawRecord};
use crate::model::RejectReason;

/// The paths of all expressions of a mapping.
#[derive(Debug)]
pub(super) struct Paths(KeyTree);

/// An expression that knows where the values at its paths are found.
#[derive(Debug)]
pub(super) struct Bound {
    expression: Expression,
    /// For each path of the native form; `None` if there is no such form.
    places: Option<Vec<usize>>,
}

impl Paths {
    pub(super) fn of<'e>(expressions: impl Iterator<Item = &'e Expression>) -> Self {
        let paths = expressions.filter_map(Expression::native).flat_map(|native| native.paths());
        Self(KeyTree::new(paths.map(|path| &**path)))
    }

    /// For `expression` to be answered without jaq it must be one of those these paths are of.
    pub(super) fn bind(&self, expression: &Expression) -> Bound {
        let native = expression.native();
        let places = native.and_then(|native| native.paths().iter().map(|path| self.0.place(path)).collect());
        Bound { expression: expression.clone(), places }
    }

    /// Hands over the record with what was found in it; `None` if it is no object.
    pub(super) fn read<'a, T>(&self, raw: &'a RawRecord, read: impl FnOnce(&Record<'_, 'a>) -> T) -> Option<T> {
        /// Enough for nearly every mapping.
        const ON_STACK: usize = 48;
        if !raw.is_object() {
            return None;
        }
        let mut on_stack = [Found::Null; ON_STACK];
        let mut on_heap = Vec::new();
        let found = match on_stack.get_mut(..self.0.len()) {
            Some(found) => found,
            None => {
                on_heap.resize(self.0.len(), Found::Null);
                &mut on_heap[..]
            }
        };
        self.0.find(raw.bytes(), found);
        Some(read(&Record { raw, found, value: OnceCell::new() }))
    }
}

/// A record and what its mapping's paths lead to.
pub(super) struct Record<'r, 'a> {
    raw: &'a RawRecord,
    found: &'r [Found<'a>],
    /// Built when jaq is asked first. `None` if it cannot be.
    value: OnceCell<Option<Val>>,
}

impl<'a> Record<'_, 'a> {
    /// Folds the outputs into a state, until told to stop.
    pub(super) fn outputs<T: Default>(
        &self,
        bound: &'a Bound,
        mut each: impl FnMut(&mut T, &Piece<'_>) -> ControlFlow<()>,
    ) -> Result<T, RejectReason> {
        let mut state = T::default();
        if self.native(bound, |output| each(&mut state, output)).is_ok() {
            return Ok(state);
        }
        let mut state = T::default();
        let value = self.value.get_or_init(|| self.raw.value()).as_ref().ok_or(RejectReason::WrongType)?;
        let outcome =
            bound.expression.outputs(value, self.raw.bytes().len(), |output| each(&mut state, &Piece::from(&output)));
        outcome.map(|()| state).map_err(|_| RejectReason::ExpressionFailed)
    }

    fn native(&self, bound: &'a Bound, each: impl FnMut(&Piece<'a>) -> ControlFlow<()>) -> Result<(), Unsure> {
        let (native, input) = self.input(bound).ok_or(Unsure)?;
        native.run(input, each)
    }

    /// The one output of a plain expression.
    #[inline]
    fn one(&self, bound: &'a Bound) -> Option<Piece<'a>> {
        let (native, input) = self.input(bound)?;
        native.one(input)
    }

    #[inline]
    fn input<'s>(&'s self, bound: &'a Bound) -> Option<(&'a Native, Input<'s, 'a>)> {
        let places = bound.places.as_ref()?;
        Some((bound.expression.native()?, Input { record: self.raw.bytes(), found: self.found, places }))
    }

    /// What `read` makes of the first output that is not null; of null when there is none.
    #[inline]
    pub(super) fn first<T>(
        &self,
        bound: &'a Bound,
        read: impl Fn(&Piece<'_>) -> Result<T, RejectReason>,
    ) -> Result<T, RejectReason> {
        if let Some(output) = self.one(bound) {
            return read(&output);
        }
        let first: Option<Result<T, RejectReason>> = self.outputs(bound, |first, output| {
            if matches!(output, Piece::Null) {
                return ControlFlow::Continue(());
            }
            *first = Some(read(output));
            ControlFlow::Break(())
        })?;
        first.unwrap_or_else(|| read(&Piece::Null))
    }

    /// Is the first output true? No output is false.
    pub(super) fn condition(&self, bound: &'a Bound) -> Result<bool, RejectReason> {
        if let Some(output) = self.one(bound) {
            return Ok(output.is_true());
        }
        self.outputs(bound, |holds, output| {
            *holds = output.is_true();
            ControlFlow::Break(())
        })
    }

    /// Has jaq been asked?
    #[cfg(test)]
    pub(super) fn asked_jaq(&self) -> bool {
        self.value.get().is_some()
    }
}
