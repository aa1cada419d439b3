//! One table per rule, with the exact words: the kinds of authentication that log in.

use secrecy::{ExposeSecret as _, SecretString};

use super::*;

const OAUTH2: [&str; 3] = [
    "source.crm.auth: kind = \"oauth2\"",
    "source.crm.auth: token_url = \"token\"",
    "source.crm.auth: client_id = \"c\"",
];
const SESSION: [&str; 3] = [
    "source.crm.auth: kind = \"session\"",
    "source.crm.auth.request: url = \"login\"",
    "source.crm.auth: token = \".token\"",
];

fn with<'a>(base: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [base, more].concat()
}

fn oauth2(more: &[&str]) -> OAuth2Spec {
    match source(&with(&OAUTH2, more)).auth {
        AuthSpec::OAuth2(spec) => *spec,
        other => panic!("{other:?}"),
    }
}

fn session(more: &[&str]) -> SessionSpec {
    match source(&with(&SESSION, more)).auth {
        AuthSpec::Session(spec) => *spec,
        other => panic!("{other:?}"),
    }
}

/// Each row: what is added to a sound login, and all the faults it makes.
fn check(base: &[&str], rows: &[(&[&str], &[&str])]) {
    for (more, expected) in rows {
        assert_eq!(faults(&with(base, more)), *expected, "{more:?}");
    }
}

