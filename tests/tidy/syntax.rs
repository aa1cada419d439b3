//! Just enough of Rust's syntax to hold source files to rules: tokens, comments, paths, test items.
//!
//! It reads what rustc accepts; what it does with anything else does not matter.

/// One source file, without its tests.
pub struct File {
    /// Below `src`, with `/`.
    pub path: String,
    /// Is the whole file a test module?
    pub is_test: bool,
    pub tokens: Vec<Token>,
    pub comments: Vec<(usize, String)>,
    pub paths: Vec<UsedPath>,
    /// Lines outside of test items.
    pub lines: usize,
}

/// A path as code names it, the groups of a `use` multiplied out.
pub struct UsedPath {
    pub line: usize,
    pub parts: Vec<String>,
    pub is_use: bool,
}

impl UsedPath {
    pub fn starts(&self, start: &[&str]) -> bool {
        self.parts.len() >= start.len() && self.parts.iter().zip(start).all(|(a, b)| a == b)
    }

    pub fn contains(&self, run: &[&str]) -> bool {
        self.parts.windows(run.len()).any(|window| window.iter().zip(run).all(|(a, b)| a == b))
    }

    pub fn text(&self) -> String {
        self.parts.join("::")
    }
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        let is_test = path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.contains("/tests/");
        let (all, comments) = lex(text);
        let (tokens, test_lines) = if is_test { (Vec::new(), 0) } else { without_tests(&all) };
        let paths = used_paths(&tokens);
        let lines = text.lines().count() - test_lines;
        Self { path: path.to_owned(), is_test, tokens, comments, paths, lines }
    }

    /// The top module that it belongs to.
    pub fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// The module of the crate that a path leads to, by `crate::` or by `super::`s that reach the root.
    pub fn crate_module<'a>(&self, path: &'a UsedPath) -> Option<&'a str> {
        let folders = self.path.split('/').count() - 1;
        let depth = if self.path.ends_with("mod.rs") { folders } else { folders + 1 };
        let supers = path.parts.iter().take_while(|part| *part == "super").count();
        let at = match path.parts.first()?.as_str() {
            // The binary names the library.
            "crate" | "rollcall" => 1,
            "super" if supers >= depth => supers,
            _ => return None,
        };
        path.parts.get(at).map(String::as_str)
    }

    pub fn declares_module(&self, name: &str) -> bool {
        self.tokens.windows(2).any(|t| t[0].is("mod") && t[1].is(name))
    }

    /// Names of functions, types, constants and modules, with their lines.
    pub fn definitions(&self) -> impl Iterator<Item = (usize, &str)> {
        let defines = |t: &Token| {
            ["fn", "struct", "enum", "union", "trait", "type", "mod", "const", "static"].iter().any(|k| t.is(k))
        };
        self.tokens.windows(2).filter(move |t| defines(&t[0])).filter_map(|t| Some((t[1].line, t[1].ident()?)))
    }
}

#[derive(Debug, Clone)]
pub struct Token {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// An identifier or keyword.
    Ident(String),
    /// The inside of a string, raw or not.
    Text(String),
    /// One character, but `::` is one token.
    Punct(&'static str),
    Other,
}

impl Token {
    pub fn is(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Ident(ident) => ident == text,
            Kind::Punct(punct) => *punct == text,
            _ => false,
        }
    }

    pub fn ident(&self) -> Option<&str> {
        if let Kind::Ident(ident) = &self.kind { Some(ident) } else { None }
    }
}

/// Code as tokens, and the comments with their lines.
fn lex(text: &str) -> (Vec<Token>, Vec<(usize, String)>) {
    let (mut tokens, mut comments) = (Vec::new(), Vec::new());
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, kind) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), None)
        } else if rest.starts_with("/*") {
            (block_comment_length(rest), None)
        } else if let Some((length, inside)) = string(rest) {
            (length, Some(Kind::Text(inside)))
        } else if let Some(length) = char_or_lifetime(rest) {
            (length, Some(Kind::Other))
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let kind = if first.is_ascii_digit() { Kind::Other } else { Kind::Ident(rest[..length].to_owned()) };
            (length, Some(kind))
        } else {
            punctuation(rest, first)
        };
        if let Some(kind) = kind {
            tokens.push(Token { line, kind });
        } else if rest.starts_with('/') {
            comments.extend(rest[..length].lines().enumerate().map(|(at, text)| (line + at, text.to_owned())));
        }
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    (tokens, comments)
}

fn punctuation(rest: &str, first: char) -> (usize, Option<Kind>) {
    const PUNCTUATION: &[&str] = &["::", "{", "}", "(", ")", "[", "]", ";", ".", "!", "#", "*", ","];
    match PUNCTUATION.iter().find(|p| rest.starts_with(**p)) {
        Some(punct) => (punct.len(), Some(Kind::Punct(punct))),
        None if first.is_whitespace() => (first.len_utf8(), None),
        None => (first.len_utf8(), Some(Kind::Other)),
    }
}

