//! One mail, as it goes over the wire.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};

use crate::config::{MailAddress, MailSpec, Vars, percent_encode};
use crate::letter::Letter;
use crate::model::{ChildKey, Email, EventName, UserId};

/// A letter on its way.
pub struct Mail {
    pub to: Email,
    pub user: UserId,
    pub event: EventName,
    /// Without brackets; see [`MessageKey::id`].
    pub message_id: String,
    pub letter: Letter,
    pub at: Timestamp,
}

/// Makes messages' ids.
#[derive(Clone)]
pub struct MessageKey(ChildKey);

impl MessageKey {
    /// `key`: for this purpose alone.
    pub const fn new(key: ChildKey) -> Self {
        Self(key)
    }

    /// The `Message-ID` (RFC 5322 §3.6.4) of an invitation: the same however often it is tried, another when it is sent
    /// again by hand. Nobody without the key can tell whom it is about.
    pub fn id(&self, user: UserId, event: &EventName, serial: u32, domain: &str) -> String {
        let (user, serial) = (user.as_u128().to_be_bytes(), serial.to_be_bytes());
        let digest = self.0.digest([&user[..], event.as_str().as_bytes(), &serial[..]]);
        let mut id = String::with_capacity(33 + domain.len());
        for byte in &digest[..16] {
            // Writing to a text does not fail.
            let _ = write!(id, "{byte:02x}");
        }
        id.push('@');
        id.push_str(domain);
        id
    }
}

/// `None` where the person's address is none that mail can take.
pub fn message(mail: &Mail, spec: &MailSpec) -> Option<Message> {
    let unsubscribe = format!("<{}>", unsubscribe(mail, spec)?);
    let header = |name, value: &str| HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned());
    let mut builder = Message::builder()
        .from(mailbox(&spec.from)?)
        .to(Mailbox::new(None, mail.to.as_str().parse().ok()?))
        .subject(mail.letter.subject.as_str())
        .message_id(Some(format!("<{}>", mail.message_id)))
        .date(system_time(mail.at))
        .raw_header(header("List-Unsubscribe", &unsubscribe))
        .raw_header(header("Auto-Submitted", "auto-generated"));
    if let Some(reply_to) = &spec.reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    let text = mail.letter.text.clone();
    let message = match &mail.letter.html {
        Some(html) => builder.multipart(MultiPart::alternative_plain_html(text, html.clone())),
        None => builder.singlepart(SinglePart::plain(text)),
    };
    message.ok()
}

fn mailbox(address: &MailAddress) -> Option<Mailbox> {
    Some(Mailbox::new(address.name.clone(), address.email.as_str().parse().ok()?))
}

/// Where to write, or to go, to get no more; a mail to whoever answers where nothing is configured.
fn unsubscribe(mail: &Mail, spec: &MailSpec) -> Option<String> {
    let Some(template) = &spec.unsubscribe else {
        let answers = spec.reply_to.as_ref().unwrap_or(&spec.from);
        return Some(format!("mailto:{}?subject=unsubscribe", answers.email.as_str()));
    };
    let vars: Vars = [("user".to_owned(), mail.user.to_string()), ("event".to_owned(), mail.event.to_string())].into();
    template.render(&vars, percent_encode).ok()
}

fn system_time(at: Timestamp) -> SystemTime {
    let since = u64::try_from(at.as_second()).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MailTls, Template};
    use crate::model::CommunityKey;

    fn spec(unsubscribe: Option<&str>) -> MailSpec {
        MailSpec {
            host: "localhost".into(),
            port: 25,
            tls: MailTls::None,
            ca: None,
            login: None,
            from: MailAddress::parse("Der Gipfel – Ö <events@x.org>").unwrap(),
            reply_to: MailAddress::parse("help@x.org"),
            rate: 60,
            unsubscribe: unsubscribe.map(|text| Template::parse(text).unwrap()),
        }
    }

    fn mail(html: Option<&str>) -> Mail {
        let letter = Letter { subject: "Grüße".into(), text: "Hallo".into(), html: html.map(str::to_owned) };
        let (user, event) = (UserId::from_u128(7), EventName::parse("summit").unwrap());
        let key = MessageKey::new(CommunityKey::new([1; 32]).child("message ids"));
        let message_id = key.id(user, &event, 0, "x.org");
        Mail { to: Email::parse("Ada@x.org").unwrap(), user, event, message_id, letter, at: Timestamp::UNIX_EPOCH }
    }

    fn text(mail: &Mail, spec: &MailSpec) -> String {
        String::from_utf8(message(mail, spec).unwrap().formatted()).unwrap()
    }

    #[test]
    fn a_mail_bears_what_it_should() {
        let plain = text(&mail(None), &spec(None));
        let id = mail(None).message_id;
        for line in [
            "To: Ada@x.org",
            "Reply-To: help@x.org",
            "Auto-Submitted: auto-generated",
            "List-Unsubscribe: <mailto:help@x.org?subject=unsubscribe>",
            &format!("Message-ID: <{id}>"),
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(plain.contains(line), "{line}: {plain}");
        }
        assert!(plain.is_ascii(), "what is not is encoded: {plain}");
        let both = text(&mail(Some("<p>Hallo</p>")), &spec(Some("https://x.org/u?user={user}&event={event}")));
        assert!(both.contains("multipart/alternative") && both.contains("text/html"), "{both}");
        let address = "<https://x.org/u?user=00000000-0000-0000-0000-000000000007&event=summit>";
        assert!(both.replace("\r\n ", "").contains(address) || both.contains(address), "{both}");
    }

    #[test]
    fn a_message_s_id_tells_people_events_and_serials_apart() {
        let key = |byte| MessageKey::new(CommunityKey::new([byte; 32]).child("message ids"));
        let [e, f] = ["e", "f"].map(|name| EventName::parse(name).unwrap());
        let [a, b] = [1, 2].map(UserId::from_u128);
        let id = key(1).id(a, &e, 0, "x.org");
        assert_eq!(id, key(1).id(a, &e, 0, "x.org"));
        let others = [key(1).id(b, &e, 0, "x.org"), key(1).id(a, &f, 0, "x.org"), key(1).id(a, &e, 1, "x.org")];
        assert!(!others.contains(&id) && key(2).id(a, &e, 0, "x.org") != id);
        assert!(id.len() == 38 && id.ends_with("@x.org"), "{id}");
    }

    #[test]
    fn an_address_that_mail_does_not_take_is_no_mail() {
        let mail = Mail { to: Email::from_stored("a b@x.org".into()), ..mail(None) };
        assert!(message(&mail, &spec(None)).is_none());
    }
}
