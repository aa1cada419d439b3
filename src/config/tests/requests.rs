//! One table per rule, with the exact words: base URL, request, authentication, pagination.

use super::*;

#[test]
fn the_base_url_is_https_and_ends_in_a_slash() {
    for (edits, expected) in [
        (vec!["source.crm: base_url = \"https://crm.example\""], "https://crm.example/"),
        (vec!["source.crm: base_url = \"https://crm.example/api\""], "https://crm.example/api/"),
        (vec!["source.crm: base_url = \"http://localhost:1/a/\""], "http://localhost:1/a/"),
        (vec!["source.crm: base_url = \"http://api.localhost/\""], "http://api.localhost/"),
        (vec!["source.crm: base_url = \"http://127.0.0.1/\""], "http://127.0.0.1/"),
        (vec!["source.crm: base_url = \"http://[::1]/\""], "http://[::1]/"),
        (vec!["source.crm: base_url = \"http://crm.lan/\"", "source.crm: allow_http = true"], "http://crm.lan/"),
    ] {
        assert_eq!(source(&edits).request.base_url.as_str(), expected);
    }
    let example = "write e.g. \"https://crm.example/api/\"";
    check_faults(&[
        (&["source.crm: -base_url"], &["source.crm.base_url: missing; write base_url = \"https://…\""]),
        (&["source.crm: base_url = \"crm\""], &[&format!("source.crm.base_url: must be an address; {example}")]),
        (
            &["source.crm: base_url = \"ftp://crm.example/\""],
            &[&format!("source.crm.base_url: must be an https address; {example}")],
        ),
        (
            &["source.crm: base_url = \"http://crm.example/\""],
            &["source.crm.base_url: http would send people and keys unencrypted; \
               use https, or say allow_http = true if the network between is yours"],
        ),
        (
            &["source.crm: base_url = \"https://ada:canary@crm.example/\""],
            &[
                "source.crm.base_url: must not hold a username or password; use [source.<name>.auth] with kind = \"basic\"",
            ],
        ),
        (
            &["source.crm: base_url = \"https://crm.example/?key=canary\""],
            &["source.crm.base_url: must not hold a query or fragment; move it to query in [source.<name>.request]"],
        ),
        (
            &["source.crm: base_url = \"https://crm.example/{param.event}/\""],
            &["source.crm.base_url: must not hold placeholders; move them to path in [source.<name>.request]"],
        ),
    ]);
}

#[test]
fn the_path_stays_below_the_base_url() {
    for good in ["a/b", "a/{{b}}", ".", "v1.0/people;all", "a%20b", "./a:b"] {
        source(&[&format!("source.crm.request: path = {good:?}")]);
    }
    let leads_out =
        "source.crm.request.path: leads out of base_url; write it without '..' and without a scheme or host";
    check_faults(&[
        (&["source.crm.request: path = \"../other\""], &[leads_out]),
        (&["source.crm.request: path = \"a/%2e%2e/../../b\""], &[leads_out]),
        (&["source.crm.request: path = \"https://evil.example/\""], &[leads_out]),
        (
            &["source.crm.request: path = \"//evil.example/\""],
            &["source.crm.request.path: must be relative to base_url; leave out the slash at the start"],
        ),
        (
            &["source.crm.request: path = \"a?b=c\""],
            &["source.crm.request.path: must not hold a query or fragment; move it to query"],
        ),
        (
            &["source.crm.request: path = \"a\\nb\""],
            &["source.crm.request.path: must not hold control characters; write it on one line, without tabs"],
        ),
        (
            &["source.crm.request: path = \"{param.a\""],
            &["source.crm.request.path: '{' without '}' (write '{{' for a brace); write a placeholder as {param.name}"],
        ),
        (
            &["source.crm.request: path = \"{event}/{external_id}\""],
            &[
                "source.crm.request.path: no placeholder \"{event}\" here; write {param.name}, and give the param in each feed",
                "source.crm.request.path: no placeholder \"{external_id}\" here; \
                 write {param.name}, and give the param in each feed",
            ],
        ),
        (
            &["source.crm.request: -path"],
            &["source.crm.request.path: missing; write path = \"…\", the address of the list below base_url"],
        ),
    ]);
}

