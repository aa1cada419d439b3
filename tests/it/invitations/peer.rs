//! The same with a real mail server, aiosmtpd: with STARTTLS or TLS and a login, and under kills of the real binary.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

use crate::by_hand::world::{World, record};
use crate::support::{Installation, ListServer, ONE_FEED, Program, until};
use rollcall::sync::Stopping;

struct Peer {
    process: Child,
    _asks: ChildStdin,
    port: u64,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl Peer {
    fn start(arguments: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = root.join("target/aiosmtpd/bin/python");
        let mut command = Command::new(&program);
        command.arg(root.join("tests/peers/aiosmtpd/peer.py")).args(arguments);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.unwrap_or_else(|error| panic!("{}: {error}; run tests/run", program.display()));
        let (asks, says) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        let mut lines = BufReader::new(says).lines();
        let json = |line: String| -> Value { serde_json::from_str(&line).unwrap() };
        let port = json(lines.next().unwrap().unwrap())["port"].as_u64().unwrap();
        let mails: Arc<Mutex<Vec<Value>>> = Arc::default();
        let heard = Arc::clone(&mails);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(json(line))));
        Self { process, _asks: asks, port, mails }
    }

    fn mails(&self) -> Vec<Value> {
        self.mails.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::prelude::BASE64_STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Writes `ca.pem`, `cert.pem` and `key.pem` of a server of this name.
fn certificates(folder: &Path, name: &str) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "Rollcall tests");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("ca.pem"), pem("CERTIFICATE", authority.der())).unwrap();
    std::fs::write(folder.join("cert.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
    std::fs::write(folder.join("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).unwrap();
}

const INVITATIONS: &str = r#"
[event.e.invitations]
existing = "invite"
[event.e.invitations.template]
subject = "Kommt, {{ first_name }} – {{ event.title }}"
text = "Hallo {{ first_name }}, schöne Grüße"
html = "<p>Hallo {{ first_name }}</p>"
"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs aiosmtpd; tests/run runs it"]
async fn a_real_mail_server_takes_what_it_should_over_starttls_with_a_login() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path(), "localhost");
    std::fs::write(folder.path().join("password"), "canary-mail-password").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (certificate, key) = (path("cert.pem"), path("key.pem"));
    let answers = ["451 4.3.0 later, p1@x.org", "550 5.1.1 never, p2@x.org"];
    let peer =
        Peer::start(&[&["starttls", &certificate, &key, "rollcall", "canary-mail-password"], &answers[..]].concat());
    let mail = |ca: &str| {
        format!(
            "\n[mail]\nhost = \"localhost\"\nport = {}\nca_file = \"{ca}\"\nusername = \"rollcall\"\n\
             password = {{ file = \"{}\" }}\nfrom = \"Das Fest <fest@x.org>\"\nrate = 6000\n",
            peer.port,
            path("password")
        )
    };
    let trusted = mail(&path("ca.pem")) + INVITATIONS;
    let world = World::with(|config| config + &trusted).await;
    let people: Vec<_> = (1..=4).map(|n| record(n, &format!("p{n}"), json!({}))).collect();
    world.bring("s-e", &people).await;
    let send = async |world: &World| {
        let mut mailing = world.appliance.app.mailing().unwrap().unwrap();
        mailing.send_due(&Stopping::default()).await
    };
    assert_eq!(send(&world).await, 2);
    world.appliance.clock.advance(jiff::SignedDuration::from_mins(2));
    assert_eq!(send(&world).await, 1);
    until("every mail is heard of", async || peer.mails().len() == 5).await;
    let mails = peer.mails();
    for mail in &mails {
        let to = mail["to"].as_str().unwrap();
        let name = to.strip_suffix("@x.org").unwrap();
        assert_eq!((&mail["rcpt"], &mail["tls"], &mail["login"]), (&json!([to]), &json!(true), &json!(true)));
        assert_eq!(mail["from"], "Das Fest <fest@x.org>");
        assert_eq!(mail["subject"], format!("Kommt, {name} – e"));
        assert_eq!(mail["text"].as_str().unwrap().trim(), format!("Hallo {name}, schöne Grüße"));
        assert_eq!(mail["html"].as_str().unwrap().trim(), format!("<p>Hallo {name}</p>"));
        assert_eq!(mail["unsubscribe"], "<mailto:fest@x.org?subject=unsubscribe>");
        let id = mail["message_id"].as_str().unwrap();
        assert!(id.starts_with('<') && id.ends_with("@x.org>"), "{id}");
    }
    let of = |answer: &str| mails.iter().find(|mail| mail["answer"].as_str().unwrap().starts_with(answer)).unwrap();
    let later: Vec<_> = mails.iter().filter(|mail| mail["to"] == of("451")["to"]).collect();
    assert!(later.len() == 2 && later[0]["message_id"] == later[1]["message_id"], "{later:?}");
    let counts = world.get("/v1/events/e/invitation").await["counts"].clone();
    assert_eq!((&counts["sent"], &counts["failed"], &counts["waiting"]), (&json!(3), &json!(1), &json!(0)));
    // A server that nobody vouches for gets nothing.
    world.bring("s-e", &(1..=5).map(|n| record(n, &format!("p{n}"), json!({}))).collect::<Vec<_>>()).await;
    let (_, other) = (certificates(folder.path(), "localhost"), mail(&path("ca.pem")) + INVITATIONS);
    let world = world.reopened(move |config| config + &other).await;
    assert_eq!(send(&world).await, 0);
    let outbox = world.get("/v1/outbox").await;
    let waiting = outbox["items"].as_array().unwrap().iter().find(|item| item["state"] == "queued").unwrap().clone();
    assert!(waiting["failure"].as_str().unwrap().contains("TLS"), "{waiting}");
    assert_eq!(peer.mails().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs aiosmtpd; tests/run runs it"]
async fn over_tls_from_the_first_byte_a_server_is_sent_to_only_where_its_certificate_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(folder.path().join("password"), "canary-mail-password").unwrap();
    certificates(folder.path(), "localhost");
    let login = ["rollcall", "canary-mail-password"];
    let right = Peer::start(&["tls", &path("cert.pem"), &path("key.pem"), login[0], login[1]]);
    std::fs::rename(folder.path().join("ca.pem"), folder.path().join("right.pem")).unwrap();
    certificates(folder.path(), "elsewhere.x.org");
    let of_another_name = Peer::start(&["tls", &path("cert.pem"), &path("key.pem"), login[0], login[1]]);
    let mail = |port: u64, tls: &str, ca: &str| {
        format!(
            "\n[mail]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\nca_file = \"{}\"\n\
             username = \"rollcall\"\npassword = {{ file = \"{}\" }}\nfrom = \"fest@x.org\"\nrate = 6000\n",
            path(ca),
            path("password")
        ) + INVITATIONS
    };
    let wrong = [
        ("of another name", mail(of_another_name.port, "tls", "ca.pem")),
        ("that nobody vouches for", mail(right.port, "tls", "ca.pem")),
    ];
    let mut world = World::with(|config| config + &wrong[0].1).await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    let send = async |world: &World| {
        world.appliance.clock.advance(jiff::SignedDuration::from_hours(1));
        let mut mailing = world.appliance.app.mailing().unwrap().unwrap();
        mailing.send_due(&Stopping::default()).await
    };
    for (attempts, (what, mail)) in (1..).zip(&wrong) {
        world = world.reopened(|config| config + mail).await;
        assert_eq!(send(&world).await, 0, "a server {what}");
        let outbox = world.get("/v1/outbox").await;
        let waiting = &outbox["items"][0];
        let about = (&waiting["state"], &waiting["attempts"], &waiting["failure"]);
        let why = json!("no connection to the mail server (its TLS certificate is not to be trusted)");
        assert_eq!(about, (&json!("queued"), &json!(attempts), &why), "a server {what}");
        assert!(waiting["next_try_at"].is_string() && !outbox.to_string().contains("x.org"), "{outbox}");
    }
    assert!(right.mails().is_empty() && of_another_name.mails().is_empty());
    let trusted = mail(right.port, "tls", "right.pem");
    let world = world.reopened(|config| config + &trusted).await;
    assert_eq!(send(&world).await, 1);
    until("the mail is heard of", async || right.mails().len() == 1).await;
    let mails = right.mails();
    assert_eq!(
        (&mails[0]["rcpt"], &mails[0]["tls"], &mails[0]["login"]),
        (&json!(["ada@x.org"]), &json!(true), &json!(true))
    );
    let metrics = world.appliance.app.observer.render();
    assert!(!metrics.contains("@x.org"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs aiosmtpd; tests/run runs it"]
async fn killed_while_it_sends_a_server_doubles_at_most_one_mail_a_kill() {
    const PEOPLE: usize = 60;
    let peer = Peer::start(&["none", "", "", "", ""]);
    let server = ListServer::start().await;
    let people: Vec<_> = (1..=PEOPLE).map(|n| record(u32::try_from(n).unwrap(), &format!("p{n}"), json!({}))).collect();
    server.set("s", vec![json!({ "items": people }).to_string()]);
    let mail = format!(
        "\n[mail]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nfrom = \"fest@x.org\"\nrate = 1200\n",
        peer.port
    );
    let feed = ONE_FEED.replace("URL", &format!("http://{}", server.address));
    let installation = Installation::new(&(feed + &mail + INVITATIONS));
    let start = async || -> Program {
        let program = installation.start(&["serve"]);
        program.serves().await;
        program
    };
    let mut program = start().await;
    let (status, synced) = program.ask("POST", "/v1/events/e/sync?wait=60s").await.unwrap();
    assert_eq!((status, &synced["runs"][0]["outcome"]), (200, &json!("done")), "{synced}");
    let mut kills = 0;
    for mails in [10, 25, 40] {
        until("some mails went", async || peer.mails().len() >= mails).await;
        program.kill();
        kills += 1;
        program = start().await;
    }
    until("all are sent", async || {
        let shown = program.get("/v1/events/e/invitation").await;
        shown.is_some_and(|shown| shown["counts"]["sent"] == PEOPLE)
    })
    .await;
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in peer.mails() {
        let text = |key: &str| mail[key].as_str().unwrap().to_owned();
        ids.entry(text("to")).or_default().push(text("message_id"));
    }
    assert_eq!(ids.len(), PEOPLE, "everybody got one");
    assert!(peer.mails().len() <= PEOPLE + kills, "{} mails after {kills} kills", peer.mails().len());
    assert!(ids.values().all(|of_one| of_one.len() <= 2 && of_one.iter().all(|id| *id == of_one[0])), "{ids:?}");
    let log = program.stderr();
    assert!(!log.contains("@x.org"), "nobody's address is in the log: {log}");
}
