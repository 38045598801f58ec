//! TLS for a connection: the handshake, and the HTTP version that follows.

mod certificate;

use std::future::{pending, ready};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, BufReader};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, crypto, version};
use tokio_rustls::server::TlsStream;

use super::connection::Connection;
use super::content::Content;
use super::handler::Handler;
use super::io::ServerIo;
use super::limits::Limits;
use super::permits::Permit;
use super::socket::Accept;
use super::validate::rejection;
use super::{http1, http2};
pub use certificate::{BadPem, Certificate, Pem};

/// The type of the record that opens a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// The most bytes of a handshake after its first byte.
///
/// A browser's `ClientHello` is about 2 KiB. rustls would buffer 64 KiB.
const MAX_HANDSHAKE: u16 = 32 * 1024;

/// The most bytes that rustls buffers when the socket has no room.
const BUFFER: usize = 4096;

/// Configures TLS 1.3 for a server.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Creates a configuration with this certificate.
    ///
    /// # Panics
    ///
    /// Never panics, because ring supports TLS 1.3.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        // Named, because a process with two crypto providers has no default.
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .expect("ring has TLS 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate.certified)));
        config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
        // A stream lives long, and a ticket costs a quarter of the handshake.
        config.send_tls13_tickets = 0;
        Self(TlsAcceptor::from(Arc::new(config)))
    }

    /// Performs a TLS handshake over `io`, if the peer speaks TLS.
    async fn negotiate<L: Accept>(&self, io: ServerIo<L>) -> io::Result<Negotiated<L>> {
        // The buffer holds the first byte only. Further reads bypass the buffer.
        let mut io = BufReader::with_capacity(1, io);
        match io.fill_buf().await? {
            [] => return Err(io::ErrorKind::UnexpectedEof.into()),
            [HANDSHAKE, ..] => {}
            _ => return Ok(Negotiated::Plain(io)),
        }
        io.get_mut().handshake_room = Some(MAX_HANDSHAKE);
        let limit = |tls: &mut ServerConnection| tls.set_buffer_limit(Some(BUFFER));
        let mut stream = self.0.accept_with(io, limit).await?;
        let (io, tls) = stream.get_mut();
        let io = io.get_mut();
        io.handshake_room = None;
        io.connection.set_http2(tls.alpn_protocol() == Some(b"h2"));
        Ok(Negotiated::Tls(stream))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// A connection after its handshake, or without TLS if the peer does not speak TLS.
#[expect(clippy::large_enum_variant, reason = "the value is matched at once")]
enum Negotiated<L: Accept> {
    Tls(TlsStream<BufReader<ServerIo<L>>>),
    Plain(BufReader<ServerIo<L>>),
}

/// Serves one connection until the connection closes or the shutdown drops it.
///
/// The handshake and the first request share the time of one request head.
pub(super) async fn serve<L: Accept, H: Handler>(
    permit: Permit,
    io: ServerIo<L>,
    tls: Tls,
    limits: Limits,
    handler: H,
    connection: Connection,
) {
    let deadline = Instant::now() + limits.head_timeout;
    let negotiating = timeout_at(deadline, tls.negotiate(io));
    let negotiated = connection.shutdown().unless_begun(Box::pin(negotiating));
    let Some(Ok(negotiated)) = negotiated.await else {
        return;
    };
    // Each future is boxed by itself, because the futures differ much in size.
    match negotiated {
        Ok(Negotiated::Tls(io)) if connection.is_http2() => {
            let serving = http2::serve(permit, io, limits, deadline, handler, connection);
            Box::pin(serving).await;
        }
        Ok(Negotiated::Tls(io)) => {
            let serving = serve_http1(permit, io, limits, deadline, handler, connection);
            Box::pin(serving).await;
        }
        Ok(Negotiated::Plain(io)) => {
            let handler = |request| ready(reject_plain_http(&request));
            let serving = serve_http1(permit, io, limits, deadline, handler, connection);
            Box::pin(serving).await;
        }
        Err(error) => tracing::debug!(peer = %connection.peer(), "no handshake: {error}"),
    }
}

/// Serves HTTP/1.1, with `deadline` for the first request.
///
/// hyper starts the time for a request head only when the handshake is over.
async fn serve_http1<I: AsyncRead + AsyncWrite + Unpin, H: Handler>(
    permit: Permit,
    io: I,
    limits: Limits,
    deadline: Instant,
    handler: H,
    connection: Connection,
) {
    let requested = Arc::new(Notify::new());
    let notify = Arc::clone(&requested);
    let handler = move |request| {
        notify.notify_one();
        handler(request)
    };
    let late = async {
        if timeout_at(deadline, requested.notified()).await.is_ok() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = http1::serve(permit, io, &http1::settings(&limits), handler, connection) => {}
        () = late => {}
    }
}

/// Returns a 400 for a request over plain HTTP, with the HTTPS URL of the request.
fn reject_plain_http(request: &Request<Content>) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|it| it.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let url = host.map_or_else(String::new, |host| format!(": https://{host}{path}"));
    rejection(
        StatusCode::BAD_REQUEST,
        format!("this port speaks HTTPS{url}\n"),
    )
}
