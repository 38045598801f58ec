//! TLS over the wire of a connection: the handshake, and by which HTTP it goes on.

mod certificate;
mod first;

use std::future::{pending, ready};
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::SetOnce;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto, version};
use tokio_rustls::server::TlsStream;

use super::content::Content;
use super::handler::Handler;
use super::limits::Limits;
use super::line::Line;
use super::places::Place;
use super::{http1, http2};
pub use certificate::{BadPem, Certificate, Pem};
use first::First;

/// The type of the record that opens a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// Bytes that rustls keeps of what the socket has no room for.
const BUFFER: usize = 4096;

/// What a server needs to speak TLS 1.3.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

impl Tls {
    /// TLS by this certificate.
    ///
    /// # Panics
    ///
    /// Never: ring has TLS 1.3.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        // By name, for a process that has two of them has no default.
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13])
            .expect("ring has TLS 1.3")
            .with_no_client_auth()
            .with_cert_resolver(certificate.resolver());
        config.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
        // A stream lives long, and a ticket costs a quarter of its handshake.
        config.send_tls13_tickets = 0;
        Self(TlsAcceptor::from(Arc::new(config)))
    }

    /// Shakes hands over `io`, if the peer speaks TLS.
    async fn shake<I>(&self, io: I) -> io::Result<Shaken<I>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let mut io = First::of(io).await?;
        if io.byte() != Some(HANDSHAKE) {
            io.release();
            return Ok(Shaken::Not(io));
        }
        let accept = self
            .0
            .accept_with(io, |tls| tls.set_buffer_limit(Some(BUFFER)));
        let mut stream = accept.await?;
        stream.get_mut().0.release();
        Ok(match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Shaken::Http2(stream),
            _ => Shaken::Http1(stream),
        })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

/// How a connection goes on.
enum Shaken<I> {
    Http2(TlsStream<First<I>>),
    Http1(TlsStream<First<I>>),
    /// The peer does not speak TLS.
    Not(First<I>),
}

/// Serves one connection to its end, or to the server's: the handshake and the first request have
/// the time of one head.
pub(super) async fn attend<I, H: Handler>(
    place: Place,
    io: I,
    tls: Tls,
    limits: Limits,
    handler: H,
    line: Arc<Line>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let deadline = Instant::now() + limits.head_timeout;
    let shaken = tokio::select! {
        biased;
        () = line.connection.shutdown().begun.wait() => return,
        shaken = timeout_at(deadline, tls.shake(io)) => shaken,
    };
    // Each in memory of its own, for they differ much in size.
    match shaken {
        Ok(Ok(Shaken::Http2(io))) => {
            Box::pin(http2::attend(place, io, limits, deadline, handler, line)).await;
        }
        Ok(Ok(Shaken::Http1(io))) => {
            Box::pin(attend_http1(place, io, limits, deadline, handler, line)).await;
        }
        Ok(Ok(Shaken::Not(io))) => {
            let refuse = |request| ready(refuse(&request));
            Box::pin(attend_http1(place, io, limits, deadline, refuse, line)).await;
        }
        Ok(Err(error)) => {
            let peer = line.connection.peer();
            tracing::debug!(%peer, "no handshake: {error}");
        }
        Err(_) => {}
    }
}

/// Serves HTTP/1.1, whose first request has to come before `deadline`: hyper starts the time for a
/// head when the handshake is over.
async fn attend_http1<I, H: Handler>(
    place: Place,
    io: I,
    limits: Limits,
    deadline: Instant,
    handler: H,
    line: Arc<Line>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let asked = Arc::new(SetOnce::new());
    let handler = {
        let asked = Arc::clone(&asked);
        move |request| {
            // Whoever was first has set it.
            let _ = asked.set(());
            handler(request)
        }
    };
    let late = async {
        if timeout_at(deadline, asked.wait()).await.is_ok() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = http1::attend(place, io, &http1::settings(&limits), handler, line) => {}
        () = late => {}
    }
}

/// 400 for a request in the clear, with the URL that it meant.
fn refuse(request: &Request<Content>) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).and_then(|it| it.to_str().ok());
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let line = host.map_or_else(
        || "this port speaks HTTPS\n".to_owned(),
        |host| format!("this port speaks HTTPS: https://{host}{path}\n"),
    );
    let mut refusal = Response::new(Full::from(line));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    let headers = refusal.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, text);
    refusal
}
