//! Lists that are no JSON, from the config to the store: the same mapping, the same digests.

use serde_json::Value;

use crate::support::{Installation, ListServer, ONE_FEED};

struct Place {
    server: ListServer,
    installation: Installation,
}

impl Place {
    /// With these lines in `[source.s.records]`.
    async fn new(records: &str) -> Self {
        let server = ListServer::start().await;
        let config = ONE_FEED
            .replace("URL", &format!("http://{}", server.address))
            .replace("kind = \"page\"\nparam = \"page\"", "kind = \"none\"")
            .replace("select = \".items[]\"", records);
        Self { server, installation: Installation::new(&config) }
    }

    /// A sync of this list, as its run tells.
    async fn sync(&self, list: &str, code: i32) -> Value {
        self.server.set("s", vec![list.to_owned()]);
        let mut program = self.installation.start(&["sync", "e", "--json"]);
        let ended = program.code().await;
        assert_eq!(ended, Some(code), "{}{}", program.stdout(), program.stderr());
        let said: Value = serde_json::from_str(&program.stdout()).unwrap();
        said["runs"][0].clone()
    }
}

/// What became of the records: created, updated, unchanged, rejected.
fn counts(run: &Value) -> [u64; 4] {
    ["create", "update", "unchanged", "reject"].map(|count| run["counts"][count].as_u64().unwrap())
}

async fn check(records: &str, list: [&str; 3], cut: &str) {
    let place = Place::new(records).await;
    let [first, second, third] = list;
    assert_eq!(counts(&place.sync(first, 0).await), [2, 0, 0, 0]);
    assert_eq!(counts(&place.sync(second, 0).await), [0, 0, 2, 0], "the same people, otherwise laid out");
    assert_eq!(counts(&place.sync(third, 0).await), [0, 1, 1, 1]);
    let failed = place.sync(cut, 1).await;
    assert_eq!(failed["error"]["reason"], "decode", "{failed}");
    assert_eq!(counts(&place.sync(third, 0).await), [0, 0, 2, 1], "half a list changed nobody");
}

#[tokio::test]
async fn a_list_by_lines_is_synced() {
    const ADA: &str = r#"{"id":1,"email":"ada@example.org","first":"Ada","last":"Lovelace"}"#;
    const ZOE: &str = r#"{"id":2,"email":"zoe@example.org","first":"Zoë","last":"Ng"}"#;
    let wed = ADA.replace("Lovelace", "King");
    let lists = [format!("{ADA}\n{ZOE}\n"), format!("{ZOE}\r\n\r\n{ADA}"), format!("{wed}\n{ZOE}\n{{\"id\":3}}\n")];
    check("format = \"ndjson\"", lists.each_ref().map(String::as_str), &format!("{ZOE}\n{}", &ADA[..40])).await;
}

#[tokio::test]
async fn a_table_is_synced() {
    let lists = [
        "id;email;first;last\n1;ada@example.org;Ada;Lovelace\n2;zoe@example.org;Zoë;Ng\n",
        "\u{feff}id;email;first;last\r\n\r\n2;\"zoe@example.org\";Zoë;Ng\r\n1;ada@example.org;Ada;\"Lovelace\"",
        "id;email;first;last\n1;ada@example.org;Ada;\"King; countess\"\n2;zoe@example.org;Zoë;Ng\n3;;;\n",
    ];
    check("format = \"csv\"\ncsv = { delimiter = \";\" }", lists, "id;email;first;last\n1;ada@example.org;A").await;
}