fn exposed(pairs: &[(String, SecretString)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect()
}

#[test]
fn an_oauth2_client_needs_little() {
    let spec = oauth2(&[]);
    assert_eq!(spec.token_url.as_str(), "https://crm.example/api/token");
    assert_eq!((spec.grant.as_str(), spec.client_id.as_str()), ("client_credentials", "c"));
    assert!(spec.client_secret.is_none() && spec.refresh_token.is_none() && spec.fields.is_empty());
    assert_eq!((spec.client_auth, &spec.scope), (ClientAuth::Basic, &None));
    assert!(matches!(&spec.token.from, TokenFrom::Body(path) if path.source() == ".access_token"));
    assert!(matches!(&spec.token.life, Some(TokenLife::In(path)) if path.source() == ".expires_in"));
    assert_eq!(spec.token.place, ApiKeyPlace::Header("Authorization".into()));
    assert_eq!(spec.token.prefix, "Bearer ");
    assert_eq!(spec.next_refresh_token.source(), ".refresh_token");
}

#[test]
fn fields_may_be_secrets() {
    let fields = "source.crm.auth: fields = { audience = \"a{{b}}\", n = 1, r = [\"x\", \"y\"], password = { env = \"TOKEN\" } }";
    let spec = oauth2(&["source.crm.auth: grant = \"password\"", fields]);
    let expected = [("audience", "a{b}"), ("n", "1"), ("r", "x"), ("r", "y"), ("password", "canary-7f3a")];
    assert_eq!(exposed(&spec.fields), expected);
    assert!(!format!("{spec:?}").contains("canary"));
}

#[test]
fn a_token_goes_where_an_api_key_may_go() {
    for (more, place, prefix) in [
        (vec!["source.crm.auth: header = \"X-Token\""], ApiKeyPlace::Header("X-Token".into()), ""),
        (
            vec!["source.crm.auth: header = \"X-Token\"", "source.crm.auth: prefix = \"T \""],
            ApiKeyPlace::Header("X-Token".into()),
            "T ",
        ),
        (vec!["source.crm.auth: prefix = \"Token \""], ApiKeyPlace::Header("Authorization".into()), "Token "),
        (vec!["source.crm.auth: query = \"token\""], ApiKeyPlace::Query("token".into()), ""),
    ] {
        let token = oauth2(&more).token;
        assert_eq!((token.place, token.prefix.as_str()), (place, prefix), "{more:?}");
    }
}

#[test]
fn the_token_url_may_be_elsewhere_but_is_https() {
    for (url, expected) in [
        ("https://login.example/token?tenant=a", "https://login.example/token?tenant=a"),
        ("/token", "https://crm.example/token"),
        ("http://127.0.0.1:1/token", "http://127.0.0.1:1/token"),
    ] {
        assert_eq!(oauth2(&[&format!("source.crm.auth: token_url = {url:?}")]).token_url.as_str(), expected);
    }
    oauth2(&["source.crm: allow_http = true", "source.crm.auth: token_url = \"http://login.lan/\""]);
    let example = "write e.g. \"https://crm.example/oauth/token\"";
    check(
        &OAUTH2,
        &[
            (
                &["source.crm.auth: token_url = \"http://login.example/\""],
                &["source.crm.auth.token_url: http would send people and keys unencrypted; \
                   use https, or say allow_http = true if the network between is yours"],
            ),
            (
                &["source.crm.auth: token_url = \"ftp://login.example/\""],
                &[&format!("source.crm.auth.token_url: must be an https address; {example}")],
            ),
            (
                &["source.crm.auth: token_url = \"https://\""],
                &[&format!("source.crm.auth.token_url: must be an address; {example}")],
            ),
            (
                &["source.crm.auth: token_url = \"https://ada:canary-7f3a@login.example/\""],
                &[
                    "source.crm.auth.token_url: must not hold a username or password; give them as settings of their own",
                ],
            ),
            (
                &["source.crm.auth: token_url = \"token#a\""],
                &["source.crm.auth.token_url: must not hold a fragment; leave out the '#' and what follows it"],
            ),
            (
                &["source.crm.auth: token_url = \"{param.event}/token\""],
                &["source.crm.auth.token_url: must not hold placeholders; \
                   write the address itself: one login serves every feed"],
            ),
        ],
    );
}

#[test]
fn oauth2_faults() {
    let forms =
        "write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" } (systemd's LoadCredential=)";
    check_faults(&[(
        &["source.crm.auth: kind = \"oauth2\""],
        &[
            "source.crm.auth.token_url: missing; write token_url = \"…\", the address that gives tokens",
            "source.crm.auth.client_id: missing; write client_id = \"…\"",
        ],
    )]);
    check(
        &OAUTH2,
        &[
            (
                &["source.crm.auth: grant = \"refresh_token\""],
                &[&format!("source.crm.auth.refresh_token: missing; {forms}")],
            ),
            (
                &["source.crm.auth: refresh_token = { env = \"TOKEN\" }"],
                &["source.crm.auth.refresh_token: only the grant refresh_token takes one; \
                   write grant = \"refresh_token\", or leave it out"],
            ),
            (
                &["source.crm.auth: client_auth = \"header\""],
                &["source.crm.auth.client_auth: must be one of \"basic\", \"body\" (got \"header\"); \
                   choose one, e.g. \"basic\""],
            ),
            (
                &["source.crm.auth: fields = { client_secret = \"x\", a = \"{param.event}\" }"],
                &[
                    "source.crm.auth.fields.client_secret: the field client_secret is set by Rollcall itself; \
                     set client_secret in auth",
                    "source.crm.auth.fields.a: no placeholder \"{param.event}\" here; \
                     write the value itself: one login serves every feed, so it has no params",
                ],
            ),
            (
                &["source.crm.auth: life = \"1h\"", "source.crm.auth: expires_at = \".at\""],
                &["source.crm.auth: expires_in, expires_at and life say the same thing; \
                   keep the one that the answer really has"],
            ),
            (
                &["source.crm.auth: life = \"0s\""],
                &["source.crm.auth.life: must be from 1s to 3650d (got \"0s\"); choose a value within these bounds"],
            ),
            (
                &["source.crm.auth: header = \"X-Token\"", "source.crm.auth: query = \"token\""],
                &["source.crm.auth.query: a token goes into one header or query parameter; keep one of the two"],
            ),
            (
                &["source.crm.auth: header = \"X-T\"", "source.crm.request: headers = { X-T = \"a\" }"],
                &["source.crm.auth.header: this header is set twice; keep one of the two settings"],
            ),
            (
                &["source.crm.auth: cookie = \"sid\""],
                &[
                    "source.crm.auth.cookie: no such key; known here: kind, token_url, grant, client_id, client_secret, \
                   client_auth, scope, fields, refresh_token, next_refresh_token, token, expires_in, expires_at, life, \
                   header, query, prefix",
                ],
            ),
        ],
    );
}

#[test]
fn a_login_request_may_hold_secrets_anywhere() {
    let secret = "{ env = \"TOKEN\" }";
    let spec = session(&[
        &format!("source.crm.auth.request: query = {{ k = {secret} }}"),
        &format!("source.crm.auth.request: headers = {{ Authorization = {secret}, X-N = 1 }}"),
        &format!(
            "source.crm.auth.request: json = {{ user = \"a{{{{\", pw = {secret}, deep = [{{ pw = {secret} }}, 1, true] }}"
        ),
    ]);
    assert_eq!((spec.request.method, spec.request.url.as_str()), (Method::Post, "https://crm.example/api/login"));
    assert_eq!(exposed(&spec.request.query), [("k", "canary-7f3a")]);
    assert_eq!(exposed(&spec.request.headers), [("Authorization", "canary-7f3a"), ("X-N", "1")]);
    assert!(!format!("{spec:?}").contains("canary"), "{spec:?}");
    assert!(spec.token.life.is_none());
    let LoginBody::Json(SecretJson::Object(fields)) = &spec.request.body else { panic!("{spec:?}") };
    let text = |value: &SecretJson| match value {
        SecretJson::Text(text) => text.expose_secret().to_owned(),
        other => format!("{other:?}"),
    };
    let texts: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
    assert_eq!(texts[0], ("user", "a{".to_owned()));
    assert_eq!(texts[1], ("pw", "canary-7f3a".to_owned()));
    assert!(texts[2].1.starts_with("Array([Object([(\"pw\", Text("), "{texts:?}");

    let form = format!("source.crm.auth.request: form = {{ user = \"a\", pw = {secret} }}");
    let LoginBody::Form(form) = session(&[&form]).request.body else { panic!("a form") };
    assert_eq!(exposed(&form), [("user", "a"), ("pw", "canary-7f3a")]);
}

#[test]
fn the_token_of_a_session_may_stand_elsewhere() {
    let without = "source.crm.auth: -token";
    let header = session(&[without, "source.crm.auth: token_header = \"X-Token\"", "source.crm.auth: life = \"20m\""]);
    assert!(matches!(header.token.from, TokenFrom::Header(name) if name == "X-Token"));
    assert!(matches!(header.token.life, Some(TokenLife::Fixed(life)) if life.as_secs() == 1200));
    let cookie = session(&[without, "source.crm.auth: cookie = \"sid\""]).token;
    assert!(matches!(&cookie.from, TokenFrom::Cookie(name) if name == "sid"));
    assert_eq!((cookie.place, cookie.prefix.as_str()), (ApiKeyPlace::Header("Cookie".into()), "sid="));
}

#[test]
fn session_faults() {
    let one_place = "source.crm.auth: a login's answer holds the token in exactly one place; \
                     write token = \".token\", token_header = \"X-Token\" or cookie = \"session\"";
    let request = |setting: &str| format!("source.crm.auth.request: {setting}");
    check_faults(&[(
        &["source.crm.auth: kind = \"session\"", "source.crm.auth: request = {}"],
        &[
            one_place,
            "source.crm.auth.request.url: missing; write url = \"…\", the login's address, below base_url or elsewhere",
        ],
    )]);
    check(
        &SESSION,
        &[
            (&["source.crm.auth: cookie = \"sid\""], &[one_place]),
            (
                &["source.crm.auth: -token", "source.crm.auth: cookie = \"s d\""],
                &[
                    "source.crm.auth.cookie: no legal name of a cookie (got \"s d\"); use letters, digits, '-' and '_' only",
                ],
            ),
            (
                &["source.crm.auth: -token", "source.crm.auth: cookie = \"sid\"", "source.crm.auth: prefix = \"a\""],
                &["source.crm.auth.prefix: a cookie goes back as a cookie; leave it out"],
            ),
            (
                &[&request("form = { user = \"{param.event}\" }")],
                &["source.crm.auth.request.form.user: no placeholder \"{param.event}\" here; \
                   write the value itself: one login serves every feed, so it has no params"],
            ),
            (
                &[&request("json = { a = { b = \"{cursor}\" } }")],
                &["source.crm.auth.request.json.a.b: no placeholder \"{cursor}\" here; \
                   write the value itself: one login serves every feed, so it has no params"],
            ),
            (
                &[&request("method = \"GET\""), &request("form = { a = 1 }")],
                &["source.crm.auth.request.form: only a POST has a body; write method = \"POST\", or use query"],
            ),
            (
                &[&request("form = { a = 1 }"), &request("json = { a = 1 }")],
                &["source.crm.auth.request.form: a request has one body, json or form; keep one of the two"],
            ),
            (
                &[&request("json = [1]")],
                &["source.crm.auth.request.json: must be a table; write e.g. json = { user = \"rollcall\" }"],
            ),
            (
                &[&request("json = { pw = { env = \"NOPE\" } }")],
                &["source.crm.auth.request.json.pw.env: the environment variable \"NOPE\" is not set; \
                   set it where rollcall is started"],
            ),
            (
                &[&request("headers = { Host = \"a\", X-A = \"ä\", x-a = \"b\" }")],
                &[
                    "source.crm.auth.request.headers.Host: the header Host is set by Rollcall itself; leave it out",
                    "source.crm.auth.request.headers.X-A: holds characters that no header can carry; \
                     use visible ASCII characters and blanks",
                    "source.crm.auth.request.headers.x-a: this header is set twice; keep one of the two settings",
                ],
            ),
            (
                &[&request("url = \"http://login.example/canary-7f3a\"")],
                &["source.crm.auth.request.url: http would send people and keys unencrypted; \
                   use https, or say allow_http = true if the network between is yours"],
            ),
        ],
    );
}
