//! HTTP/2 frames written and read by hand (RFC 9113 section 4), for behaviour that no client has.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::support::tls::{handshake, handshake_over};
use crate::support::{Client, DEADLINE};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;

#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in values {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, payload)
}

/// A `WINDOW_UPDATE` for `stream`; 0 is the connection.
pub fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, bytes.to_be_bytes())
}

pub fn reset(stream: u32) -> Vec<u8> {
    const CANCEL: u32 = 8;
    frame(RST_STREAM, 0, stream, CANCEL.to_be_bytes())
}

/// A field block without compression (RFC 7541 section 6.2.2).
pub fn fields<'a>(list: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            block.extend(length(text.len()));
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn length(mut number: usize) -> Vec<u8> {
    if number < 127 {
        return vec![u8::try_from(number).unwrap()];
    }
    number -= 127;
    let mut bytes = vec![127];
    while number >= 128 {
        bytes.push(u8::try_from(number % 128).unwrap() | 128);
        number /= 128;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

/// A request head.
pub fn head<'a>(
    method: &'a str,
    path: &'a str,
    more: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Vec<u8> {
    let own = [
        (":method", method),
        (":scheme", "https"),
        (":authority", "clock"),
        (":path", path),
    ];
    fields(own.into_iter().chain(more))
}

/// A GET of `path` without content.
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let flags = END_HEADERS | END_STREAM;
    frame(HEADERS, flags, stream, head("GET", path, []))
}

/// Connects with the smallest receive buffer that the system allows.
pub fn narrow(address: SocketAddr) -> TcpStream {
    let io = Client::connect_narrow(address).0;
    io.set_nonblocking(true).unwrap();
    TcpStream::from_std(io).unwrap()
}

/// A client that sends only the frames that the test writes, and acknowledges nothing by itself.
#[derive(Debug)]
pub struct Peer(pub TlsStream<TcpStream>);

impl Peer {
    /// Connects, and sends the preface with these settings.
    pub async fn connect(address: SocketAddr, values: &[(u16, u32)]) -> Self {
        Self(handshake(address, "h2").await).begin(values).await
    }

    /// Connects and sends the preface, with the smallest receive buffer that the system allows.
    pub async fn connect_narrow(address: SocketAddr, values: &[(u16, u32)]) -> Self {
        Self(handshake_over(narrow(address), "h2").await)
            .begin(values)
            .await
    }

    async fn begin(mut self, values: &[(u16, u32)]) -> Self {
        self.send([PREFACE, &settings(values)].concat()).await;
        self
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.expect("it is open");
        self.0.flush().await.expect("it is open");
    }

    /// Sends as much as the server reads within `time`; returns whether that was everything.
    pub async fn try_to_send(&mut self, bytes: impl AsRef<[u8]>, time: Duration) -> bool {
        let sending = async {
            self.0.write_all(bytes.as_ref()).await?;
            self.0.flush().await
        };
        matches!(timeout(time, sending).await, Ok(Ok(())))
    }

    /// The next frame; `None` once the connection has ended in any way.
    pub async fn next(&mut self) -> Option<Frame> {
        let reading = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).unwrap()];
            self.0.read_exact(&mut payload).await.ok()?;
            Some(Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                payload,
            })
        };
        let next = timeout(DEADLINE, reading).await;
        next.expect("the next frame comes, or the end")
    }

    /// The next frame of this `kind` and `stream`.
    #[track_caller]
    pub fn until(&mut self, kind: u8, stream: u32) -> impl Future<Output = Frame> {
        let place = std::panic::Location::caller();
        let waiting = async move {
            while let Some(frame) = self.next().await {
                if (frame.kind, frame.stream) == (kind, stream) {
                    return frame;
                }
            }
            panic!("the connection ended before a frame {kind} of stream {stream}: {place}");
        };
        async move {
            let found = timeout(DEADLINE, waiting).await;
            found.unwrap_or_else(|_| panic!("no frame {kind} of stream {stream}: {place}"))
        }
    }

    /// All frames up to the end of the connection.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }
}
