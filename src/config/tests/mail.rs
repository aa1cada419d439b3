//! `[mail]` and `[event.<name>.invitations]`.

use super::*;
use crate::model::Existing;

const MAIL: &str = "[mail]\nhost = \"mail.x.org\"\nfrom = \"The Summit <events@x.org>\"\n";

fn told(text: &str) -> Vec<String> {
    match parse(text) {
        Ok((_, warnings)) => warnings.iter().map(ToString::to_string).collect(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

fn event(invitations: &str) -> String {
    format!("[event.summit]\n[event.summit.invitations]\n{invitations}")
}

#[test]
fn a_mail_server_has_defaults() {
    let (config, _) = parse(MAIL).expect("sound");
    let mail = config.mail.expect("there is one");
    assert_eq!((mail.host.as_str(), mail.port, mail.tls, mail.rate), ("mail.x.org", 587, MailTls::StartTls, 60));
    assert_eq!((mail.from.name.as_deref(), mail.from.domain()), (Some("The Summit"), "x.org"));
    let (config, _) = parse(&format!("{MAIL}tls = \"tls\"\nunsubscribe = \"mailto:out@x.org\"\n")).expect("sound");
    assert_eq!(config.mail.map(|mail| mail.port), Some(465));
    assert!(parse("").expect("sound").0.mail.is_none());
}

#[test]
fn what_is_wrong_with_a_mail_server_is_told() {
    for (more, words) in [
        ("tls = \"none\"", "unencrypted"),
        ("tls = \"ssl\"", "must be one of"),
        ("username = \"u\"", "a username without a password"),
        ("password = { env = \"NOPE\" }", "a password without a username"),
        ("reply_to = \"help\"", "must be an address"),
        ("rate = 0", "must be > 0"),
        ("unsubscribe = \"http://x.org\"", "must be a mailto: or https: address"),
        ("unsubscribe = \"https://x.org/{email}\"", "must be a mailto: or https: address"),
        ("unsubscribe = \"https://x.org/>, <mailto:a\"", "must be a mailto: or https: address"),
        ("ca_file = \"none.pem\"", "cannot read"),
        ("smtp = 1", "no such key"),
    ] {
        let told = told(&format!("{MAIL}{more}\n"));
        assert!(told.len() == 1 && told[0].contains(words), "{more}: {told:?}");
    }
    let both = told("[mail]\n");
    assert!(
        both.iter().any(|fault| fault.contains("mail.host")) && both.iter().any(|fault| fault.contains("mail.from"))
    );
    assert!(parse(&format!("{MAIL}tls = \"none\"\nallow_plain = true\n")).is_ok());
    assert!(parse(&MAIL.replace("mail.x.org", "127.0.0.1").replace("[mail]", "[mail]\ntls = \"none\"")).is_ok());
}

#[test]
fn invitations_of_the_file_are_held_against_the_rules() {
    const TEMPLATE: &str = "template = { subject = \"S\", text = \"Dear {{ first_name }}\" }\n";
    let (config, warnings) = parse(&event(&format!("existing = \"skip\"\n{TEMPLATE}"))).expect("sound");
    let invitations = &config.events.values().next().expect("one event").invitations;
    assert_eq!((invitations.enabled, invitations.existing), (true, Some(Existing::Skip)));
    assert!(warnings.iter().any(|warning| warning.to_string().contains("without [mail]")));
    for (invitations, words) in [
        (TEMPLATE, "invitations.existing: missing"),
        ("existing = \"invite\"", "invitations.template: missing"),
        ("existing = \"invite\"\ntemplate = { subject = \"S\" }", "template.text: missing"),
        (
            "existing = \"skip\"\ntemplate = { subject = \"{{ titel }}\", text = \"T\" }",
            "template.subject: no such name: titel",
        ),
        ("existing = \"skip\"\ntemplate = { subject = \"S\", text = { file = \"none.txt\" } }", "cannot read"),
        ("existing = \"skip\"\nmax_invites = -1\ntemplate = { subject = \"S\", text = \"T\" }", "must be at least 0"),
    ] {
        let told = told(&event(invitations));
        assert!(told.iter().any(|told| told.contains(words)), "{invitations}: {told:?}");
    }
    assert!(parse(&event("enabled = false\n")).is_ok());
}
