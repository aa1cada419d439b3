//! `[source.<name>.hook]`, with the exact words of its faults.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;

const SECRET: &str = "source.crm.hook: secret = { env = \"TOKEN\" }";
const HEADER: &str = "source.crm.hook: signature_header = \"X-Sign\"";
const RECORD: &str = "source.crm.hook: record = { path = \"attendees/{hook.id}\", weight = 3 }";
const IDS: &str = "source.crm.hook: ids = \".id\"";

/// Long enough for a path, which `TOKEN` is not.
fn with_path(secret: &str) -> Result<Config, Vec<String>> {
    let text = edited(&["source.crm.hook: path_secret = { env = \"PATH_SECRET\" }"]);
    match Config::parse(&text, Path::new("r.toml"), &Environment::from_iter([("PATH_SECRET", secret)])) {
        Ok((config, _)) => Ok(config),
        Err(ConfigError::Faults { faults, .. }) => Err(faults.iter().map(ToString::to_string).collect()),
        Err(error) => panic!("{error}"),
    }
}

fn hook(edits: &[&str]) -> HookSpec {
    source(edits).hook.expect("there is a hook").as_ref().clone()
}

#[test]
fn a_hook_and_its_defaults() {
    assert!(source(&[]).hook.is_none());
    let plain = hook(&[SECRET, HEADER]);
    assert!(plain.ids.is_none() && plain.event.is_none() && plain.record.is_none());
    assert_eq!((plain.min_interval, plain.remember), (Duration::from_secs(10), Duration::from_secs(300)));
    let HookProof::Signature(signature) = &plain.proof else { panic!("{plain:?}") };
    assert_eq!(
        (signature.header.as_str(), signature.text, signature.prefix.as_str()),
        ("X-Sign", SignatureText::Hex, "")
    );
    assert!(signature.timestamp_header.is_none() && !format!("{plain:?}").contains(signature.secret.expose_secret()));

    let own = source(&[SECRET, HEADER, IDS, RECORD, "source.crm.hook: select = \".one\""]);
    assert_eq!(own.weight_max(), 3, "the budget must allow it");
    let record = own.hook.as_ref().and_then(|hook| hook.record.as_ref()).expect("a record");
    assert_eq!(record.select.source(), ".one");
    let like_the_list = hook(&[SECRET, HEADER, IDS, RECORD]);
    assert_eq!(like_the_list.record.expect("a record").select.source(), ".[]");

    let feed = "event.summit: feed = [{ source = \"crm\", params = { slug = \"a\" } }]";
    let of_an_event = ["source.crm.hook: event = \".e\"", "source.crm.hook: event_param = \"slug\""];
    let event = hook(&[SECRET, HEADER, of_an_event[0], of_an_event[1], feed]).event.expect("an event");
    assert_eq!((event.value.source(), event.param.as_str()), (".e", "slug"));
    let lacking = faults(&[SECRET, HEADER, of_an_event[0], of_an_event[1]]);
    assert!(lacking.len() == 1 && lacking[0].contains("slug"), "each feed must say it: {lacking:?}");
}

#[test]
fn a_secret_path_is_long_and_plain() {
    let config = with_path("0123456789abcdef").expect("sound");
    let hook = config.sources.values().next().and_then(|source| source.hook.clone()).expect("a hook");
    assert!(matches!(&hook.proof, HookProof::Path(_)) && !format!("{hook:?}").contains("0123456789"));
    for secret in ["0123456789abcde", "0123456789abcde/", "0123456789abcdeé", &"x".repeat(257)] {
        let fault = "source.crm.hook.path_secret.env: the secret must be 16 to 256 letters, digits, '-', '.', '_' and '~'; \
                     make one with `openssl rand -hex 32`";
        let found = with_path(secret).err().unwrap_or_default();
        assert!(found.len() == 1 && found[0].ends_with(fault.split_once(": ").expect("two parts").1), "{found:?}");
        assert!(!found[0].contains(secret), "{found:?}");
    }
}

#[test]
fn faults_of_hooks() {
    check_faults(&[
        (
            &[HEADER],
            &["source.crm.hook: a hook needs a secret, or anybody could send one; \
               write secret, if the source signs its hooks, with signature_header; else path_secret"],
        ),
        (
            &[SECRET],
            &["source.crm.hook.signature_header: missing; \
               write where the signature stands, e.g. signature_header = \"X-Signature\""],
        ),
        (
            &[SECRET, HEADER, "source.crm.hook: path_secret = { env = \"TOKEN\" }"],
            &["source.crm.hook.path_secret: a hook is proved by its signature or by its path, not by both; \
               keep secret, if the source signs its hooks; else path_secret"],
        ),
        (
            &[SECRET, HEADER, "source.crm.hook: signature = \"hax\"", "source.crm.hook: min_interval = \"2d\""],
            &[
                "source.crm.hook.signature: must be one of \"hex\", \"base64\" (got \"hax\"); did you mean \"hex\"?",
                "source.crm.hook.min_interval: must be from 0s to 1d (got \"2d\"); choose a value within these bounds",
            ],
        ),
        (
            &[SECRET, HEADER, IDS],
            &["source.crm.hook.ids: is of no use without record; write how a record is asked for, or leave it out"],
        ),
        (
            &[SECRET, HEADER, RECORD],
            &["source.crm.hook.record: needs ids; write where a hook names the records, e.g. ids = \".id\""],
        ),
        (
            &[SECRET, HEADER, "source.crm.hook: select = \".\""],
            &["source.crm.hook.select: is of no use without record; write how a record is asked for, or leave it out"],
        ),
        (
            &[SECRET, HEADER, "source.crm.hook: event = \".e\""],
            &["source.crm.hook.event: needs event_param; \
               write which param of the feeds it is, e.g. event_param = \"event\""],
        ),
        (
            &[SECRET, HEADER, "source.crm.hook: event_param = \"e\""],
            &["source.crm.hook.event_param: is of no use without event; \
               write where a hook says it, e.g. event = \".event\", or leave it out"],
        ),
        (
            &[
                SECRET,
                HEADER,
                IDS,
                "source.crm.hook: record = { path = \"a/{parent.x}\", query = { s = \"{since}\" } }",
            ],
            &[
                "source.crm.hook.record: no part of the request says {hook.id}; write e.g. path = \"attendees/{hook.id}\"",
                "source.crm.hook.record: the request of one record cannot say {since}; leave it out: there is one page",
                "source.crm.hook.record: a hook does not say which parent a record has; \
                 leave record out, so that a hook starts a sync",
            ],
        ),
        (
            &["source.crm.request: path = \"people/{hook.id}\""],
            &["source.crm.request: a list does not know {hook.id}; move it to record in [source.<name>.hook]"],
        ),
        (
            &[
                "source.crm: partition = [{ request = { path = \"e/{hook.id}\" }, select = \".[]\", fields = { x = \".x\" } }]",
            ],
            &["source.crm.partition[0].request: a list of parents does not know {hook.id}; leave it out"],
        ),
        (
            &[SECRET, HEADER, IDS, RECORD, "source.crm: budget = [{ requests = 2, per = \"minute\" }]"],
            &["source.crm.budget[0].requests: allows no request at all, for each weighs 3 (got 2); \
               raise it, or lower weight in [source.<name>.request]"],
        ),
    ]);
}
