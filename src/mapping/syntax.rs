//! jaq's syntax tree: parsing within bounds, and visiting.

use std::convert::Infallible;
use std::ops::Range;

use jaq_core::load::lex::{Lexer, StrPart, Tok, Token};
use jaq_core::load::parse::{BinaryOp, Parser, Pattern, Term};
use jaq_core::path::Part;

use crate::limits::{JQ_BRACKETS_MAX, JQ_NESTING_MAX, JQ_SOURCE_BYTES_MAX, JQ_TOKENS_MAX};

/// Why a source is no term: what was expected, and the rest of the source where it went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SyntaxError<'s> {
    /// A word of jaq's for what was expected, and what was found.
    Unexpected {
        expected: &'static str,
        found: &'s str,
    },
    TooLong {
        max: usize,
        what: &'static str,
    },
}

/// Parses an expression. Its length is bounded before anything recurses on it.
pub(super) fn parse(source: &str) -> Result<Term<&str>, SyntaxError<'_>> {
    if source.len() > JQ_SOURCE_BYTES_MAX {
        return Err(SyntaxError::TooLong { max: JQ_SOURCE_BYTES_MAX, what: "bytes" });
    }
    if source.bytes().filter(|byte| matches!(byte, b'(' | b'[' | b'{')).count() > JQ_BRACKETS_MAX {
        return Err(SyntaxError::TooLong { max: JQ_BRACKETS_MAX, what: "brackets" });
    }
    let tokens = Lexer::new(source).lex().map_err(|errors| match errors.into_iter().next() {
        Some((expected, found)) => SyntaxError::Unexpected { expected: expected.as_str(), found },
        None => SyntaxError::Unexpected { expected: "token", found: &source[source.len()..] },
    })?;
    if count(&tokens) > JQ_TOKENS_MAX {
        return Err(SyntaxError::TooLong { max: JQ_TOKENS_MAX, what: "words and signs" });
    }
    let term = Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| {
        let first = errors.into_iter().next();
        let found = first.as_ref().and_then(|(_, found)| *found);
        let expected = first.map_or("term", |(expected, _)| described(expected.as_str()));
        SyntaxError::Unexpected { expected, found: Token::opt_as_str(found, source) }
    })?;
    if is_too_deep(&term) {
        Err(SyntaxError::TooLong { max: JQ_NESTING_MAX, what: "levels of nesting, or operators in a row" })
    } else {
        Ok(term)
    }
}

/// Does not recurse, for it decides whether the rest may.
fn is_too_deep(term: &Term<&str>) -> bool {
    let mut waiting = vec![(term, 1)];
    while let Some((term, depth)) = waiting.pop() {
        // Metering makes the parts of a path nest.
        let depth = depth + if let Term::Path(_, path) = term { path.0.len() } else { 0 };
        if depth > JQ_NESTING_MAX {
            return true;
        }
        children(term, &mut |child| waiting.push((child, depth + 1)));
    }
    false
}

/// jaq's words for what it expected, in ours.
fn described(expected: &str) -> &'static str {
    match expected {
        "term" => "a value or filter",
        "nothing" => "an operator or the end",
        "key" => "a key",
        "string" => "a string",
        "variable" => "a variable such as `$x`",
        "pattern" => "a variable or pattern",
        "identifier" => "a name",
        "argument" => "an argument",
        "else or end" => "`else` or `end`",
        "comma or right bracket" => "`,` or `]`",
        "comma or right brace" => "`,` or `}`",
        "semicolon or right parenthesis" => "`;` or `)`",
        "]" => "`]`",
        ")" => "`)`",
        "}" => "`}`",
        ":" => "`:`",
        "|" => "`|`",
        "as" => "`as`",
        "then" => "`then`",
        "end" => "`end`",
        _ => "something else",
    }
}

fn count(tokens: &[Token<&str>]) -> usize {
    tokens.iter().map(|token| 1 + count_inside(token)).sum()
}

fn count_inside(token: &Token<&str>) -> usize {
    match &token.1 {
        Tok::Block(tokens) => count(tokens),
        Tok::Str(parts) => {
            parts.iter().map(|part| 1 + if let StrPart::Term(token) = part { count_inside(token) } else { 0 }).sum()
        }
        _ => 0,
    }
}

/// Visits the terms directly inside `term`.
pub(super) fn children<'t, 's>(term: &'t Term<&'s str>, visit: &mut dyn FnMut(&'t Term<&'s str>)) {
    let Ok(()) = try_children(term, &mut |child| {
        visit(child);
        Ok::<(), Infallible>(())
    });
}

