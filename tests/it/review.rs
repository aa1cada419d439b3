//! What a person should look at: found by real syncs, gone when the source has mended it.

use serde_json::{Value, json};

use crate::support::{Installation, ListServer, ONE_FEED};

struct Place {
    server: ListServer,
    installation: Installation,
}

impl Place {
    async fn new() -> Self {
        let server = ListServer::start().await;
        let installation = Installation::new(&ONE_FEED.replace("URL", &format!("http://{}", server.address)));
        Self { server, installation }
    }

    async fn run(&self, arguments: &[&str]) -> String {
        let mut program = self.installation.start(arguments);
        let code = program.code().await;
        assert_eq!(code, Some(0), "{arguments:?}: {}", program.stderr());
        program.stdout()
    }

    async fn sync(&self, records: &[Value]) {
        self.server.set("s", vec![json!({ "items": records }).to_string()]);
        self.run(&["sync", "e"]).await;
    }

    /// What there is to look at: external id or address, what, run.
    async fn review(&self) -> Vec<(String, String, Option<u64>)> {
        let answer: Value = serde_json::from_str(&self.run(&["review", "e", "--json"]).await).unwrap();
        let items = answer["items"].as_array().unwrap();
        let told = items.iter().map(|item| {
            assert!(item["what_to_do"].as_str().unwrap().len() > 10 && item["source"] == "s", "{item}");
            let what = item["reason"].as_str().or(item["kind"].as_str()).unwrap();
            let whom = item["external_id"].as_str().or(item["user"].as_str()).unwrap_or("-");
            (whom.to_owned(), what.to_owned(), item["run"].as_u64())
        });
        told.collect()
    }
}

fn record(id: u32, email: &str, first: &str) -> Value {
    json!({"id": id, "email": email, "first": first, "last": "L"})
}

fn told(whom: &str, what: &str, run: u64) -> (String, String, Option<u64>) {
    (whom.to_owned(), what.to_owned(), Some(run))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_holds_what_is_wrong_until_it_is_mended() {
    let place = Place::new().await;
    assert_eq!(place.run(&["review", "e"]).await, "nothing to look at\n");
    let (ada, bob) = (record(1, "ada@x.org", "Ada"), record(2, "bob@x.org", "Bob"));
    let broken = [record(3, "carol", "Carol"), json!({"id": 4, "email": "d@x.org", "last": "L"}), json!({"email": 5})];
    let records = [&[ada.clone(), bob.clone(), record(2, "bob@x.org", "Rob")], &broken[..]].concat();
    place.sync(&records).await;
    let found = [
        told("-", "missing_field", 1),
        told("3", "invalid_email", 1),
        told("4", "missing_field", 1),
        told("2", "duplicate_id", 1),
    ];
    assert_eq!(place.review().await, found);
    // What has not changed is found again, though nothing of it is mapped anew.
    place.sync(&records).await;
    assert_eq!(place.review().await, found.map(|(whom, what, _)| (whom, what, Some(2))));
    let table = place.run(&["review", "e"]).await;
    assert!(table.contains("correct the email in the source") && table.contains("duplicate id"), "{table}");

    place.sync(&[ada.clone(), bob.clone(), record(3, "carol@x.org", "Carol"), broken[1].clone()]).await;
    assert_eq!(place.review().await, [told("4", "missing_field", 3)]);
    place.sync(&[ada, bob]).await;
    assert_eq!(place.review().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_names_who_shares_an_email_and_whose_email_is_taken() {
    let place = Place::new().await;
    let (ada, bob) = (record(1, "ada@x.org", "Ada"), record(2, "bob@x.org", "Bob"));
    place.sync(&[ada.clone(), bob.clone(), record(3, "ada@x.org", "Agnes")]).await;
    let shared = place.review().await;
    assert_eq!(shared.len(), 1, "{shared:?}");
    let (user, what, run) = &shared[0];
    assert_eq!((what.as_str(), run), ("shared_email", &None));
    let people: Value = serde_json::from_str(&place.run(&["review", "e", "--json"]).await).unwrap();
    assert_eq!(people["items"][0]["user"], user.as_str());

    // Bob now bears Ada's email, who is somebody else.
    place.sync(&[ada.clone(), record(2, "ada@x.org", "Bob")]).await;
    assert_eq!(place.review().await, [told("2", "email_taken", 2)], "who left no longer shares");
    place.sync(&[ada, bob]).await;
    assert_eq!(place.review().await, []);
}

/// A page of the list begins where the one before ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_read_whole() {
    let place = Place::new().await;
    let good = (0..1000).map(|id| record(id, &format!("p{id}@x.org"), "P"));
    let bad = (2000..3500).map(|id| json!({"id": id, "email": "nobody", "first": "N", "last": "L"}));
    place.sync(&good.chain(bad).collect::<Vec<_>>()).await;
    let mut ids: Vec<_> = place.review().await.into_iter().map(|(whom, ..)| whom.parse::<u32>().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (2000..3500).collect::<Vec<_>>());
}
