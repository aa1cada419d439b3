//! What people enter, what events map otherwise, login links, and what goes back.

use super::*;

const PUSH: [&str; 2] =
    ["source.crm.push.links: path = \"links\"", "source.crm.push.links: body = \"[.items[].webapp_link]\""];

/// Each row: edits, and how the one fault that they make begins.
fn check(rows: &[(&[&str], &str)]) {
    for (edits, expected) in rows {
        let found = faults(edits);
        assert_eq!(found.len(), 1, "{edits:?}: {found:?}");
        assert!(found[0].starts_with(expected), "{edits:?}\n{}\n{expected}", found[0]);
    }
}

fn with_push<'a>(edits: &[&'a str]) -> Vec<&'a str> {
    PUSH.iter().copied().chain(edits.iter().copied()).collect()
}

#[test]
fn credentials() {
    let list = "source.crm.credential.list: description = \"the list\"";
    check(&[
        (&["source.crm.credential.list: scope = \"event\""], "source.crm.credential.list.description: missing"),
        (&[list, "source.crm.credential.list: scope = \"pre_set\""], "source.crm.credential.list.value: missing"),
        (
            &[list, "source.crm.credential.list: value = \"7\""],
            "source.crm.credential.list.value: each event enters its own",
        ),
        (
            &[list, "source.crm.credential.list: scope = \"secret\"", "source.crm.credential.list: value = \"7\""],
            "source.crm.credential.list.value: stands in auth",
        ),
        (
            &[list, "source.crm.credential.list: scope = \"secret\"", "source.crm.credential.list: valid_when = \".\""],
            "source.crm.credential.list.valid_when: is for what events enter",
        ),
        (
            &["source.crm.credential.\"a b\": description = \"x\""],
            "source.crm.credential.\"a b\": no name of a credential",
        ),
    ]);
    let numbered = [
        "source.crm.request: path = \"lists/{param.list}\"",
        list,
        "source.crm.credential.list: valid_when = 'test(\"^[0-9]+$\")'",
    ];
    let event = |params: &str| format!("event.summit: feed = [{{ source = \"crm\"{params} }}]");
    for (params, expected) in [
        ("", Some("event.summit.feed[0].params: the source crm needs the param list: the list")),
        (", params = { list = \"x7\" }", Some("event.summit.feed[0].params.list: not as the source wants it")),
        (", params = { list = \"17\" }", None),
    ] {
        let event = event(params);
        let edits: Vec<&str> = numbered.iter().copied().chain([event.as_str()]).collect();
        let found = faults(&edits);
        assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
        assert!(expected.is_none_or(|expected| found[0].starts_with(expected)), "{found:?}");
    }
    let spec = source(&[
        "source.crm.request: path = \"lists/{param.list}\"",
        list,
        "source.crm.credential.list: scope = \"pre_set\"",
        "source.crm.credential.list: value = \"7\"",
    ]);
    assert_eq!(spec.pre_set().collect::<Vec<_>>(), [("list".to_owned(), "7".to_owned())]);
    assert!(source_placeholders(&spec).is_empty(), "no event has to give it");
}

#[test]
fn what_events_map_otherwise() {
    let locked = "source.crm.mapping: locked = [\"external_id\"]";
    check(&[
        (&["source.crm.mapping: locked = [\"e-mail\"]"], "source.crm.mapping.locked[0]: a mapping says no such thing"),
        (
            &["event.summit: feed = [{ source = \"crm\", mapping = { compny = \".c\" } }]"],
            "event.summit.feed[0].mapping.compny: a mapping says no such thing (got \"compny\"); did you mean \"company\"?",
        ),
        (
            &["event.summit: feed = [{ source = \"crm\", mapping = { email = \"\" } }]"],
            "event.summit.feed[0].mapping.email: everybody needs one",
        ),
        (
            &["event.summit: feed = [{ source = \"crm\", mapping = { custom = { x = \".a |\" } } }]"],
            "event.summit.feed[0].mapping.custom.x: syntax error",
        ),
        (
            &[locked, "event.summit: feed = [{ source = \"crm\", mapping = { external_id = \".no\" } }]"],
            "event.summit.feed[0].mapping.external_id: the source locks it",
        ),
    ]);
}

#[test]
fn login_links() {
    let links = |text: &'static str| ["event.summit: links = { link = LINK }".replace("LINK", text)];
    for (link, expected) in [
        ("\"https://x.org/{token}\"", None),
        ("\"http://127.0.0.1/{token}?{event}&{user}\"", None),
        ("\"https://x.org/\"", Some("event.summit.links.link: lets everybody in by the same address")),
        ("\"http://x.org/{token}\"", Some("event.summit.links.link: must be an https address")),
        ("\"https://x.org/{token}{email}\"", Some("event.summit.links.link: no placeholder {email} here")),
        ("\"https://x.org/{token\"", Some("event.summit.links.link: '{' without '}'")),
        (
            "\"https://x.org/{token}\", password_length = 7",
            Some("event.summit.links.password_length: must be 0 or 8 to 64"),
        ),
        ("\"https://x.org/{token}\", password_length = 0", None),
    ] {
        let edits = links(link);
        let found = faults(&edits.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(found.len(), usize::from(expected.is_some()), "{link}: {found:?}");
        assert!(expected.is_none_or(|expected| found[0].starts_with(expected)), "{found:?}");
    }
}

#[test]
fn what_goes_back() {
    check(&[
        (&["source.crm.push.links: path = \"links\""], "source.crm.push.links.body: missing"),
        (&with_push(&["source.crm.push.links: path = \"/links\""]), "source.crm.push.links.path: must be relative"),
        (
            &with_push(&["source.crm.push.links: path = \"{cursor}\""]),
            "source.crm.push.links.path: no placeholder \"{cursor}\" here",
        ),
        (
            &with_push(&["source.crm.push.links: path = \"{item.id}\""]),
            "source.crm.push.links: {item.id} stands for nothing",
        ),
        (
            &with_push(&[
                "source.crm.push.links: path = \"{item.id}\"",
                "source.crm.push.links: item = { id = \".external_id\" }",
                "source.crm.push.links: batch = 2",
            ]),
            "source.crm.push.links: a request of several items cannot say {item.x}",
        ),
        (&with_push(&["source.crm.push.links: method = \"GET\""]), "source.crm.push.links.method: must be one of"),
        (&with_push(&["source.crm.push.links: batch = 0"]), "source.crm.push.links.batch: must be"),
        (&with_push(&["source.crm.push.links: every = \"1ms\""]), "source.crm.push.links.every: must be"),
        (
            &with_push(&["source.crm.push.links: headers = { Cookie = \"x\" }"]),
            "source.crm.push.links.headers.Cookie: the header Cookie carries a credential",
        ),
        (
            &with_push(&[
                "source.crm.push.links: weight = 9",
                "source.crm: budget = [{ requests = 5, per = \"second\" }]",
            ]),
            "source.crm.budget[0].requests: ",
        ),
        (&["source.crm.push.\"A b\": path = \"x\""], "source.crm.push.\"A b\": no legal name"),
    ]);
    let spec = source(&with_push(&["source.crm.push.links: confirm = { webapp_link = \".link\" }"]));
    let push = &spec.pushes[0];
    assert_eq!((push.batch, push.withdraw, push.confirm.len()), (1, true, 1));
    assert_eq!(push.confirm[0].0, PassValue::WebappLink);
}
