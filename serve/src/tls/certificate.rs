//! Certificates: generated for this machine, or read from PEM.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use ring::digest::{SHA256, digest};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, DnsName, PrivateKeyDer, UnixTime};
use time::OffsetDateTime;
use tokio_rustls::rustls::CertificateError::{ExpiredContext, NotValidYetContext, UnknownIssuer};
use tokio_rustls::rustls::Error::{InconsistentKeys, InvalidCertificate};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{RootCertStore, crypto};

/// How long a generated certificate is valid: 30 days.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate chain with its private key.
///
/// The key matches the certificate, and the certificate has not expired.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) certified: CertifiedKey,
    is_self_signed: bool,
}

/// A certificate and its private key, as PEM.
#[derive(Clone)]
pub struct Pem {
    /// The certificate.
    pub certificate: String,
    /// The private key of the certificate, which has to stay secret.
    pub key: String,
}

/// Without the private key, which has to stay out of logs.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pem = f.debug_struct("Pem");
        pem.field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Reports why a certificate or its key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadPem {
    /// The certificate cannot be used, for this reason.
    Certificate(String),
    /// The certificate expired on this day.
    Expired(String),
    /// The key cannot be used, for this reason.
    Key(String),
}

impl fmt::Display for BadPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(what) => write!(f, "the certificate {what}"),
            Self::Expired(day) => write!(f, "the certificate has expired on {day}"),
            Self::Key(what) => write!(f, "the key {what}"),
        }
    }
}

impl std::error::Error for BadPem {}

impl Certificate {
    /// Generates a self-signed certificate for `localhost`, both loopbacks and `host`.
    ///
    /// The certificate is valid for 30 days. For the wildcard address the certificate names the
    /// addresses of the machine, except link-local IPv6. On Unix the certificate then also names
    /// the host name, if that is a valid DNS name.
    ///
    /// # Panics
    ///
    /// Panics when the machine has no source of randomness.
    #[must_use]
    pub fn make(host: Option<IpAddr>) -> Pem {
        let mut names = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
        let more = match host {
            Some(host) if host.is_unspecified() => of_this_machine(),
            Some(host) => vec![host.to_string()],
            None => Vec::new(),
        };
        for name in more {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut params = CertificateParams::new(names).expect("these are names");
        params.distinguished_name = DistinguishedName::new();
        let name = "a development server on this machine";
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let now = SystemTime::now();
        params.not_before = now.into();
        params.not_after = (now + LIFE).into();
        let key = KeyPair::generate().expect("the machine has randomness");
        let certificate = params.self_signed(&key).expect("the key can sign");
        Pem {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// Reads a certificate from one PEM text, and its key from another.
    ///
    /// # Errors
    ///
    /// Returns [`BadPem`] when a text holds no certificate or no key, or when the key does not
    /// match the certificate. Returns [`BadPem`] too when the certificate has expired or is not
    /// valid yet, and when the certificate or the key cannot be used.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, BadPem> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.unwrap_or_default();
        let Some(leaf) = chain.first() else {
            let what = match PrivateKeyDer::from_pem_slice(certificate) {
                Ok(_) => "holds a private key, and no certificate",
                Err(_) => "holds no certificate in PEM",
            };
            return Err(BadPem::Certificate(what.into()));
        };
        let is_self_signed = check(leaf)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| {
            let has_certificate = CertificateDer::from_pem_slice(key).is_ok();
            let is_encrypted = key.windows(9).any(|word| word == b"ENCRYPTED");
            BadPem::Key(if has_certificate {
                "holds a certificate, and no private key".into()
            } else if is_encrypted {
                "is encrypted: openssl pkey opens it".into()
            } else {
                "holds no private key in PEM".into()
            })
        })?;
        let provider = crypto::ring::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            BadPem::Key(match error {
                InconsistentKeys(_) => "is not the key of the certificate".into(),
                error => format!("holds a key that cannot be used: {error}"),
            })
        })?;
        Ok(Self {
            certified,
            is_self_signed,
        })
    }

    /// Returns the SHA-256 fingerprint of the certificate, as browsers show fingerprints.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let leaf = self.certified.cert.first().map_or(&[][..], |it| it);
        let bytes = digest(&SHA256, leaf);
        let bytes = bytes.as_ref().iter().map(|byte| format!("{byte:02X}"));
        bytes.collect::<Vec<_>>().join(":")
    }

    /// Returns whether clients are sure to warn of the certificate.
    ///
    /// Clients warn of a self-signed certificate, or of one that is invalid in another way.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.is_self_signed
    }
}

/// Returns the addresses of this machine in its networks, and its host name if that is a DNS name.
fn of_this_machine() -> Vec<String> {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let addresses = interfaces.iter().map(if_addrs::Interface::ip);
    let is_link_local = |it: &IpAddr| matches!(it, IpAddr::V6(it) if it.is_unicast_link_local());
    let addresses = addresses.filter(|address| !is_link_local(address));
    let addresses = addresses.map(|address| address.to_string());
    #[cfg(unix)]
    let system = rustix::system::uname();
    #[cfg(unix)]
    let name = system.nodename().to_str().ok();
    #[cfg(not(unix))]
    let name = None;
    let name = name.filter(|name: &&str| DnsName::try_from(*name).is_ok());
    addresses.chain(name.map(str::to_owned)).collect()
}

/// Checks that a certificate is valid now, and returns whether clients are sure to warn of it.
fn check(leaf: &CertificateDer<'_>) -> Result<bool, BadPem> {
    let bad = |what: String| BadPem::Certificate(what);
    let unreadable = |error| bad(format!("holds a certificate that cannot be used: {error}"));
    let parsed = ParsedCertificate::try_from(leaf).map_err(unreadable)?;
    let mut roots = RootCertStore::empty();
    roots.add(leaf.clone().into_owned()).map_err(unreadable)?;
    let provider = crypto::ring::default_provider();
    let algorithms = provider.signature_verification_algorithms.all;
    let now = UnixTime::now();
    match verify_server_cert_signed_by_trust_anchor(&parsed, &roots, &[], now, algorithms) {
        Err(InvalidCertificate(ExpiredContext { not_after, .. })) => {
            Err(BadPem::Expired(date(not_after)))
        }
        Err(InvalidCertificate(NotValidYetContext { not_before, .. })) => {
            Err(bad(format!("is not valid before {}", date(not_before))))
        }
        Err(InvalidCertificate(UnknownIssuer)) => Ok(false),
        // Self-signed, or invalid in another way.
        _ => Ok(true),
    }
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let date = seconds.and_then(|it| OffsetDateTime::from_unix_timestamp(it).ok());
    date.map_or_else(String::new, |it| it.date().to_string())
}
