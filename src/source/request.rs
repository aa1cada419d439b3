//! What is sent for a page: the config's templates, filled in once a read (once a page where they say `{cursor}`), plus
//! what the paginator asks for.
//!
//! Invariant: pure; a value from an event's params cannot leave its place in the path, the query, a header or the
//! body, and the URL stays on the base URL's origin.

use bytes::Bytes;
use reqwest::Method as HttpMethod;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::fault::Fault;
use crate::config::{BodySpec, CURSOR, JsonTemplate, Method, RequestSpec, SINCE, Template, Vars};

/// How a page is asked for, as the paginator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ask {
    /// The configured request, with these query parameters in place of any of the same name.
    Query(Vec<(String, String)>),
    /// The configured request with this key at the top of its body.
    Body { key: String, value: String },
    /// The configured request with `{cursor}` filled in, and with these query parameters.
    Cursor { token: Token, query: Vec<(String, String)> },
    /// A URL that the source gave, as it is.
    Url(Url),
}

/// What stands for `{cursor}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Token {
    /// A text in JSON, too.
    Text(String),
    /// The number of a page or an offset: a number in JSON where nothing stands around it.
    Number(u64),
}

/// A read's request, all but the paging.
pub(super) struct Blueprint {
    spec: RequestSpec,
    vars: Vars,
    first: Filled,
}

/// The request with its templates filled in.
struct Filled {
    method: HttpMethod,
    url: Url,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Body,
}

enum Body {
    None,
    Json(Value),
    Form(Vec<(String, String)>),
}

/// One request, unsigned. A login's holds secrets, so none prints.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: HttpMethod,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

pub(super) const fn http_method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
        Method::Put => HttpMethod::PUT,
        Method::Patch => HttpMethod::PATCH,
    }
}

impl Blueprint {
    /// Fills in the templates: `param.x`, `parent.x` and `since`.
    pub(super) fn new(spec: &RequestSpec, vars: Vars) -> Result<Self, Fault> {
        let first = Filled::new(spec, &vars, None)?;
        Ok(Self { spec: spec.clone(), vars, first })
    }

    /// What a request costs, in the units of the budget.
    pub(super) const fn weight(&self) -> u32 {
        self.spec.weight
    }

    /// # Errors
    /// A cursor cannot stand where the templates want it.
    pub(super) fn request(&self, ask: &Ask) -> Result<Request, Fault> {
        let Ask::Cursor { token, .. } = ask else { return Ok(self.first.request(ask)) };
        let (text, number) = match token {
            Token::Text(text) => (text.clone(), None),
            Token::Number(number) => (number.to_string(), Some(*number)),
        };
        let mut vars = self.vars.clone();
        vars.insert(CURSOR.to_owned(), text);
        Ok(Filled::new(&self.spec, &vars, number)?.request(ask))
    }
}

impl Filled {
    /// `number` is what `{cursor}` is as a number, where it is one.
    fn new(spec: &RequestSpec, vars: &Vars, number: Option<u64>) -> Result<Self, Fault> {
        let body = match &spec.body {
            BodySpec::None => Body::None,
            BodySpec::Json(template) => Body::Json(json(template, vars, number)?.unwrap_or_default()),
            BodySpec::Form(fields) => Body::Form(pairs("form", fields, vars)?),
        };
        Ok(Self {
            method: http_method(spec.method),
            url: url(spec, vars)?,
            query: pairs("query", &spec.query, vars)?,
            headers: headers(&spec.headers, vars)?,
            body,
        })
    }

    fn request(&self, ask: &Ask) -> Request {
        let mut headers = self.headers.clone();
        let body = self.body(ask).map(|(kind, bytes)| {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
            bytes
        });
        Request { method: self.method.clone(), url: self.page_url(ask), headers, body }
    }

    fn page_url(&self, ask: &Ask) -> Url {
        let paging: &[(String, String)] = match ask {
            Ask::Url(url) => return url.clone(),
            Ask::Query(pairs) | Ask::Cursor { query: pairs, .. } => pairs,
            Ask::Body { .. } => &[],
        };
        let mut url = self.url.clone();
        let replaced = |name: &String| paging.iter().any(|(key, _)| key == name);
        let pairs = self.query.iter().filter(|(name, _)| !replaced(name)).chain(paging);
        for (name, value) in pairs {
            url.query_pairs_mut().append_pair(name, value);
        }
        url
    }

