//! A client connection: HTTP/1.1 over TCP or TLS, or HTTP/2 over TLS.

use std::{net::SocketAddrV4, sync::Arc};

use bytes::Bytes;
use http::{StatusCode, header::LOCATION, request::Builder};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Mutex,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    random::Random,
    socket::{Behaviour, FaultySocket},
};
use crate::trust;

/// Why a connection was lost.
pub(super) type Lost = Box<dyn std::error::Error + Send + Sync>;

/// The address of a server, and the TLS settings if the server speaks TLS.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) socket: SocketAddrV4,
    pub(super) tls: Option<Tls>,
}

/// TLS settings that negotiate HTTP/1.1 or HTTP/2.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) http1: Arc<ClientConfig>,
    pub(super) http2: Arc<ClientConfig>,
}

impl Tls {
    pub(super) fn new() -> Result<Self, String> {
        Ok(Self {
            http1: trust::any_certificate(&["http/1.1"])?.into(),
            http2: trust::any_certificate(&["h2"])?.into(),
        })
    }
}

/// The protocol of a client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protocol {
    Http1,
    /// Over TLS only.
    Http2(Window),
}

/// The flow control of an HTTP/2 client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    size: u32,
    /// The client never sends `WINDOW_UPDATE`.
    hoards: bool,
    /// The client requested `split`. By default h2 treats many small frames as an attack.
    takes_pieces: bool,
}

impl Window {
    pub(super) fn draw(random: &mut Random, takes_pieces: bool) -> Self {
        Self {
            size: random.pick(&[0, 1, 100, 65_535, 65_535, 65_535, 1 << 20, (1 << 31) - 1]),
            hoards: random.one_in(12),
            takes_pieces,
        }
    }

    const OPEN: Self = Self {
        size: 65_535,
        hoards: false,
        takes_pieces: false,
    };
}

impl Protocol {
    /// Returns whether flow control never blocks the server.
    pub(super) fn has_open_window(self) -> bool {
        match self {
            Self::Http1 => true,
            Self::Http2(window) => !window.hoards && window.size >= Window::OPEN.size,
        }
    }

    /// Returns the same protocol with flow control that never blocks the server.
    pub(super) fn with_open_window(self) -> Self {
        match self {
            Self::Http1 => Self::Http1,
            Self::Http2(_) => Self::Http2(Window::OPEN),
        }
    }
}

/// An open connection, closed on drop.
pub(super) struct Connection {
    pub(super) channel: Channel,
    driver: Driver,
}

struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Driver {
    fn of(connection: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(connection))
    }
}

/// A handle for requests. Over HTTP/2 requests can be concurrent.
#[derive(Clone)]
pub(super) enum Channel {
    Http1(String, Arc<Mutex<http1::SendRequest<Full<Bytes>>>>),
    Http2(String, h2::client::SendRequest<Bytes>, Window),
}

impl Connection {
    /// Opens an HTTP/1.1 connection of a client without faults.
    pub(super) async fn without_faults(address: &Address) -> Result<Self, Lost> {
        Self::open(address, Protocol::Http1, Behaviour::default()).await
    }

    pub(super) async fn open(
        address: &Address,
        protocol: Protocol,
        behaviour: Behaviour,
    ) -> Result<Self, Lost> {
        let socket = FaultySocket::connect(address.socket, behaviour).await?;
        let host = address.socket.to_string();
        match (&address.tls, protocol) {
            (None, _) => Self::http1(host, socket).await,
            (Some(tls), Protocol::Http1) => {
                Self::http1(host, handshake(&tls.http1, socket).await?).await
            }
            (Some(tls), Protocol::Http2(window)) => {
                let mut builder = h2::client::Builder::new();
                builder
                    .initial_window_size(window.size)
                    .initial_connection_window_size(window.size.max(65_535));
                if window.takes_pieces {
                    builder.data_frame_budget(usize::MAX);
                }
                let io = handshake(&tls.http2, socket).await?;
                let (channel, connection) = builder.handshake(io).await?;
                Ok(Self {
                    channel: Channel::Http2(host, channel, window),
                    driver: Driver::of(async { drop(connection.await) }),
                })
            }
        }
    }

    async fn http1<I>(host: String, io: I) -> Result<Self, Lost>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (channel, connection) = http1::handshake(TokioIo::new(io)).await?;
        Ok(Self {
            channel: Channel::Http1(host, Arc::new(Mutex::new(channel))),
            driver: Driver::of(async { drop(connection.await) }),
        })
    }

    /// Closes the connection cleanly: over HTTP/2 with GOAWAY.
    pub(super) async fn say_goodbye(self) {
        drop(self.channel);
        let mut driver = self.driver;
        let _ = (&mut driver.0).await;
    }
}

/// Performs the TLS handshake.
pub(super) async fn handshake(
    config: &Arc<ClientConfig>,
    socket: FaultySocket,
) -> Result<TlsStream<FaultySocket>, Lost> {
    let name = ServerName::try_from("localhost")?;
    let connector = TlsConnector::from(Arc::clone(config));
    Ok(connector.connect(name, socket).await?)
}

/// A response: status, redirect target and body.
pub(super) struct Received {
    pub(super) status: StatusCode,
    /// The `Location` header.
    pub(super) location: Option<String>,
    body: Body,
}

enum Body {
    Http1(Incoming),
    Http2(h2::RecvStream, Window),
}

impl Channel {
    /// Sends a request and waits for the response head.
    pub(super) async fn send(&self, head: Builder, content: &[u8]) -> Result<Received, Lost> {
        let content = Bytes::copy_from_slice(content);
        let (head, body) = match self {
            Self::Http1(host, channel) => {
                let request = head.header("Host", host).body(Full::from(content))?;
                let mut channel = channel.lock().await;
                channel.ready().await?;
                let (head, body) = channel.send_request(request).await?.into_parts();
                (head, Body::Http1(body))
            }
            Self::Http2(host, channel, window) => {
                let mut request = head.body(())?;
                *request.uri_mut() = format!("https://{host}{}", request.uri()).parse()?;
                let mut channel = channel.clone().ready().await?;
                let (response, mut sending) = channel.send_request(request, content.is_empty())?;
                if !content.is_empty() {
                    sending.send_data(content, true)?;
                }
                let (head, body) = response.await?.into_parts();
                (head, Body::Http2(body, *window))
            }
        };
        let location = head.headers.get(LOCATION);
        Ok(Received {
            status: head.status,
            location: location.and_then(|it| it.to_str().ok()).map(str::to_owned),
            body,
        })
    }
}

impl Received {
    /// Returns the next data of the body, or nothing at its end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Lost> {
        match &mut self.body {
            Body::Http1(body) => match body.frame().await.transpose()? {
                Some(frame) => Ok(Some(frame.into_data().unwrap_or_default())),
                None => Ok(None),
            },
            Body::Http2(body, window) => {
                let data = body.data().await.transpose()?;
                if let Some(data) = data.as_ref().filter(|_| !window.hoards) {
                    body.flow_control().release_capacity(data.len())?;
                }
                Ok(data)
            }
        }
    }

    /// Returns the whole body.
    pub(super) async fn text(mut self) -> Result<String, Lost> {
        let mut text = Vec::new();
        while let Some(bytes) = self.next().await? {
            text.extend_from_slice(&bytes);
        }
        Ok(String::from_utf8(text)?)
    }
}
