//! What is set, what is refused, and what becomes of those who were there before.

use rollcall::model::InvitationState;
use rollcall::sync::Stopping;
use serde_json::{Value, json};

use super::post::{INVITATION, Place, Post, settings, with_mail};
use crate::by_hand::world::{World, record};

#[tokio::test(flavor = "multi_thread")]
async fn switching_on_needs_a_template_and_a_word_about_those_who_are_there() {
    let place = Place::new().await;
    let world = &place.world;
    place.bring(&["ada"]).await;
    let without = world.put(INVITATION, json!({"enabled": true, "existing": "invite"})).await;
    assert_eq!(without.problem(409).0, "conflict");
    assert!(without.json.to_string().contains("without a template"), "{}", without.json);
    let unsaid = world.put(INVITATION, settings(json!({}))).await;
    assert_eq!(unsaid.problem(422), ("invalid", vec!["existing"]));
    assert_eq!(world.get(INVITATION).await["enabled"], false);
    place.bring(&["ada", "bob"]).await;
    assert_eq!(place.state("bob").await, None, "nobody is invited before");
    world.put(INVITATION, settings(json!({"existing": "skip"}))).await.good();
    place.assert_state("ada", InvitationState::Skipped).await;
    // It is on already, so nothing is asked.
    world.put(INVITATION, settings(json!({"max_invites": 7}))).await.good();
    place.bring(&["ada", "bob", "cleo"]).await;
    assert_eq!((place.send().await, place.post.recipients()), (1, vec!["cleo@x.org".to_owned()]));
    // Off and on again asks again, and finds whoever came meanwhile.
    world.put(INVITATION, settings(json!({"enabled": false}))).await.good();
    place.bring(&["ada", "bob", "cleo", "dan"]).await;
    assert_eq!(world.put(INVITATION, settings(json!({}))).await.problem(422).1, ["existing"]);
    world.put(INVITATION, settings(json!({"existing": "invite"}))).await.good();
    assert_eq!((place.send().await, place.post.recipients()), (1, vec!["cleo@x.org".into(), "dan@x.org".into()]));
    // Who was skipped is invited by hand.
    let ada = world.id("ada").await;
    world.ask("POST", &format!("/v1/outbox/gala:{ada}/resend"), None).await.good();
    assert_eq!(place.send().await, 1);
    let saved = world.put("/v1/events/gala", json!({"title": "Renamed"})).await.good();
    assert_eq!(saved["title"], "Renamed");
    assert_eq!(world.get(INVITATION).await["enabled"], true, "other settings leave invitations alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_s_faults_are_told_when_it_is_saved_and_a_preview_shows_what_it_makes() {
    let place = Place::new().await;
    let world = &place.world;
    place.bring(&["ada"]).await;
    let faulty = json!({"subject": "{{ event.titel }}", "text": "{{ first_name", "html": "{{ custom.shoe }}"});
    let refused = world.put(INVITATION, settings(json!({"existing": "skip", "template": faulty}))).await;
    let fields = vec!["template.subject", "template.text", "template.html"];
    assert_eq!(refused.problem(422), ("invalid", fields.clone()));
    let preview = format!("{INVITATION}/preview");
    let shown = world.ask("POST", &preview, Some(&json!({"template": faulty}))).await;
    assert_eq!(shown.problem(422).1, fields);
    world.ask("POST", &preview, None).await.problem(409);
    let ada = world.id("ada").await;
    let body = json!({"user": ada, "template": settings(json!({}))["template"]});
    let shown = world.ask("POST", &preview, Some(&body)).await.good();
    assert_eq!(shown["subject"], "The Gala: your invitation");
    assert_eq!(shown["text"], "Hello ada Example, welcome to The Gala.");
    assert_eq!(shown["html"], "<p>Hello ada &amp; welcome to The Gala</p>");
    world.put(INVITATION, settings(json!({"existing": "skip"}))).await.good();
    let sample = world.ask("POST", &preview, None).await.good();
    assert_eq!(sample["text"], "Hello Ada Lovelace, welcome to The Gala.");
    world.ask("GET", "/v1/events/none/invitation", None).await.problem(404);
    for (more, field) in [(json!({"max_invites": 10_000_001}), "max_invites"), (json!({"existing": "ask"}), "existing")]
    {
        assert_eq!(world.put(INVITATION, settings(more)).await.problem(422).1, [field]);
    }
}

const IN_THE_FILE: &str = r#"
[event.e.invitations]
existing = "invite"
[event.e.invitations.template]
subject = "Come to {{ event.title }}"
text = { file = "letter.txt" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_file_says_applies_when_it_is_first_seen_and_once() {
    let post = Post::start().await;
    let world = World::new().await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    let address = post.address;
    let folder = world.appliance.folder().to_owned();
    std::fs::write(folder.join("letter.txt"), "Dear {{ first_name }}").unwrap();
    let world = world.reopened(move |config| with_mail(config, address) + IN_THE_FILE).await;
    let shown = world.get("/v1/events/e/invitation").await;
    assert_eq!((&shown["enabled"], &shown["provisioned"]), (&json!(true), &json!(true)), "{shown}");
    assert_eq!((&shown["counts"]["waiting"], &shown["template"]["text"]), (&json!(1), &json!("Dear {{ first_name }}")));
    assert_eq!(world.put("/v1/events/e/invitation", settings(json!({}))).await.problem(409).0, "conflict");
    let place = Place { world, post };
    assert_eq!(place.send().await, 1);
    assert!(place.post.mails()[0].text.contains("Dear ada"));
    // Seen already: nothing follows from opening again, nor from being left out for a while.
    let Place { world, post } = place;
    world.bring("s-e", &[record(1, "ada", json!({})), record(2, "bob", json!({}))]).await;
    let world = world.reopened(move |config| with_mail(config, address)).await;
    assert_eq!(world.get("/v1/events/e/invitation").await["enabled"], false);
    world.bring("s-e", &[record(1, "ada", json!({})), record(2, "bob", json!({})), record(3, "eve", json!({}))]).await;
    let skip = IN_THE_FILE.replace("\"invite\"", "\"skip\"");
    let world = world.reopened(move |config| with_mail(config, address) + &skip).await;
    let counts = world.get("/v1/events/e/invitation").await["counts"].clone();
    assert_eq!((&counts["waiting"], &counts["skipped"], &counts["sent"]), (&json!(1), &json!(1), &json!(1)));
    let place = Place { world, post };
    assert_eq!((place.send().await, place.post.recipients()), (1, vec!["ada@x.org".into(), "bob@x.org".into()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_with_invitations_is_in_the_audit_log() {
    let place = Place::inviting().await;
    place.world.ask("POST", &format!("{INVITATION}/hold"), None).await.good();
    place.world.ask("POST", &format!("{INVITATION}/release"), None).await.good();
    let audit = place.world.get("/v1/audit").await;
    let actions: Vec<&Value> = audit["items"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    for action in ["invitations_saved", "invitations_held", "invitations_released"] {
        assert!(actions.contains(&&json!(action)), "{audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_an_event_that_the_file_no_longer_declares_nothing_waits_and_nothing_is_sent() {
    let post = Post::start().await;
    let (address, settings) = (post.address, IN_THE_FILE.replace("{ file = \"letter.txt\" }", "\"Come\""));
    let world = World::with(|config| with_mail(config, address) + &settings).await;
    world.bring("s-e", &[record(1, "ada", json!({}))]).await;
    let event = "e".to_owned().try_into().unwrap();
    assert!(world.appliance.app.store.inviting(&event).enabled);
    let without = |config: String| {
        let (before, after) = config.split_once("[event.e]").unwrap();
        let after = after.split_once("[event.f]").unwrap().1;
        with_mail(format!("{before}[event.f]{after}"), address)
    };
    let world = world.reopened(without).await;
    assert!(!world.appliance.app.store.inviting(&event).enabled);
    let mut mailing = world.appliance.app.mailing().unwrap().unwrap();
    assert_eq!(mailing.send_due(&Stopping::default()).await, 0);
    let metrics = world.appliance.app.observer.render();
    assert!(metrics.contains("rollcall_outbox_messages 0"), "{metrics}");
}