fn block_comment_length(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") || rest.starts_with(b"*/") {
            depth = if rest[0] == b'/' { depth + 1 } else { depth - 1 };
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// A string with any prefix at the start of `text`: its length and its inside.
fn string(text: &str) -> Option<(usize, String)> {
    let prefix = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    let hashes = text[prefix..].len() - text[prefix..].trim_start_matches('#').len();
    let raw = text[..prefix].contains('r');
    let start = prefix + hashes + 1;
    if prefix > 2 || (hashes > 0 && !raw) || !text[prefix + hashes..].starts_with('"') {
        return None;
    }
    let end = if raw {
        text[start..].find(&format!("\"{}", "#".repeat(hashes)))?
    } else {
        let mut escaped = false;
        text[start..].find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?
    };
    Some((start + end + 1 + hashes, text[start..start + end].to_owned()))
}

/// `'a'`, `b'\n'` or `'a` at the start of `text`: its length.
fn char_or_lifetime(text: &str) -> Option<usize> {
    let quote = if text.starts_with("b'") { 1 } else { 0 };
    let inside = text[quote..].strip_prefix('\'')?;
    if inside.starts_with('\\') {
        return Some(quote + 1 + 2 + inside[2..].find('\'')? + 1);
    }
    let first = inside.chars().next()?;
    let closed = inside[first.len_utf8()..].starts_with('\'');
    Some(quote + 1 + first.len_utf8() + usize::from(closed))
}

/// The tokens outside of items under `#[cfg(test)]`, and how many lines those items take.
fn without_tests(tokens: &[Token]) -> (Vec<Token>, usize) {
    let (mut kept, mut test_lines, mut at) = (Vec::new(), 0, 0);
    while at < tokens.len() {
        let rest = &tokens[at..];
        if is_cfg_test(rest) {
            let item = without_attributes_and_visibility(rest);
            let end = tokens.len() - item.len() + item_length(item);
            test_lines += tokens[end - 1].line - tokens[at].line + 1;
            at = end;
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    (kept, test_lines)
}

/// `#[cfg(test)]` or `#[cfg(all(test, …))]`
fn is_cfg_test(tokens: &[Token]) -> bool {
    let starts = |start: &[&str]| tokens.len() > start.len() && tokens.iter().zip(start).all(|(t, s)| t.is(s));
    starts(&["#", "[", "cfg", "(", "test", ")"]) || starts(&["#", "[", "cfg", "(", "all", "(", "test"])
}

pub fn without_attributes_and_visibility(mut tokens: &[Token]) -> &[Token] {
    loop {
        let skipped = match tokens {
            [hash, bracket, ..] if hash.is("#") && bracket.is("[") => 1 + bracketed_length(&tokens[1..]),
            [hash, not, ..] if hash.is("#") && not.is("!") => 2 + bracketed_length(&tokens[2..]),
            [public, paren, ..] if public.is("pub") && paren.is("(") => 1 + bracketed_length(&tokens[1..]),
            [public, ..] if public.is("pub") => 1,
            _ => return tokens,
        };
        tokens = &tokens[skipped..];
    }
}

/// How many tokens the bracket at the start and its inside take.
fn bracketed_length(tokens: &[Token]) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        if ["(", "[", "{"].iter().any(|open| token.is(open)) {
            depth += 1;
        } else if [")", "]", "}"].iter().any(|close| token.is(close)) {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// How many tokens one item takes: to its `;` or the end of its braces.
pub fn item_length(tokens: &[Token]) -> usize {
    if tokens.first().is_some_and(|t| t.is("use")) {
        return tokens.iter().position(|t| t.is(";")).map_or(tokens.len(), |end| end + 1);
    }
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.is(";") {
            return at + 1;
        }
        if token.is("{") {
            return at + bracketed_length(&tokens[at..]);
        }
        at += if token.is("(") || token.is("[") { bracketed_length(&tokens[at..]) } else { 1 };
    }
    tokens.len()
}

fn used_paths(tokens: &[Token]) -> Vec<UsedPath> {
    let (mut paths, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        let is_use = at > 0 && tokens[at - 1].is("use");
        let length = if tokens[at].ident().is_some() { path(&tokens[at..], &[], is_use, &mut paths) } else { 1 };
        at += length;
    }
    paths
}

/// Reads the path at the start, below `before`, groups and all; answers how many tokens it took.
fn path(tokens: &[Token], before: &[String], is_use: bool, paths: &mut Vec<UsedPath>) -> usize {
    let (mut parts, mut at) = (before.to_vec(), 0);
    while let Some(part) = tokens.get(at).and_then(Token::ident) {
        parts.push(part.to_owned());
        at += 1;
        if !tokens.get(at).is_some_and(|t| t.is("::")) {
            break;
        }
        at += 1;
        if tokens.get(at).is_some_and(|t| t.is("{")) {
            let end = at + bracketed_length(&tokens[at..]);
            at += 1;
            while at < end {
                at += if tokens[at].ident().is_some() { path(&tokens[at..end], &parts, is_use, paths) } else { 1 };
            }
            return at;
        }
    }
    paths.push(UsedPath { line: tokens[0].line, parts, is_use });
    at.max(1)
}
