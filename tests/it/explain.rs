//! Why somebody is, or is not, in an event: asked of the real binary after real syncs.

use serde_json::{Value, json};

use crate::support::{Installation, ListServer, ONE_FEED};

struct Place {
    server: ListServer,
    installation: Installation,
}

fn record(id: u32, email: &str) -> Value {
    json!({"id": id, "email": email, "first": "F", "last": "L"})
}

impl Place {
    async fn new() -> Self {
        let server = ListServer::start().await;
        let config = ONE_FEED.replace("URL", &format!("http://{}", server.address));
        let config = config.replace("select = \".items[]\"", "select = \".items[]\"\nskip_when = \".test\"");
        Self { server, installation: Installation::new(&config) }
    }

    fn set(&self, records: &[Value]) {
        self.server.set("s", vec![json!({ "items": records }).to_string()]);
    }

    async fn sync(&self, records: &[Value], code: i32) {
        self.set(records);
        let mut program = self.installation.start(&["sync", "e"]);
        assert_eq!(program.code().await, Some(code), "{}", program.stderr());
    }

    async fn text(&self, arguments: &[&str]) -> String {
        let mut program = self.installation.start(&[&["explain", "e"], arguments].concat());
        assert_eq!(program.code().await, Some(0), "{arguments:?}: {}", program.stderr());
        program.stdout()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.text(&[arguments, &["--json"]].concat()).await).unwrap()
    }

    /// The answers to the questions, in their order.
    async fn answers(&self, arguments: &[&str]) -> Vec<String> {
        let answer = self.json(arguments).await;
        assert_eq!(answer["feeds"].as_array().unwrap().len(), 1, "{answer}");
        let steps = answer["feeds"][0]["steps"].as_array().unwrap();
        let word = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
        assert!(steps.iter().all(|step| word(step, "text").len() > 10), "{answer}");
        steps.iter().map(|step| format!("{} {}", word(step, "question"), word(step, "answer"))).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_ends_with_its_reason() {
    let place = Place::new().await;
    let before = place.answers(&["--external-id", "1"]).await;
    assert_eq!(before, ["read no", "listed unknown", "decided unknown", "attends no"], "never synced");
    let mut filtered = record(2, "bob@x.org");
    filtered["test"] = json!(true);
    let records =
        [record(1, "Ada@x.org"), filtered, record(3, "carol"), record(4, "dan@x.org"), record(4, "dora@x.org")];
    place.sync(&records, 0).await;

    let here = ["read yes", "listed yes", "mapped yes", "matched yes", "decided yes", "attends yes"];
    for whom in [["--external-id", "1"], ["--email", " ada@X.ORG"]] {
        assert_eq!(place.answers(&whom).await, here, "{whom:?}");
    }
    let ada = place.json(&["--external-id", "1"]).await;
    let (user, change) = (&ada["feeds"][0]["user"], &ada["feeds"][0]["change"]);
    assert_eq!((&change["run"], &change["action"]), (&json!(1), &json!("create")), "{change}");
    assert_eq!(change["after"]["fields"]["first_name"]["value"], "F", "the values used");
    assert_eq!(place.answers(&["--user", user["id"].as_str().unwrap()]).await, here);

    let out = ["read yes", "listed yes", "selected no", "decided unknown", "attends no"];
    assert_eq!(place.answers(&["--external-id", "2"]).await, out);
    assert!(place.text(&["--external-id", "2"]).await.contains("`skip_when` took the record out"));
    let rejected = ["read yes", "listed yes", "mapped no", "decided unknown", "attends no"];
    assert_eq!(place.answers(&["--external-id", "3"]).await, rejected);
    let text = place.text(&["--external-id", "3"]).await;
    assert!(text.contains("rejected: invalid_email (email); correct the email in the source"), "{text}");
    let duplicate = ["read yes", "listed yes", "selected no", "matched yes", "decided yes", "attends yes"];
    assert_eq!(place.answers(&["--external-id", "4"]).await, duplicate, "one of two");
    let absent = ["read yes", "listed no", "decided unknown", "attends no"];
    assert_eq!(place.answers(&["--external-id", "9"]).await, absent);
    let unknown = ["read yes", "listed unknown", "decided unknown", "attends no"];
    assert_eq!(place.answers(&["--email", "bob@x.org"]).await, unknown, "notes bear no email");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_later_is_what_counts() {
    let place = Place::new().await;
    place.sync(&[record(1, "ada@x.org"), record(2, "bob"), record(3, "cy@x.org")], 0).await;
    let cancelled = json!({"id": 1, "email": "ada@x.org", "first": "F", "last": "L", "status": "cancelled"});
    place.sync(&[cancelled, record(2, "bob@x.org")], 0).await;
    let ada = place.json(&["--external-id", "1"]).await;
    assert_eq!(
        (&ada["feeds"][0]["change"]["run"], &ada["feeds"][0]["change"]["action"]),
        (&json!(2), &json!("remove"))
    );
    let text = place.text(&["--external-id", "1"]).await;
    assert!(text.contains("cancelled (`removed_when`)") && text.contains("run 2 took them out"), "{text}");
    let bob = ["read yes", "listed yes", "mapped yes", "matched yes", "decided yes", "attends yes"];
    assert_eq!(place.answers(&["--external-id", "2"]).await, bob, "it was rejected only once");
    let cy = ["read yes", "listed no", "mapped yes", "matched yes", "decided yes", "attends yes"];
    assert_eq!(place.answers(&["--external-id", "3"]).await, cy, "gone from the list, still here");

    place.server.set("s", vec!["{}".to_owned()]);
    let mut failing = place.installation.start(&["sync", "e"]);
    assert_eq!(failing.code().await, Some(1));
    let text = place.text(&["--external-id", "2"]).await;
    assert!(text.contains("run 2 read the whole list") && text.contains("run 3 after it failed: select"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_itself_is_asked_where_that_is_wanted() {
    let place = Place::new().await;
    place.sync(&[record(1, "ada@x.org")], 0).await;
    let mut filtered = record(2, "Bob@x.org");
    filtered["test"] = json!(true);
    place.set(&[record(1, "ada@x.org"), filtered, record(3, "new@x.org"), record(4, "ada@x.org")]);

    let live = async |whom: [&str; 2]| {
        let answer = place.json(&[whom.as_slice(), &["--fetch"]].concat()).await;
        assert_eq!((&answer["live"][0]["records"], &answer["live"][0]["failure"]), (&json!(4), &Value::Null));
        let found = answer["live"][0]["found"].as_array().unwrap().clone();
        found
            .iter()
            .map(|r| (r["raw"]["id"].clone(), r["outcome"].clone(), r["changes"][0]["action"].clone()))
            .collect::<Vec<_>>()
    };
    let (mapped, skipped) = (json!("mapped"), json!("skipped"));
    assert_eq!(live(["--external-id", "3"]).await, [(json!(3), mapped.clone(), json!("create"))]);
    assert_eq!(live(["--email", "bob@x.org"]).await, [(json!(2), skipped, Value::Null)], "found by its text");
    let ada = live(["--email", "ada@x.org"]).await;
    assert_eq!(ada, [(json!(1), mapped.clone(), Value::Null), (json!(4), mapped, json!("update"))]);
    assert_eq!(live(["--external-id", "9"]).await, []);
    let text = place.text(&["--external-id", "3", "--fetch"]).await;
    assert!(text.contains("s now: 1 of 4 records on 2 pages are theirs") && text.contains("would create"), "{text}");
    assert_eq!(place.answers(&["--external-id", "3"]).await[1], "listed no", "nothing was changed by looking");

    place.server.set("s", vec!["<html>".to_owned()]);
    let failed = place.json(&["--external-id", "3", "--fetch"]).await;
    assert_eq!(failed["live"][0]["failure"]["reason"], "decode", "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_must_be_named() {
    let place = Place::new().await;
    for arguments in [&["explain", "e"][..], &["explain", "e", "--email", "a@x.org", "--user", "7"]] {
        let mut program = place.installation.start(arguments);
        assert_eq!(program.code().await, Some(2), "{}", program.stderr());
    }
}