    /// The body and its content type.
    fn body(&self, ask: &Ask) -> Option<(&'static str, Bytes)> {
        let paging = match ask {
            Ask::Body { key, value } => Some((key, value)),
            Ask::Query(_) | Ask::Cursor { .. } | Ask::Url(_) => None,
        };
        match &self.body {
            Body::None => None,
            Body::Json(value) => {
                let mut value = value.clone();
                if let (Some((key, cursor)), Value::Object(fields)) = (paging, &mut value) {
                    fields.insert(key.clone(), Value::String(cursor.clone()));
                }
                Some(("application/json", value.to_string().into()))
            }
            Body::Form(fields) => {
                let kept = fields.iter().filter(|(name, _)| paging.is_none_or(|(key, _)| key != name));
                let fields = kept.map(|(name, value)| (name, value)).chain(paging);
                let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                Some(("application/x-www-form-urlencoded", text.into()))
            }
        }
    }
}

fn url(spec: &RequestSpec, vars: &Vars) -> Result<Url, Fault> {
    // The first page has no cursor: its place in the path is empty.
    let mut vars = vars.clone();
    vars.entry(CURSOR.to_owned()).or_default();
    let path = render("path", &spec.path, &vars, encode_segment)?;
    // A param of `..` would climb out of its place however it is encoded (the URL standard decodes `%2e`).
    let dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if path.split(['/', '\\', '?', '#']).any(dots) {
        return Err(Fault::Config { problem: "`path` holds a '.' or '..' segment".into() });
    }
    let joined = spec.base_url.join(&path);
    let url = joined.map_err(|error| Fault::Config { problem: format!("`path` makes no URL: {error}") })?;
    if url.origin() != spec.base_url.origin() {
        return Err(Fault::Config { problem: "`path` leads away from `base_url`".into() });
    }
    Ok(url)
}

