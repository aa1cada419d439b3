//! `[mail]`.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;

use super::text::needed;
use crate::config::read::{Item, Section, shown};
use crate::config::secret::{SECRET_FORMS, Secrets};
use crate::config::{MailAddress, MailLogin, MailSpec, MailTls, Template};
use crate::limits::{CA_FILE_BYTES_MAX, MAIL_RATE, MAIL_RATE_MAX};

/// The placeholders of `unsubscribe`.
const PLACEHOLDERS: [&str; 2] = ["user", "event"];

/// `Some(None)` where there is no such table; `None` after a fault.
pub(in crate::config) fn read_mail(mut section: Section<'_>, secrets: &Secrets<'_>) -> Option<Option<MailSpec>> {
    let is_there = section.is_table();
    let options = [("starttls", MailTls::StartTls), ("tls", MailTls::Tls), ("none", MailTls::None)];
    let tls_item = section.optional("tls");
    section.accept_words("tls", &options);
    let tls = tls_item.as_ref().map_or(Some(MailTls::StartTls), |item| item.choice(&options));
    let host = needed(&mut section, "host", r#"write the mail server's name, e.g. host = "mail.example.org""#);
    let from = needed(&mut section, "from", r#"write e.g. from = "The Summit <events@example.org>""#);
    let port = section.optional("port");
    let allow_plain = section.optional("allow_plain");
    let ca_file = section.optional("ca_file");
    let (username, password) = (section.optional("username"), section.optional("password"));
    let reply_to = section.optional("reply_to");
    let rate = section.optional("rate");
    let unsubscribe = section.optional("unsubscribe");
    if !is_there {
        section.finish();
        return Some(None);
    }
    let host = host.and_then(|item| item.text().map(ToOwned::to_owned));
    let allow_plain = allow_plain.map_or(Some(false), |item| item.boolean());
    if let (Some(host), Some(MailTls::None), Some(false), Some(item)) = (&host, tls, allow_plain, &tls_item)
        && !is_loopback(host)
    {
        let mend = "use starttls or tls, or say allow_plain = true if the network between is yours";
        item.fault("would send people's addresses unencrypted", mend);
        return None;
    }
    let default_port = match tls? {
        MailTls::Tls => 465,
        MailTls::StartTls => 587,
        MailTls::None => 25,
    };
    let port = port.map_or(Some(default_port), |item| item.integer(1..=u16::MAX));
    let ca = optional_of(ca_file, |item| read_ca(item, secrets));
    let login = read_login(username, password, secrets);
    let reply_to = optional_of(reply_to, |item| address(&item));
    let from = from.and_then(|item| address(&item));
    let rate = rate.map_or(Some(MAIL_RATE), |item| item.integer(1..=MAIL_RATE_MAX));
    let unsubscribe = optional_of(unsubscribe, |item| unsubscribe_template(&item));
    section.finish();
    Some(Some(MailSpec {
        host: host?,
        port: port?,
        tls: tls?,
        ca: ca?,
        login: login?,
        from: from?,
        reply_to: reply_to?,
        rate: rate?,
        unsubscribe: unsubscribe?,
    }))
}

fn optional_of<'t, T>(item: Option<Item<'t>>, read: impl FnOnce(Item<'t>) -> Option<T>) -> Option<Option<T>> {
    match item {
        Some(item) => read(item).map(Some),
        None => Some(None),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn address(item: &Item<'_>) -> Option<MailAddress> {
    let address = MailAddress::parse(item.text()?);
    if address.is_none() {
        item.fault("must be an address", r#"write e.g. "events@example.org" or "The Summit <events@example.org>""#);
    }
    address
}

fn read_ca(item: Item<'_>, secrets: &Secrets<'_>) -> Option<Vec<u8>> {
    let path = secrets.folder.join(item.text()?);
    let mut pem = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(CA_FILE_BYTES_MAX + 1).read_to_end(&mut pem));
    let is_pem = pem.windows(27).any(|part| part == b"-----BEGIN CERTIFICATE-----");
    match read {
        Ok(_) if is_pem && pem.len() as u64 <= CA_FILE_BYTES_MAX => return Some(pem),
        Ok(_) => item.fault(format!("{} holds no certificate", path.display()), "name a file in PEM"),
        Err(error) => {
            let mend = "check the path, and that rollcall's user may read it";
            item.fault(format!("cannot read {}: {error}", path.display()), mend);
        }
    }
    None
}

fn read_login(
    username: Option<Item<'_>>,
    password: Option<Item<'_>>,
    secrets: &Secrets<'_>,
) -> Option<Option<MailLogin>> {
    match (username, password) {
        (None, None) => Some(None),
        (Some(username), Some(password)) => {
            let (username, password) = (username.text().map(ToOwned::to_owned), secrets.read(password));
            Some(Some(MailLogin { username: username?, password: password? }))
        }
        (Some(only), None) => {
            only.fault("a username without a password", format!("{SECRET_FORMS} as the password"));
            None
        }
        (None, Some(only)) => {
            only.fault("a password without a username", "write the username, too");
            None
        }
    }
}

fn unsubscribe_template(item: &Item<'_>) -> Option<Template> {
    let text = item.text()?;
    let is_address = ["mailto:", "https://"].iter().any(|scheme| text.starts_with(scheme));
    let is_clean = text.is_ascii() && !text.contains(|c: char| c.is_control() || "<>, ".contains(c));
    let template = Template::parse(text)
        .ok()
        .filter(|template| template.placeholders().all(|name| PLACEHOLDERS.contains(&name)) && is_address && is_clean);
    if template.is_none() {
        let problem = format!("must be a mailto: or https: address (got {})", shown(text));
        item.fault(problem, r#"write e.g. "https://example.org/unsubscribe?user={user}&event={event}""#);
    }
    template
}
