//! As much of PromQL as the rules need: which series a query selects, over what range, and in which function.

/// A selector, with what stands around it: `rate(name{job="x"}[5m])`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selector {
    pub name: String,
    /// Matchers as they stand there: `job=~"$job"`. Their values have no commas.
    pub matchers: Vec<String>,
    pub range: Option<String>,
    /// Of which it is the first argument.
    pub function: Option<String>,
}

impl Selector {
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.matchers.iter().map(|matcher| matcher.split(['=', '!']).next().unwrap_or_default().trim())
    }
}

/// What Rollcall and Prometheus itself name.
fn is_metric(word: &str) -> bool {
    word == "up" || word.starts_with("rollcall_") || word.starts_with("process_")
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')
}

/// All selectors of a query, in its order. Texts in quotes are none.
pub fn selectors(query: &str) -> Vec<Selector> {
    let (bytes, mut at, mut found) = (query.as_bytes(), 0, Vec::new());
    let mut called: Option<String> = None;
    while at < bytes.len() {
        if bytes[at] == b'"' {
            at += 1 + length_until(&query[at + 1..], '"') + 1;
        } else if is_word(bytes[at]) {
            let word = &query[at..at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count()];
            at += word.len();
            if bytes.get(at) == Some(&b'{') || is_metric(word) {
                found.push(selector(query, &mut at, word, called.take()));
            } else {
                called = (bytes.get(at) == Some(&b'(')).then(|| word.to_owned());
                at += usize::from(called.is_some());
            }
        } else {
            called = None;
            at += 1;
        }
    }
    found
}

fn selector(query: &str, at: &mut usize, name: &str, function: Option<String>) -> Selector {
    let mut selector = Selector { name: name.to_owned(), function, ..Selector::default() };
    if query[*at..].starts_with('{') {
        let inner = enclosed(query, at, '}');
        let matchers = inner.split(',').map(|matcher| matcher.trim().to_owned());
        selector.matchers = matchers.filter(|matcher| !matcher.is_empty()).collect();
    }
    if query[*at..].starts_with('[') {
        selector.range = Some(enclosed(query, at, ']').to_owned());
    }
    selector
}

/// What stands between the bracket at `at` and `end`; `at` is moved behind it. An end in quotes is none.
fn enclosed<'a>(query: &'a str, at: &mut usize, end: char) -> &'a str {
    let start = *at + 1;
    let mut quoted = false;
    let length = query[start..].find(|sign: char| {
        quoted ^= sign == '"';
        sign == end && !quoted
    });
    let length = length.unwrap_or(query.len() - start);
    *at = (start + length + 1).min(query.len());
    &query[start..start + length]
}

fn length_until(text: &str, end: char) -> usize {
    text.find(end).unwrap_or(text.len())
}

/// Does every bracket have its other half?
pub fn is_balanced(query: &str) -> bool {
    let (mut open, mut quoted) = (Vec::new(), false);
    for sign in query.chars() {
        quoted ^= sign == '"';
        match sign {
            _ if quoted => {}
            '(' => open.push(')'),
            '{' => open.push('}'),
            '[' => open.push(']'),
            ')' | '}' | ']' if open.pop() != Some(sign) => return false,
            _ => {}
        }
    }
    open.is_empty() && !quoted
}

#[test]
fn selectors_are_found_with_what_is_around_them() {
    let query = r#"histogram_quantile(0.5, sum by (le, up_to) (rate(rollcall_a_bucket{job=~"$job", code=~"5..{2}"}[$__range])))
        or time() - rollcall_b / on (job) other{x!="rollcall_c("} * up"#;
    let plain = |name: &str| Selector { name: name.to_owned(), ..Selector::default() };
    let expected = [
        Selector {
            matchers: vec![r#"job=~"$job""#.to_owned(), r#"code=~"5..{2}""#.to_owned()],
            range: Some("$__range".to_owned()),
            function: Some("rate".to_owned()),
            ..plain("rollcall_a_bucket")
        },
        plain("rollcall_b"),
        Selector { matchers: vec![r#"x!="rollcall_c(""#.to_owned()], ..plain("other") },
        plain("up"),
    ];
    assert_eq!(selectors(query), expected);
    assert_eq!(expected[0].labels().collect::<Vec<_>>(), ["job", "code"]);
    for (query, balanced) in [("a{b=\"(\"}[5m]", true), ("sum(a", false), ("a)", false), ("(a]", false), ("\"a", false)]
    {
        assert_eq!(is_balanced(query), balanced, "{query}");
    }
}