#[test]
fn queries_may_repeat_and_hold_numbers() {
    let query = source(&["source.crm.request: query = { z = 1, expand = [\"a\", \"b\"], all = true }"]).request.query;
    assert_eq!(format!("{query:?}"), r#"[("z", 1), ("expand", a), ("expand", b), ("all", true)]"#);
    check_faults(&[(
        &["source.crm.request: query = { a = 1.5, b = [{}], c = \"{x}\" }"],
        &[
            "source.crm.request.query.a: must be a text (got a fraction); put it in quotes",
            "source.crm.request.query.b[0]: must be a text (got a table); put it in quotes",
            "source.crm.request.query.c: no placeholder \"{x}\" here; write {param.name}, and give the param in each feed",
        ],
    )]);
}

#[test]
fn headers() {
    let headers =
        source(&["source.crm.request: headers = { X-Tenant = \"a\", Accept-Language = \"en\" }"]).request.headers;
    assert_eq!(format!("{headers:?}"), r#"[("X-Tenant", a), ("Accept-Language", en)]"#);
    check_faults(&[
        (
            &["source.crm.request: headers = { \"X Y\" = \"a\", Host = \"b\", Connection = \"c\", X-Z = \"ä\" }"],
            &[
                "source.crm.request.headers.\"X Y\": no legal name of a header (got \"X Y\"); use letters, digits and '-' only",
                "source.crm.request.headers.Host: the header Host is set by Rollcall itself; leave it out",
                "source.crm.request.headers.Connection: the header Connection is set by Rollcall itself; leave it out",
                "source.crm.request.headers.X-Z: holds characters that no header can carry; \
                 use visible ASCII characters and blanks",
            ],
        ),
        (
            &["source.crm.request: headers = { authorization = \"canary\", Cookie = \"canary\" }"],
            &[
                "source.crm.request.headers.authorization: the header authorization carries a credential; \
                 set it by [source.<name>.auth]",
                "source.crm.request.headers.Cookie: the header Cookie carries a credential; set it by [source.<name>.auth]",
            ],
        ),
        (
            &["source.crm.request: headers = { X-A = \"1\", x-a = \"2\" }"],
            &["source.crm.request.headers.x-a: this header is set twice; keep one of the two settings"],
        ),
    ]);
}

#[test]
fn bodies_belong_to_posts() {
    let post = "source.crm.request: method = \"POST\"";
    let body =
        source(&[post, "source.crm.request: json = { z = [1, true, 1.5], a = { b = \"x{{y}}\", at = 2026-01-01 } }"]);
    let BodySpec::Json(body) = body.request.body else { panic!("{body:?}") };
    let JsonTemplate::Object(entries) = &body else { panic!("{body:?}") };
    assert_eq!(entries.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
    assert!(format!("{body:?}").contains("Literal(Number(1.5))"), "{body:?}");
    let form = source(&[post, "source.crm.request: form = { a = 1, b = [\"x\", \"y\"] }"]);
    let BodySpec::Form(form) = form.request.body else { panic!("{form:?}") };
    assert_eq!(format!("{form:?}"), r#"[("a", 1), ("b", x), ("b", y)]"#);
    check_faults(&[
        (
            &["source.crm.request: json = { a = 1 }"],
            &["source.crm.request.json: only a POST has a body; write method = \"POST\", or use query"],
        ),
        (
            &["source.crm.request: form = { a = 1 }"],
            &["source.crm.request.form: only a POST has a body; write method = \"POST\", or use query"],
        ),
        (
            &[post, "source.crm.request: json = { a = 1 }", "source.crm.request: form = { a = 1 }"],
            &["source.crm.request.form: a request has one body, json or form; keep one of the two"],
        ),
        (
            &[post, "source.crm.request: json = [1]"],
            &["source.crm.request.json: must be a table; write e.g. json = { status = \"confirmed\" }"],
        ),
        (
            &[post, "source.crm.request: json = { a = [nan, 0xffffffffffffffffffff], b = { c = \"{x}\" } }"],
            &[
                "source.crm.request.json.a[0]: no number that JSON can carry; write a finite number of at most 64 bits",
                "source.crm.request.json.a[1]: no number that JSON can carry; write a finite number of at most 64 bits",
                "source.crm.request.json.b.c: no placeholder \"{x}\" here; write {param.name}, and give the param in each feed",
            ],
        ),
        (
            &["source.crm.request: method = \"PUT\""],
            &["source.crm.request.method: must be one of \"GET\", \"POST\" (got \"PUT\"); choose one, e.g. \"GET\""],
        ),
    ]);
}

#[test]
fn edit_urls() {
    source(&["source.crm: edit_url = \"https://crm.example/{external_id}\""]);
    let example = "write e.g. \"https://crm.example/people/{external_id}\"";
    check_faults(&[
        (
            &["source.crm: edit_url = \"people/{external_id}\""],
            &[&format!("source.crm.edit_url: must be an https address; {example}")],
        ),
        (
            &["source.crm: edit_url = \"javascript:{external_id}\""],
            &[&format!("source.crm.edit_url: must be an https address; {example}")],
        ),
        (
            &["source.crm: edit_url = \"https://crm.example/{id}\""],
            &["source.crm.edit_url: no placeholder \"{id}\" here; write {external_id} or {param.name}"],
        ),
    ]);
}

#[test]
fn authentication() {
    let key = "source.crm.auth: key = { env = \"TOKEN\" }";
    let api_key = "source.crm.auth: kind = \"api_key\"";
    let auth =
        source(&[api_key, key, "source.crm.auth: header = \"Authorization\"", "source.crm.auth: prefix = \"Token \""])
            .auth;
    assert!(matches!(auth, AuthSpec::ApiKey { place: ApiKeyPlace::Header(_), ref prefix, .. } if prefix == "Token "));
    let one_place = "source.crm.auth: an API key goes into exactly one header or query parameter; \
                     write header = \"X-Api-Key\" or query = \"key\"";
    let forms =
        "write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" } (systemd's LoadCredential=)";
    check_faults(&[
        (&[api_key, key], &[one_place]),
        (&[api_key, key, "source.crm.auth: header = \"A\"", "source.crm.auth: query = \"a\""], &[one_place]),
        (
            &[api_key, "source.crm.auth: header = \"Host\"", "source.crm.auth: prefix = \"a\\n\""],
            &[
                &format!("source.crm.auth.key: missing; {forms}"),
                "source.crm.auth.header: the header Host is set by Rollcall itself; leave it out",
                "source.crm.auth.prefix: holds characters that no header can carry; use visible ASCII characters and blanks",
            ],
        ),
        (
            &[api_key, key, "source.crm.auth: header = \"x-key\"", "source.crm.request: headers = { X-Key = \"a\" }"],
            &["source.crm.auth.header: this header is set twice; keep one of the two settings"],
        ),
        (
            &[api_key, key, "source.crm.auth: query = \"key\"", "source.crm.request: query = { key = \"a\" }"],
            &["source.crm.auth.query: this query parameter is set twice; keep one of the two settings"],
        ),
        (
            &["source.crm.auth: kind = \"basic\"", "source.crm.auth: username = \"a:b\""],
            &[
                &format!("source.crm.auth.password: missing; {forms}"),
                "source.crm.auth.username: must not hold ':' or control characters; \
                 check the username; the password has a key of its own",
            ],
        ),
        (
            &["source.crm.auth: kind = \"oauth\""],
            &["source.crm.auth.kind: must be one of \"none\", \"api_key\", \"basic\", \"bearer\", \"oauth2\", \
               \"session\" (got \"oauth\"); did you mean \"oauth2\"?"],
        ),
    ]);
}

#[test]
fn pagination() {
    let kind = |kind: &str| format!("source.crm.pagination: kind = {kind:?}");
    let page = source(&[&kind("page"), "source.crm.pagination: param = \"p\""]).pagination;
    assert!(matches!(page, PaginationSpec::Page { first: 1, size: None, .. }), "{page:?}");
    let offset = ["source.crm.pagination: param = \"o\"", "source.crm.pagination: size = 5", &kind("offset")];
    let offset = source(&offset).pagination;
    assert!(
        matches!(offset, PaginationSpec::Offset { first: 0, size: PageSize { param: None, size: 5 }, .. }),
        "{offset:?}"
    );
    let link = source(&[&kind("link_header"), "source.crm.pagination: has_more = \".more\""]).pagination;
    assert!(
        matches!(link, PaginationSpec::LinkHeader { stop: StopSpec { has_more: Some(_), total: None, .. } }),
        "{link:?}"
    );
    let template = "source.crm.request: query = { after = \"{cursor}\" }";
    let cursor = source(&[&kind("cursor"), template, "source.crm.pagination: from = \".next\""]).pagination;
    assert!(matches!(cursor, PaginationSpec::Cursor { param: CursorPlace::Templates, .. }), "{cursor:?}");
    let one_place = "source.crm.pagination: a cursor goes into exactly one of query, body and the request's templates; \
                     write query = \"cursor\" or body = \"cursor\", or {cursor} in the request";
    let from = "source.crm.pagination: from = \".next\"";
    check_faults(&[
        (&[&kind("cursor"), from, template, "source.crm.pagination: query = \"c\""], &[one_place]),
        (
            &[&kind("link_header"), template],
            &["source.crm.pagination: the request says {cursor}, which this kind does not fill in; \
               write kind = \"cursor\", \"page\" or \"offset\", or take {cursor} out of the request"],
        ),
        (
            &[&kind("page"), "source.crm.pagination: size_param = \"n\""],
            &[
                "source.crm.pagination.param: missing; write e.g. param = \"page\", or {cursor} in the request",
                "source.crm.pagination.size_param: is of no use without size; \
                 write the number of records to ask for, e.g. size = 100",
            ],
        ),
        (
            &[&kind("offset"), "source.crm.pagination: param = \"o\""],
            &["source.crm.pagination.size: missing; write the number of records of a full page, e.g. size = 100"],
        ),
        (
            &[&kind("page"), "source.crm.pagination: param = \"p\"", "source.crm.request: query = { p = 1 }"],
            &["source.crm.pagination.param: this query parameter is set twice; keep one of the two settings"],
        ),
        (
            &[
                &kind("page"),
                "source.crm.pagination: param = \"p\"",
                "source.crm.pagination: size_param = \"p\"",
                "source.crm.pagination: size = 0",
            ],
            &[
                "source.crm.pagination.size_param: this query parameter is set twice; keep one of the two settings",
                "source.crm.pagination.size: must be > 0 (got 0); write a whole number from 1 to 1000000",
            ],
        ),
        (&[&kind("cursor"), from], &[one_place]),
        (
            &[&kind("cursor"), "source.crm.pagination: query = \"c\""],
            &["source.crm.pagination: nothing says where the cursor comes from; \
                 write from = \"…\", where it stands in a page, e.g. \".meta.next_cursor\""],
        ),
        (
            &[&kind("cursor"), from, "source.crm.pagination: body = \"c\""],
            &["source.crm.pagination.body: the request has no body to put a cursor into; \
               give the request json or form, or use query"],
        ),
        (
            &[
                &kind("cursor"),
                from,
                "source.crm.pagination: body = \"c\"",
                "source.crm.request: method = \"POST\"",
                "source.crm.request: json = { c = \"\" }",
            ],
            &["source.crm.pagination.body: this key of the body is set twice; keep one of the two settings"],
        ),
        (
            &[&kind("next_url")],
            &[
                "source.crm.pagination.from: missing; write from = \"…\", where the address of the next page stands, e.g. \".next\"",
            ],
        ),
        (
            &[&kind("pages")],
            &["source.crm.pagination.kind: must be one of \"none\", \"page\", \"offset\", \"cursor\", \"next_url\", \
               \"link_header\" (got \"pages\"); did you mean \"page\"?"],
        ),
    ]);
    let body = [
        "source.crm.request: method = \"POST\"",
        "source.crm.request: form = { a = 1 }",
        "source.crm.pagination: body = \"c\"",
    ];
    let body = source(&[body.as_slice(), &[&kind("cursor"), from]].concat()).pagination;
    assert!(matches!(body, PaginationSpec::Cursor { param: CursorPlace::Body(ref key), .. } if key == "c"), "{body:?}");
}

/// Where numbers and cursors go, where cursors come from, and what ends a list.
#[test]
fn paging_signs_and_places() {
    let kind = |kind: &str| format!("source.crm.pagination: kind = {kind:?}");
    let set = |line: &str| format!("source.crm.pagination: {line}");
    let template = "source.crm.request: query = { p = \"{cursor}\" }";
    let page = source(&[&kind("page"), template]).pagination;
    assert!(matches!(page, PaginationSpec::Page { param: None, .. }), "{page:?}");
    let offset = source(&[&kind("offset"), template, &set("size = 5"), &set("short_page = \"goes_on\"")]).pagination;
    let PaginationSpec::Offset { param: None, stop, .. } = offset else { panic!("{offset:?}") };
    assert_eq!((stop.short_page, stop.empty_page, stop.repeated), (Sign::GoesOn, None, Repeated::Fault));
    let query = set("query = \"c\"");
    let record = set("from_record = \".id\"");
    let header = set("from_header = \"X-Next\"");
    let cursor = source(&[&kind("cursor"), &query, &header, &set("repeated = \"end\""), &set("size = 9")]).pagination;
    let PaginationSpec::Cursor { from: CursorSource::Header(name), size: Some(9), stop, .. } = cursor else {
        panic!("{cursor:?}")
    };
    assert_eq!((name.as_str(), stop.repeated), ("X-Next", Repeated::End));
    let cursor = source(&[&kind("cursor"), &query, &record]).pagination;
    assert!(matches!(cursor, PaginationSpec::Cursor { from: CursorSource::LastRecord(_), .. }), "{cursor:?}");
    let goes_on = set("empty_page = \"goes_on\"");
    let page = source(&[&kind("page"), template, &goes_on, &set("last_page = \".pages\"")]).pagination;
    let PaginationSpec::Page { stop: StopSpec { last_page: Some(_), empty_page: Some(Sign::GoesOn), .. }, .. } = page
    else {
        panic!("{page:?}")
    };
    check_faults(&[
        (
            &[&kind("page"), template, &set("param = \"p\"")],
            &["source.crm.pagination.param: the request says {cursor}, too; keep one of the two"],
        ),
        (
            &[&kind("cursor"), &query, &record, &header],
            &[
                "source.crm.pagination: a cursor comes from exactly one of from, from_record and from_header; keep one of them",
            ],
        ),
        (
            &[&kind("cursor"), &query, &set("from_header = \"X Next\"")],
            &[
                "source.crm.pagination.from_header: no legal name of a header (got \"X Next\"); use letters, digits and '-' only",
            ],
        ),
        (
            &[&kind("cursor"), &query, &record, &goes_on],
            &["source.crm.pagination.empty_page: an empty page has no last record to go on from; \
               leave it out, or use from or from_header"],
        ),
        (
            &[&kind("page"), template, &goes_on],
            &["source.crm.pagination.empty_page: numbers never run out, so nothing would end the list; \
               say has_more, last_page or total, too"],
        ),
        (
            &[&kind("page"), template, &set("short_page = \"goes_on\"")],
            &["source.crm.pagination.short_page: is of no use without size; \
               write how many records a full page has, or leave it out"],
        ),
        (
            &[&kind("next_url"), &set("from = \".n\""), &set("repeated = \"ends\"")],
            &[
                "source.crm.pagination.repeated: must be one of \"fault\", \"end\" (got \"ends\"); did you mean \"end\"?",
            ],
        ),
        (
            &[&kind("link_header"), &set("short_page = \"end\"")],
            &[
                "source.crm.pagination.short_page: no such key; known here: kind, has_more, total, empty_page, repeated, stable",
            ],
        ),
    ]);
}

/// One rule, its keys on one line.
fn error_rule(keys: &str) -> String {
    format!("source.crm: error = [{{ {keys} }}]")
}

#[test]
fn rules_on_errors() {
    let rules = source(&[&error_rule(
        "status = [200, \"4xx\"], header = { name = \"X-A\", contains = \"b\" }, when = \".e\", contains = \"t\", \
         then = \"ignore\", hint = \"h\"",
    )])
    .errors;
    let [ErrorRule { statuses, header: Some(header), when: Some(when), contains, then, hint }] = &rules[..] else {
        panic!("{rules:?}")
    };
    assert_eq!((statuses.as_slice(), when.source()), ([200..=200, 400..=499].as_slice(), ".e"));
    assert_eq!((header.name.as_str(), header.contains.as_deref()), ("X-A", Some("b")));
    assert_eq!((contains.as_deref(), *then, hint.as_deref()), (Some("t"), Verdict::Ignore, Some("h")));
    let rules = source(&[&error_rule("status = 503, then = \"fail\"")]).errors;
    assert_eq!((rules[0].statuses.as_slice(), rules[0].then), ([503..=503].as_slice(), Verdict::Fail));
    assert!(source(&[]).errors.is_empty());

    let every = "source.crm.error[0]: every success would meet this rule, and no page would ever be read; \
                 write a status of errors, e.g. \"4xx\", or what tells the error: header, when or contains";
    let long = format!("then = \"fail\", contains = \"{}\"", "x".repeat(1025));
    let many = format!("source.crm: error = [{}]", "{ status = 404, then = \"fail\" },".repeat(65));
    check_faults(&[
        (&[&error_rule("then = \"fail\"")], &[every]),
        (&[&error_rule("then = \"fail\", status = [404, \"2xx\"]")], &[every]),
        (
            &[&error_rule("status = 404")],
            &["source.crm.error[0].then: missing; write what the answer means, e.g. then = \"fail\""],
        ),
        (
            &[&error_rule("status = [99, \"4XX\", 600], then = \"give_up\"")],
            &[
                "source.crm.error[0].status[0]: must be at least 200 (got 99); write a whole number from 200 to 599",
                "source.crm.error[0].status[1]: no status (got \"4XX\"); \
                 write a number, or \"2xx\", \"3xx\", \"4xx\" or \"5xx\"",
                "source.crm.error[0].status[2]: must be at most 599 (got 600); write a whole number from 200 to 599",
                "source.crm.error[0].then: must be one of \"retry\", \"rate_limited\", \"quota_exhausted\", \
                 \"refresh_token\", \"ignore\", \"fail\" (got \"give_up\"); choose one, e.g. \"retry\"",
            ],
        ),
        (
            &[&error_rule("status = [], then = \"fail\"")],
            &["source.crm.error[0].status: an empty list; write e.g. 403 or \"4xx\", or leave it out"],
        ),
        (
            &[&error_rule("header = { contains = \"a\" }, then = \"fail\"")],
            &["source.crm.error[0].header.name: missing; write e.g. name = \"X-Error\""],
        ),
        (
            &[&error_rule("header = { name = \"X A\" }, then = \"fail\"")],
            &["source.crm.error[0].header.name: no legal name of a header (got \"X A\"); \
               use letters, digits and '-' only"],
        ),
        (&[&error_rule(&long)], &["source.crm.error[0].contains: longer than 1024 bytes; shorten it"]),
        (&[&many], &["source.crm.error[64]: more than 64 rules; let one rule cover several cases"]),
        (
            &[&error_rule("status = 404, then = \"fail\", reason = \"x\"")],
            &["source.crm.error[0].reason: no such key; \
               known here: status, header, when, contains, then, hint"],
        ),
    ]);
}
