//! HTTP or HTTPS: the configuration of the server, and the lines that announce it.

#[cfg(feature = "tls")]
use sse_clock::server::Server;
#[cfg(feature = "tls")]
use sse_clock::server::host::Host;
#[cfg(feature = "tls")]
use sse_clock::server::tls::{Certificate, Tls};

#[cfg(feature = "tls")]
use super::certificate::certificate;
#[cfg(feature = "tls")]
use super::settings::Settings;

/// How the server speaks.
pub(crate) struct Security {
    scheme: &'static str,
    curl: &'static str,
    notes: String,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Security {
    /// What `settings` ask for, on this host.
    ///
    /// # Errors
    ///
    /// One line that says why HTTPS is not possible.
    #[cfg(feature = "tls")]
    pub(crate) fn of(settings: &Settings, host: Host) -> Result<Self, String> {
        if !settings.tls {
            return Ok(Self::plain());
        }
        let host = match host {
            Host::Address(address) => Some(address),
            Host::Localhost => None,
        };
        let (certificate, note) = certificate(host, settings.files()?)?;
        Ok(Self::by(certificate, note))
    }

    pub(crate) fn plain() -> Self {
        Self {
            scheme: "http",
            curl: "curl -N",
            notes: String::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    #[cfg(feature = "tls")]
    fn by(certificate: Certificate, mut notes: String) -> Self {
        let fingerprint = certificate.fingerprint();
        notes.push_str("SHA-256 fingerprint of the certificate: ");
        notes.push_str(&fingerprint);
        notes.push('\n');
        let warns = certificate.is_self_signed();
        if warns {
            notes.push_str(
                "A browser warns of it once. For one without a warning:\n  \
                 mkcert -install && mkcert -cert-file cert.pem -key-file key.pem localhost 127.0.0.1 ::1\n\
                 and start with --tls --cert cert.pem --key key.pem\n",
            );
        }
        Self {
            scheme: "https",
            curl: if warns { "curl -kN" } else { "curl -N" },
            notes,
            tls: Some(Tls::new(certificate)),
        }
    }

    /// `server`, to speak like this.
    #[cfg(feature = "tls")]
    pub(crate) fn secure(&self, server: Server) -> Server {
        match &self.tls {
            Some(tls) => server.with_tls(tls.clone()),
            None => server,
        }
    }

    /// What the server says of itself at `host_and_port`.
    pub(crate) fn announcement(&self, host_and_port: &str) -> String {
        let Self {
            scheme,
            curl,
            notes,
            ..
        } = self;
        let url = format!("{scheme}://{host_and_port}");
        format!(
            "Server listening on {url}\n\
             Open it in a browser, or try: {curl} {url}/events\n\
             {notes}"
        )
    }
}
