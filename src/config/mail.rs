//! `[mail]`, validated: the server that takes the mails, and what they bear.

use std::fmt;

use secrecy::SecretString;

use super::Template;
use crate::model::Email;

/// The mail server and what every mail bears.
#[derive(Debug, Clone)]
pub struct MailSpec {
    pub host: String,
    pub port: u16,
    /// Plain text only to loopback or with `allow_plain`.
    pub tls: MailTls,
    /// PEM; instead of what the platform trusts.
    pub ca: Option<Vec<u8>>,
    pub login: Option<MailLogin>,
    pub from: MailAddress,
    pub reply_to: Option<MailAddress>,
    /// Mails per minute, at most.
    pub rate: u32,
    /// A `mailto:` or `https:` address, which may use `{user}` and `{event}`.
    pub unsubscribe: Option<Template>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// From the first byte (RFC 8314).
    Tls,
    /// After STARTTLS, which must be offered (RFC 3207).
    StartTls,
    None,
}

#[derive(Debug, Clone)]
pub struct MailLogin {
    pub username: String,
    pub password: SecretString,
}

/// An address with the name that is shown for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress {
    pub name: Option<String>,
    pub email: Email,
}

impl MailAddress {
    /// `Name <a@b.org>` or `a@b.org`; `None` where it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains(char::is_control) {
            return None;
        }
        let (name, address) = match text.strip_suffix('>') {
            Some(rest) => rest.rsplit_once('<')?,
            None => ("", text),
        };
        let name = name.trim().trim_matches('"').trim();
        let email = Email::parse(address).ok()?;
        Some(Self { name: (!name.is_empty()).then(|| name.to_owned()), email })
    }

    /// The part of the address after the `@`.
    pub fn domain(&self) -> &str {
        self.email.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain)
    }
}

impl fmt::Display for MailTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "tls",
            Self::StartTls => "starttls",
            Self::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_name() {
        let parsed = |text: &str| MailAddress::parse(text).map(|a| (a.name, a.email.as_str().to_owned()));
        let address = "events@x.org".to_owned();
        assert_eq!(parsed(" events@x.org"), Some((None, address.clone())));
        assert_eq!(parsed("\"The Summit\" <events@x.org>"), Some((Some("The Summit".into()), address)));
        for none in ["", "events", "The Summit", "a <b", "a@x.org>", "a\n <events@x.org>"] {
            assert_eq!(parsed(none), None, "{none}");
        }
        assert_eq!(MailAddress::parse("a@x.org").unwrap().domain(), "x.org");
    }
}
