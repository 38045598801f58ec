//! TLS for a connection: the handshake, and the HTTP version that follows.

mod certificate;
mod peeked;

use std::future::{pending, ready};
use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::HOST;
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::SetOnce;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto, version};
use tokio_rustls::server::TlsStream;

use super::connection::Connection;
use super::content::Content;
use super::handler::Handler;
use super::io::ServerIo;
use super::limits::Limits;
use super::permits::Permit;
use super::validate::rejection;
use super::{http1, http2};
pub use certificate::{BadPem, Certificate, Pem};
use peeked::Peeked;

/// The type of the record that opens a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

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
            .with_cert_resolver(certificate.resolver());
        config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
        // A stream lives long, and a ticket costs a quarter of the handshake.
        config.send_tls13_tickets = 0;
        Self(TlsAcceptor::from(Arc::new(config)))
    }

    /// Performs a TLS handshake over `io`, if the peer speaks TLS.
    async fn negotiate<I>(&self, io: ServerIo<I>) -> io::Result<Negotiated<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let mut io = Peeked::of(io).await?;
        if io.byte() != Some(HANDSHAKE) {
            io.release();
            return Ok(Negotiated::Not(io));
        }
        let accept = self
            .0
            .accept_with(io, |tls| tls.set_buffer_limit(Some(BUFFER)));
        let mut stream = accept.await?;
        stream.get_mut().0.release();
        Ok(match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => {
                stream.get_mut().0.io.set_http2();
                Negotiated::Http2(stream)
            }
            _ => Negotiated::Http1(stream),
        })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// The protocol of a connection.
enum Negotiated<I> {
    Http2(TlsStream<Peeked<ServerIo<I>>>),
    Http1(TlsStream<Peeked<ServerIo<I>>>),
    /// The peer does not speak TLS.
    Not(Peeked<ServerIo<I>>),
}

/// Serves one connection until the connection closes or the shutdown drops it.
///
/// The handshake and the first request share the time of one request head.
pub(super) async fn serve<I, H: Handler>(
    permit: Permit,
    io: ServerIo<I>,
    tls: Tls,
    limits: Limits,
    handler: H,
    connection: Connection,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let deadline = Instant::now() + limits.head_timeout;
    let negotiated = pin!(timeout_at(deadline, tls.negotiate(io)));
    let shutdown = connection.shutdown();
    let Some(negotiated) = shutdown.unless_begun(negotiated).await else {
        return;
    };
    // Each future is boxed by itself, because the futures differ much in size.
    match negotiated {
        Ok(Ok(Negotiated::Http2(io))) => {
            Box::pin(http2::serve(
                permit, io, limits, deadline, handler, connection,
            ))
            .await;
        }
        Ok(Ok(Negotiated::Http1(io))) => {
            Box::pin(serve_http1(
                permit, io, limits, deadline, handler, connection,
            ))
            .await;
        }
        Ok(Ok(Negotiated::Not(io))) => {
            let reject_plain_http = |request| ready(reject_plain_http(&request));
            Box::pin(serve_http1(
                permit,
                io,
                limits,
                deadline,
                reject_plain_http,
                connection,
            ))
            .await;
        }
        Ok(Err(error)) => {
            let peer = connection.peer();
            tracing::debug!(%peer, "no handshake: {error}");
        }
        Err(_) => {}
    }
}

/// Serves HTTP/1.1, with `deadline` for the first request.
///
/// hyper starts the time for a request head only when the handshake is over.
async fn serve_http1<I, H: Handler>(
    permit: Permit,
    io: I,
    limits: Limits,
    deadline: Instant,
    handler: H,
    connection: Connection,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let requested = Arc::new(SetOnce::new());
    let handler = {
        let requested = Arc::clone(&requested);
        move |request| {
            // An error means that an earlier request has set the value.
            let _ = requested.set(());
            handler(request)
        }
    };
    let late = async {
        if timeout_at(deadline, requested.wait()).await.is_ok() {
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