/// Percent-encodes all but RFC 3986's unreserved characters, so that a value is one path segment or part of one.
fn encode_segment(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Does the text want a cursor that there is not yet, or a time? The first page is asked for without what says
/// `{cursor}`, and the whole list without what says `{since}`.
fn is_for_later(template: &Template, vars: &Vars) -> bool {
    [CURSOR, SINCE].iter().any(|name| template.uses(name) && !vars.contains_key(*name))
}

fn pairs(place: &str, templates: &[(String, Template)], vars: &Vars) -> Result<Vec<(String, String)>, Fault> {
    let pair = |(name, template): &(String, Template)| {
        Ok((name.clone(), render(&format!("{place}.{name}"), template, vars, str::to_owned)?))
    };
    templates.iter().filter(|(_, template)| !is_for_later(template, vars)).map(pair).collect()
}

fn headers(templates: &[(String, Template)], vars: &Vars) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, text) in pairs("headers", templates, vars)? {
        let illegal = || Fault::Config { problem: format!("`headers.{name}` holds characters no header can carry") };
        let key = HeaderName::try_from(&name).map_err(|_| illegal())?;
        let mut value = HeaderValue::from_str(&text).map_err(|_| illegal())?;
        // Some sources want a second key in a header of their own.
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// `None` for a text that wants what there is not yet: it is left out.
fn json(template: &JsonTemplate, vars: &Vars, number: Option<u64>) -> Result<Option<Value>, Fault> {
    Ok(Some(match template {
        JsonTemplate::Literal(value) => value.clone(),
        JsonTemplate::Text(text) if is_for_later(text, vars) => return Ok(None),
        JsonTemplate::Text(text) => match number {
            Some(number) if text.is_only(CURSOR) => number.into(),
            _ => Value::String(render("json", text, vars, str::to_owned)?),
        },
        JsonTemplate::Array(items) => {
            let items = items.iter().filter_map(|item| json(item, vars, number).transpose());
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        JsonTemplate::Object(fields) => {
            let field = |(key, value): &(String, JsonTemplate)| {
                json(value, vars, number).transpose().map(|value| Ok((key.clone(), value?)))
            };
            Value::Object(fields.iter().filter_map(field).collect::<Result<Map<_, _>, Fault>>()?)
        }
    }))
}

fn render(place: &str, template: &Template, vars: &Vars, escape: impl Fn(&str) -> String) -> Result<String, Fault> {
    template.render(vars, escape).map_err(|error| Fault::Config { problem: format!("`{place}`: {error}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::parse(text).unwrap()
    }

    fn fields(pairs: &[(&str, &str)]) -> Vec<(String, Template)> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), template(text))).collect()
    }

    fn spec(path: &str) -> RequestSpec {
        RequestSpec {
            method: Method::Get,
            base_url: Url::parse("https://api.example/v1/").unwrap(),
            path: template(path),
            query: fields(&[("event", "{param.event}"), ("page", "start")]),
            headers: fields(&[("X-Event", "{param.event}")]),
            body: BodySpec::None,
            weight: 1,
        }
    }

    fn params(event: &str) -> Vars {
        Vars::from([("param.event".to_owned(), event.to_owned())])
    }

    fn query(pairs: &[(&str, &str)]) -> Ask {
        Ask::Query(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn fills_in_path_query_and_headers() {
        let blueprint = Blueprint::new(&spec("events/{param.event}/people"), params("a b/c&d")).unwrap();
        let request = blueprint.request(&query(&[("page", "2"), ("size", "50")])).unwrap();
        assert_eq!(
            request.url.as_str(),
            "https://api.example/v1/events/a%20b%2Fc%26d/people?event=a+b%2Fc%26d&page=2&size=50"
        );
        assert_eq!(request.headers["x-event"], "a b/c&d");
        assert_eq!((request.method, request.body), (HttpMethod::GET, None));
        let first = blueprint.request(&query(&[])).unwrap();
        assert!(first.url.as_str().ends_with("&page=start"), "{}", first.url);
        let given = Url::parse("https://api.example/v1/x?cursor=%20+%2f").unwrap();
        assert_eq!(blueprint.request(&Ask::Url(given.clone())).unwrap().url, given);
    }

    #[test]
    fn a_param_cannot_leave_its_place() {
        for (path, value) in [
            ("events/{param.event}/people", ".."),
            ("events/{param.event}/people", "."),
            ("events/.{param.event}/people", "."),
            ("events/%2e{param.event}/people", "."),
            ("{param.event}", ".."),
            ("//evil.example/{param.event}", "x"),
            ("http://api.example/{param.event}", "x"),
            ("https://api.example:444/{param.event}", "x"),
        ] {
            let fault = Blueprint::new(&spec(path), params(value)).err();
            assert!(matches!(fault, Some(Fault::Config { .. })), "{path} with {value}: {fault:?}");
        }
        for (value, path) in [
            ("//evil.example", "/v1/%2F%2Fevil.example"),
            ("https://evil.example/", "/v1/https%3A%2F%2Fevil.example%2F"),
            ("?a=b#c", "/v1/%3Fa%3Db%23c"),
            ("...", "/v1/..."),
        ] {
            let mut spec = spec("{param.event}");
            spec.query.clear();
            let url = Blueprint::new(&spec, params(value)).unwrap().request(&query(&[])).unwrap().url;
            assert_eq!((url.path(), url.query()), (path, None));
        }
    }

    #[test]
    fn names_what_it_cannot_fill_in() {
        for (event, expected) in [(None, "`path`: no value for '{param.event}'"), (Some("a\r\nb"), "`headers.X-Event`")]
        {
            let params = event.map(params).unwrap_or_default();
            let path = if event.is_some() { "people" } else { "{param.event}" };
            let fault = Blueprint::new(&spec(path), params).err().unwrap().to_string();
            assert!(fault.contains(expected), "{fault}");
        }
    }

    #[test]
    fn bodies_carry_the_cursor() {
        let cursor = Ask::Body { key: "after".into(), value: "c\"1&".into() };
        let mut spec = spec("people");
        spec.method = Method::Post;
        spec.body = BodySpec::Json(JsonTemplate::Object(vec![
            ("event".into(), JsonTemplate::Text(template("{param.event}"))),
            ("tags".into(), JsonTemplate::Array(vec![JsonTemplate::Literal(1.into())])),
            ("after".into(), JsonTemplate::Literal(Value::Null)),
        ]));
        let blueprint = Blueprint::new(&spec, params("x\"y")).unwrap();
        let body = |blueprint: &Blueprint, ask: &Ask| {
            let request = blueprint.request(ask).unwrap();
            let kind = request.headers[CONTENT_TYPE].to_str().unwrap().to_owned();
            (kind, String::from_utf8(request.body.unwrap().to_vec()).unwrap())
        };
        let json = |text: &str| ("application/json".to_owned(), text.to_owned());
        assert_eq!(body(&blueprint, &query(&[])), json(r#"{"after":null,"event":"x\"y","tags":[1]}"#));
        assert_eq!(body(&blueprint, &cursor), json(r#"{"after":"c\"1&","event":"x\"y","tags":[1]}"#));

        spec.body = BodySpec::Form(fields(&[("event", "{param.event}"), ("after", "")]));
        let blueprint = Blueprint::new(&spec, params("a b")).unwrap();
        let form = |text: &str| ("application/x-www-form-urlencoded".to_owned(), text.to_owned());
        assert_eq!(body(&blueprint, &query(&[])), form("event=a+b&after="));
        assert_eq!(body(&blueprint, &cursor), form("event=a+b&after=c%221%26"));
    }

    #[test]
    fn a_cursor_goes_wherever_the_templates_say() {
        let mut spec = spec("people/{cursor}");
        spec.method = Method::Post;
        spec.query = fields(&[("after", "{cursor}"), ("fixed", "1")]);
        spec.headers = fields(&[("X-After", "after {cursor}")]);
        let after = JsonTemplate::Object(vec![("after".into(), JsonTemplate::Text(template("{cursor}")))]);
        spec.body = BodySpec::Json(JsonTemplate::Object(vec![("paging".into(), after)]));
        let blueprint = Blueprint::new(&spec, params("x")).unwrap();

        let first = blueprint.request(&query(&[])).unwrap();
        assert_eq!(first.url.as_str(), "https://api.example/v1/people/?fixed=1");
        assert!(!first.headers.contains_key("x-after"));
        assert_eq!(first.body.unwrap(), r#"{"paging":{}}"#);

        let cursor = |text: &str| Ask::Cursor { token: Token::Text(text.into()), query: Vec::new() };
        let next = blueprint.request(&cursor("a/b c")).unwrap();
        assert_eq!(next.url.as_str(), "https://api.example/v1/people/a%2Fb%20c?after=a%2Fb+c&fixed=1");
        assert_eq!(next.headers["x-after"], "after a/b c");
        assert_eq!(next.body.unwrap(), r#"{"paging":{"after":"a/b c"}}"#);

        for text in ["..", "a\r\nb"] {
            let fault = blueprint.request(&cursor(text)).err();
            assert!(matches!(fault, Some(Fault::Config { .. })), "{text:?}: {fault:?}");
        }
    }

    #[test]
    fn a_number_alone_is_a_number_in_json() {
        let mut spec = spec("people");
        spec.method = Method::Post;
        let text = |text: &str| JsonTemplate::Text(template(text));
        spec.body = BodySpec::Json(JsonTemplate::Object(vec![
            ("page".into(), text("{cursor}")),
            ("label".into(), text("page {cursor}")),
            ("event".into(), text("{param.event}")),
        ]));
        let blueprint = Blueprint::new(&spec, params("7")).unwrap();
        let query = vec![("size".to_owned(), "50".to_owned())];
        for (token, page) in [(Token::Number(3), "3"), (Token::Text("3".into()), "\"3\"")] {
            let request = blueprint.request(&Ask::Cursor { token, query: query.clone() }).unwrap();
            let expected = format!(r#"{{"event":"7","label":"page 3","page":{page}}}"#);
            assert_eq!(String::from_utf8(request.body.unwrap().to_vec()).unwrap(), expected);
            assert!(request.url.as_str().ends_with("&size=50"), "{}", request.url);
        }
    }
}
