//! Stores written by earlier builds still open and say the same. `tests/fixtures/store-v1` is a data directory as the
//! first layout's build left it; it is never written again. A new layout gets a new directory and a new test.
//!
//! It was made by this test with `WRITE_FIXTURE=1`, which refuses to overwrite what is there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Appliance, ListServer, copy_data, plan_text, store_text};

const STEPS: [(&str, &str, &str); 5] = [
    (
        "e",
        "s",
        r#"{"id": 1, "email": "Ada@x.org", "first": "Ada", "last": "Lovelace", "company": "Engines", "diet": "vegan",
            "updated": "2026-02-01T10:00:00.5Z", "groups": ["VIP", "Über"], "type": "speaker"},
           {"id": 2, "email": "ada@x.org", "first": "Augusta", "last": "King", "diet": ["halal", "vegan"]},
           {"id": 3, "email": "grace@x.org", "first": "Grace", "last": "Hopper", "diet": 12.5, "status": "pending"},
           {"id": 4, "email": "alan@x.org", "first": "Alan", "last": "Turing", "diet": true}"#,
    ),
    (
        "e",
        "t",
        r#"{"id": "t-1", "email": "ada@x.org", "first": "Ada", "last": "Byron", "phone": "1", "groups": "vip"}"#,
    ),
    ("f", "s", r#"{"id": 1, "email": "alan@x.org", "first": "A.", "last": "Turing", "badge": "https://x.org/1.png"}"#),
    (
        "e",
        "s",
        r#"{"id": 1, "email": "countess@x.org", "first": "Ada", "last": "Lovelace", "company": "Engines"},
           {"id": 4, "status": "cancelled"}, {"id": 5, "email": "nobody"}, {"id": 3, "erase": true}"#,
    ),
    ("f", "s", r#"{"broken"#),
];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-v1")
}

/// People, groups and every run with its changes.
fn whole_text(appliance: &Appliance) -> String {
    let mut runs = appliance.app.store.runs(None, usize::MAX, |_| true).unwrap();
    runs.reverse();
    let plans = runs.iter().map(|run| format!("run {} of {}\n{}", run.id, run.feed, plan_text(&appliance.app, run)));
    store_text(&appliance.app) + &plans.collect::<String>()
}

async fn write(appliance: Appliance, server: &ListServer) {
    assert!(!fixture().exists(), "the fixture is frozen");
    for (event, source, records) in STEPS {
        let list = if event == "e" { source.to_owned() } else { format!("{source}-{event}") };
        server.set(&list, vec![format!(r#"{{"items": [{records}]}}"#)]);
        appliance.sync(event, source, false, false).await;
    }
    fs::create_dir_all(fixture()).unwrap();
    fs::write(fixture().join("expected.txt"), whole_text(&appliance)).unwrap();
    let folder = appliance.close().await;
    copy_data(&folder.path().join("data"), &fixture().join("data"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_the_first_layout_says_what_it_said() {
    let server = ListServer::start().await;
    let base = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/base.toml")).unwrap();
    let config = base.replace("\"URL\"", &format!("\"http://{}\"", server.address));
    if std::env::var_os("WRITE_FIXTURE").is_some() {
        write(Appliance::open(&config).await, &server).await;
    }
    let folder = tempfile::tempdir().unwrap();
    copy_data(&fixture().join("data"), &folder.path().join("data"));
    let appliance = Appliance::open_at(folder, &config).await;
    assert_eq!(whole_text(&appliance), fs::read_to_string(fixture().join("expected.txt")).unwrap());
}