/// Visits the terms directly inside `term`, in the order of the source, until one fails.
pub(super) fn try_children<'t, 's, E>(
    term: &'t Term<&'s str>,
    visit: &mut dyn FnMut(&'t Term<&'s str>) -> Result<(), E>,
) -> Result<(), E> {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => Ok(()),
        Term::Str(_, parts) => parts.iter().try_for_each(|part| match part {
            StrPart::Term(term) => visit(term),
            StrPart::Str(_) | StrPart::Char(_) => Ok(()),
        }),
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => visit(term),
        Term::Obj(entries) => entries.iter().try_for_each(|(key, value)| {
            visit(key)?;
            value.iter().try_for_each(&mut *visit)
        }),
        Term::BinOp(left, op, right) => {
            visit(left)?;
            if let BinaryOp::Pipe(Some(pattern)) = op {
                try_pattern(pattern, visit)?;
            }
            visit(right)
        }
        Term::Fold(_, items, pattern, terms) => {
            visit(items)?;
            try_pattern(pattern, visit)?;
            terms.iter().try_for_each(visit)
        }
        Term::TryCatch(body, catch) => {
            visit(body)?;
            catch.as_deref().map_or(Ok(()), visit)
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                visit(condition)?;
                visit(then)?;
            }
            otherwise.as_deref().map_or(Ok(()), visit)
        }
        Term::Def(definitions, term) => {
            definitions.iter().try_for_each(|definition| visit(&definition.body))?;
            visit(term)
        }
        Term::Call(_, args) => args.iter().try_for_each(visit),
        Term::Path(head, path) => {
            visit(head)?;
            path.0.iter().try_for_each(|(part, _)| match part {
                Part::Index(index) => visit(index),
                Part::Range(from, to) => from.iter().chain(to).try_for_each(&mut *visit),
            })
        }
    }
}

fn try_pattern<'t, 's, E>(
    pattern: &'t Pattern<&'s str>,
    visit: &mut dyn FnMut(&'t Term<&'s str>) -> Result<(), E>,
) -> Result<(), E> {
    match pattern {
        Pattern::Var(_) => Ok(()),
        Pattern::Arr(items) => items.iter().try_for_each(|item| try_pattern(item, visit)),
        Pattern::Obj(entries) => entries.iter().try_for_each(|(key, value)| {
            visit(key)?;
            try_pattern(value, visit)
        }),
    }
}

/// Visits the terms directly inside `term`, to change them.
pub(super) fn children_mut<'s>(term: &mut Term<&'s str>, visit: &mut dyn FnMut(&mut Term<&'s str>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Var(_) | Term::Break(_) | Term::Arr(None) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    visit(term);
                }
            }
        }
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => visit(term),
        Term::Obj(entries) => {
            for (key, value) in entries {
                visit(key);
                value.iter_mut().for_each(&mut *visit);
            }
        }
        Term::BinOp(left, op, right) => {
            visit(left);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                pattern_mut(pattern, visit);
            }
            visit(right);
        }
        Term::Fold(_, items, pattern, terms) => {
            visit(items);
            pattern_mut(pattern, visit);
            terms.iter_mut().for_each(visit);
        }
        Term::TryCatch(body, catch) => {
            visit(body);
            catch.iter_mut().for_each(|catch| visit(catch));
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                visit(condition);
                visit(then);
            }
            otherwise.iter_mut().for_each(|otherwise| visit(otherwise));
        }
        Term::Def(definitions, term) => {
            definitions.iter_mut().for_each(|definition| visit(&mut definition.body));
            visit(term);
        }
        Term::Call(_, args) => args.iter_mut().for_each(visit),
        Term::Path(head, path) => {
            visit(head);
            for (part, _) in &mut path.0 {
                match part {
                    Part::Index(index) => visit(index),
                    Part::Range(from, to) => from.iter_mut().chain(to).for_each(&mut *visit),
                }
            }
        }
    }
}

fn pattern_mut<'s>(pattern: &mut Pattern<&'s str>, visit: &mut dyn FnMut(&mut Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(items) => items.iter_mut().for_each(|item| pattern_mut(item, visit)),
        Pattern::Obj(entries) => {
            for (key, value) in entries {
                visit(key);
                pattern_mut(value, visit);
            }
        }
    }
}

/// The filter that `term` itself calls, with its number of arguments.
pub(super) fn called<'s>(term: &Term<&'s str>) -> Option<(&'s str, usize)> {
    match term {
        Term::Call(name, args) => Some((name, args.len())),
        Term::Str(Some(format), _) => Some((format, 0)),
        _ => None,
    }
}

/// Where `part` stands in `whole`, if it is a part of it by address.
pub(super) fn place_in(whole: &str, part: &str) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let place = start..start.checked_add(part.len())?;
    whole.get(place.clone()).map(|_| place)
}
