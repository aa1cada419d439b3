//! The `Link` header (RFC 8288), as far as finding the next page needs it.

/// The target of the first link whose relation is `next`, in one `Link` header's value. It may be relative.
pub(super) fn next_target(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        let (is_next, after) = parameters(after);
        if is_next {
            return Some(target.trim());
        }
        rest = after;
    }
    None
}

/// Reads a link's parameters: is its relation `next`, and what follows the link. Only the first `rel` counts.
fn parameters(mut rest: &str) -> (bool, &str) {
    let mut relation = None;
    while let Some(after) = rest.trim_start().strip_prefix(';') {
        let (name, value, after) = parameter(after);
        if name.eq_ignore_ascii_case("rel") && relation.is_none() {
            relation = Some(value);
        }
        rest = after;
    }
    let is_next = |value: &str| value.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next"));
    (relation.is_some_and(is_next), rest)
}

/// One parameter: its name, its value without quotes (escapes are left, no relation needs them), what follows.
fn parameter(text: &str) -> (&str, &str, &str) {
    let name_end = text.find(['=', ';', ',']).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    let name = name.trim();
    let Some(rest) = rest.strip_prefix('=') else { return (name, "", rest) };
    let rest = rest.trim_start();
    let Some(quoted) = rest.strip_prefix('"') else {
        let end = rest.find([';', ',']).unwrap_or(rest.len());
        return (name, rest[..end].trim(), &rest[end..]);
    };
    let end = closing_quote(quoted);
    (name, &quoted[..end], quoted.get(end + 1..).unwrap_or(""))
}

fn closing_quote(quoted: &str) -> usize {
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !escaped => return at,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    quoted.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_next() {
        for (header, expected) in [
            (r#"<https://a.example/?page=2>; rel="next""#, Some("https://a.example/?page=2")),
            (r#"<?page=1>; rel=prev, <?page=3>; rel=next"#, Some("?page=3")),
            (r#"<a,b;c>; title="x, <y>; rel=next"; rel="last", <d> ; REL="start NEXT""#, Some("d")),
            (r#"<a>; title="say \"hi\"; rel=next";rel=last"#, None),
            (r#"<a>; rel=last; rel=next"#, None),
            (r#"<a>; crossorigin; rel=next"#, Some("a")),
            (r#"<a>; rel=nextish"#, None),
            ("<a>", None),
            ("", None),
            ("nonsense", None),
            ("<unclosed; rel=next", None),
            (r#"<a>; rel="next"#, Some("a")),
        ] {
            assert_eq!(next_target(header), expected, "{header}");
        }
    }
}
