//! Everything that the community is, as text, and what is different between two of them.

use serde_json::{Value, json};

use crate::support::{Installation, ListServer, ONE_FEED};

async fn run(installation: &Installation, arguments: &[&str], code: i32) -> String {
    let mut program = installation.start(arguments);
    assert_eq!(program.code().await, Some(code), "{arguments:?}: {}", program.stderr());
    program.stdout()
}

fn page(people: &[(u32, &str)]) -> Vec<String> {
    let record = |(id, first): &(u32, &str)| json!({"id": id, "email": format!("p{id}@x.org"), "first": first, "last": "L", "groups": ["VIP"]});
    vec![json!({ "items": people.iter().map(record).collect::<Vec<_>>() }).to_string()]
}

#[tokio::test(flavor = "multi_thread")]
async fn two_communities_are_the_same_or_it_says_who_is_not() {
    let server = ListServer::start().await;
    let config = ONE_FEED.replace("URL", &format!("http://{}", server.address));
    let (here, there) = (Installation::new(&config), Installation::new(&config));
    server.set("s", page(&[(1, "Ada"), (2, "Bob"), (3, "Cy")]));
    run(&here, &["sync", "e"], 0).await;
    let dump = run(&here, &["dump", "--json"], 0).await;
    let lines: Vec<Value> = dump.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["event", "group", "user", "user", "user"]);
    assert_eq!((&lines[1]["name"], &lines[2]["fields"]["first_name"]["value"]), (&json!("VIP"), &json!("Ada")));

    let file = here.folder.path().join("before.jsonl");
    std::fs::write(&file, &dump).unwrap();
    let compare = ["dump", "--compare", file.to_str().unwrap()];
    assert_eq!(run(&here, &compare, 0).await, "5 the same, 0 different\n");

    // The same people in the same community, made in another order.
    std::fs::create_dir_all(there.data()).unwrap();
    std::fs::copy(here.data().join("community.key"), there.data().join("community.key")).unwrap();
    server.set("s", page(&[(3, "Cy"), (1, "Ada"), (2, "Bob")]));
    run(&there, &["sync", "e"], 0).await;
    let bare = run(&there, &["dump", "--without-history"], 0).await;
    assert!(!bare.contains("\"run\"") && !bare.contains("\"at\""), "{bare}");
    std::fs::write(&file, &bare).unwrap();
    assert_eq!(run(&here, &[&compare[..], &["--without-history"]].concat(), 0).await, "5 the same, 0 different\n");
    let sorted = |text: &str| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&run(&here, &["dump", "--without-history"], 0).await), sorted(&bare));

    let id = |at: usize| lines[at]["id"].as_str().unwrap();
    std::fs::write(&file, &dump).unwrap();
    server.set("s", page(&[(1, "Ada"), (2, "Rob"), (3, "Cy"), (4, "Dora")]));
    run(&here, &["sync", "e"], 0).await;
    let told = run(&here, &compare, 1).await;
    let rest = lines.iter().skip(2).filter(|line| line["id"] != id(3));
    assert!(
        told.contains(&format!("differs       user {}\n", id(3))) && told.contains("only here     user "),
        "{told}"
    );
    assert!(told.ends_with("4 the same, 2 different\n"), "{told}");
    assert!(rest.into_iter().all(|line| !told.contains(line["id"].as_str().unwrap())), "{told}");
    std::fs::write(&file, format!("{dump}{{\"kind\":\"user\",\"id\":\"gone\"}}\n")).unwrap();
    assert!(run(&here, &compare, 1).await.contains("only in file  user gone\n"));
    let told = run(&here, &[&compare[..], &["--json"]].concat(), 1).await;
    let told: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.last(), Some(&json!({"same": 4, "different": 3})));
    assert!(told.contains(&json!({"difference": "only in file", "item": "user gone"})), "{told:?}");
    std::fs::write(&file, "nonsense\n").unwrap();
    run(&here, &compare, 2).await;
}
