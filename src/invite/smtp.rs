//! The connection to the mail server (RFC 5321): made when there is something to send, kept while there is more.

use std::error::Error as _;
use std::io;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret as _;
use tokio::time::timeout;

use super::message::{Mail, message};
use crate::config::{MailSpec, MailTls};
use crate::limits::MAIL_TIMEOUT;

/// Why mails cannot be sent at all.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    #[error("mail: TLS cannot be set up for {host} (check `ca_file`, and that `ca-certificates` is installed)")]
    Tls { host: String },
}

/// What became of a mail. Reasons are words of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The server took it.
    Sent,
    /// The server does not take it now.
    Deferred(String),
    /// The server will not take it.
    Refused(String),
    /// No server is there to take anything.
    Unreachable(String),
}

/// The mail server.
pub struct Smtp {
    spec: Arc<MailSpec>,
    tls: Option<TlsParameters>,
    connection: Option<AsyncSmtpConnection>,
}

impl Smtp {
    /// Connects to nobody yet.
    ///
    /// # Errors
    /// Where there is nothing to verify the server with.
    pub fn new(spec: Arc<MailSpec>) -> Result<Self, SmtpError> {
        let tls = match spec.tls {
            MailTls::None => None,
            MailTls::Tls | MailTls::StartTls => {
                Some(tls(&spec).map_err(|_| SmtpError::Tls { host: spec.host.clone() })?)
            }
        };
        Ok(Self { spec, tls, connection: None })
    }

    /// Gives a mail to the server.
    pub async fn send(&mut self, mail: &Mail) -> Delivery {
        let Some(message) = message(mail, &self.spec) else {
            return Delivery::Refused("the address is none that mail takes".to_owned());
        };
        let mut connection = match self.connected().await {
            Ok(connection) => connection,
            Err(why) => return Delivery::Unreachable(why),
        };
        let bytes = message.formatted();
        match timeout(MAIL_TIMEOUT, connection.send(message.envelope(), &bytes)).await {
            Ok(Ok(_)) => {
                self.connection = Some(connection);
                Delivery::Sent
            }
            // It has closed the connection.
            Ok(Err(error)) => delivery(&error),
            Err(_) => Delivery::Unreachable("the mail server was silent".to_owned()),
        }
    }

    /// Says goodbye. To be called when there is nothing more to send for now.
    pub async fn close(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // It need not answer.
            let _ = timeout(Duration::from_secs(1), connection.quit()).await;
        }
    }

    async fn connected(&mut self) -> Result<AsyncSmtpConnection, String> {
        if let Some(mut connection) = self.connection.take()
            && let Ok(true) = timeout(MAIL_TIMEOUT, connection.test_connected()).await
        {
            return Ok(connection);
        }
        let connecting = timeout(MAIL_TIMEOUT, self.connect()).await;
        connecting.unwrap_or_else(|_| Err("the mail server was silent".to_owned()))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, String> {
        let MailSpec { host, port, tls, from, login, .. } = &*self.spec;
        let hello = ClientId::Domain(from.domain().to_owned());
        let from_the_start = self.tls.clone().filter(|_| *tls == MailTls::Tls);
        let server = (host.trim_matches(['[', ']']), *port);
        let connected = AsyncSmtpConnection::connect_tokio1(server, Some(MAIL_TIMEOUT), &hello, from_the_start, None);
        let mut connection = connected.await.map_err(|error| in_words(&error, "no connection to the mail server"))?;
        if let (MailTls::StartTls, Some(parameters)) = (tls, &self.tls) {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err("the mail server offers no STARTTLS".to_owned());
            }
            let upgraded = connection.starttls(parameters.clone(), &hello).await;
            upgraded.map_err(|error| in_words(&error, "no TLS with the mail server"))?;
        }
        if let Some(login) = login {
            let password = login.password.expose_secret().to_owned();
            let credentials = Credentials::new(login.username.clone(), password);
            let entered = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            entered.map_err(|error| in_words(&error, "the mail server refused the login"))?;
        }
        Ok(connection)
    }
}

fn tls(spec: &MailSpec) -> Result<TlsParameters, Error> {
    let mut builder = TlsParametersBuilder::new(spec.host.trim_matches(['[', ']']).to_owned());
    if let Some(pem) = &spec.ca {
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(Certificate::from_pem(pem)?);
    }
    builder.build_rustls()
}

fn delivery(error: &Error) -> Delivery {
    match error.status().map(u16::from) {
        // It is about to close (RFC 5321 §3.8).
        Some(421) => Delivery::Unreachable("the mail server answered 421".to_owned()),
        Some(code) if error.is_permanent() => Delivery::Refused(format!("the mail server answered {code}")),
        Some(code) => Delivery::Deferred(format!("the mail server answered {code}")),
        None if error.is_client() => Delivery::Refused("the mail server takes no such address or text".to_owned()),
        None => Delivery::Unreachable(in_words(error, "the connection to the mail server broke")),
    }
}

/// Never the server's own words: an address may be in them.
fn in_words(error: &Error, what: &str) -> String {
    match error.status().map(u16::from) {
        Some(code) => format!("{what} ({code})"),
        None if error.is_timeout() => format!("{what} (silence)"),
        None => match tls_fault(error) {
            Some(rustls::Error::InvalidCertificate(_)) => format!("{what} (its TLS certificate is not to be trusted)"),
            Some(_) => format!("{what} (TLS)"),
            None => what.to_owned(),
        },
    }
}

/// What keeps TLS from coming about is told as an error of the connection.
fn tls_fault(error: &Error) -> Option<&rustls::Error> {
    let mut causes = successors(error.source(), |cause| (*cause).source());
    causes.find_map(|cause| cause.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref())
}
