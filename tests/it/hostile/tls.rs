//! Certificates: one that the binary trusts, and those that do not fit.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::server::HOST;

/// What a server shows of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Certificate {
    Good,
    /// Nobody vouches for it.
    SelfSigned,
    /// Of another host.
    WrongName,
    Expired,
    NotYetValid,
}

/// A certificate authority that the binary is told to trust.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Rollcall tests");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes the authority's own certificate, for `SSL_CERT_FILE`.
    pub fn write_to(&self, path: &Path) {
        use base64::Engine as _;
        let text = base64::prelude::BASE64_STANDARD.encode(self.0.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        std::fs::write(path, pem).unwrap();
    }

    pub fn acceptor(&self, certificate: Certificate) -> TlsAcceptor {
        let name = if certificate == Certificate::WrongName { "other.example" } else { HOST };
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        match certificate {
            Certificate::Expired => params.not_after = date_time_ymd(2001, 1, 1),
            Certificate::NotYetValid => params.not_before = date_time_ymd(2999, 1, 1),
            _ => {}
        }
        let key = KeyPair::generate().unwrap();
        let signed = match certificate {
            Certificate::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &self.0),
        };
        let secret = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.unwrap().der().clone()], secret)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
