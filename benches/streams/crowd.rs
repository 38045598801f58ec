//! The load client over HTTP/2: one thread that holds thousands of connections, each with many streams.
//!
//! It says no more than it must and opens every window at once, so that it costs little beside the server.

use std::{
    io::{ErrorKind, Read, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
    client::Resumption,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::client::{Client, Tally, Target, wait};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS with the largest window of a stream, then the largest of the connection.
const WINDOWS: [u8; 28] = [
    0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff, //
    0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0,
];
const FRAME_HEAD: usize = 9;
/// Connections that may be shaking hands at a time.
const AT_ONCE: usize = 64;
const OPEN_DEADLINE: Duration = Duration::from_secs(120);

/// The kinds of frames that mean something here (RFC 9113 section 6).
mod frame {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    /// Of DATA and HEADERS.
    pub(super) const END_STREAM: u8 = 1;
    /// Of SETTINGS and PING.
    pub(super) const ACK: u8 = 1;
}

struct Connection {
    socket: TcpStream,
    tls: ClientConnection,
    /// What has come and is no whole frame yet.
    rest: Vec<u8>,
    has_asked: bool,
    streams: Vec<Stream>,
    is_lost: bool,
}

/// When its last event came, in microseconds since the beginning; none before the first.
#[derive(Clone, Copy, Default)]
struct Stream {
    last: Option<u32>,
    ended: bool,
}

/// Every stream to one server.
pub(crate) struct Crowd {
    poll: Poll,
    ready: Events,
    config: Arc<ClientConfig>,
    connections: Vec<Connection>,
    buffer: Box<[u8]>,
    target: Target,
    begin: Instant,
    tally: Tally,
    shaking: usize,
    counts: Counts,
    reason: String,
}

/// What has come to pass so far.
#[derive(Clone, Copy, Default)]
struct Counts {
    /// Connections whose settings the server has acknowledged.
    settled: usize,
    /// Streams whose head has come.
    opened: usize,
    /// Streams whose last frame said so.
    ended: usize,
}

impl Crowd {
    pub(crate) fn new(target: Target) -> Result<Self, String> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        config.alpn_protocols = vec!["h2".into()];
        // Every connection pays for a whole handshake.
        config.resumption = Resumption::disabled();
        Ok(Self {
            poll: Poll::new().map_err(|e| format!("no epoll: {e}"))?,
            ready: Events::with_capacity(1024),
            config: Arc::new(config),
            connections: Vec::new(),
            buffer: vec![0; 64 * 1024].into(),
            target,
            begin: Instant::now(),
            tally: Tally::new(),
            shaking: 0,
            counts: Counts::default(),
            reason: "no stream was lost".into(),
        })
    }

    /// Streams whose last frame said so.
    pub(crate) fn ended_cleanly(&self) -> usize {
        self.counts.ended
    }

    /// Opens so many connections with so many streams each, evenly over the time given, and says
    /// how long it took until the last connection had settled and the last head had arrived.
    pub(crate) fn open(
        &mut self,
        connections: usize,
        streams: usize,
        over: Duration,
    ) -> Result<Duration, String> {
        let begin = Instant::now();
        let first = self.connections.len();
        let Counts {
            settled, opened, ..
        } = self.counts;
        let (settled, opened) = (settled + connections, opened + connections * streams);
        while self.counts.settled < settled || self.counts.opened < opened {
            let share = begin.elapsed().as_secs_f64() / over.as_secs_f64().max(1e-9);
            let due = (connections as f64 * share.min(1.0)) as usize;
            while self.connections.len() - first < due && self.shaking < AT_ONCE {
                self.connect(streams)?;
            }
            self.turn(Duration::from_millis(1))?;
            if self.tally.lost > 0 {
                return Err(format!("a stream could not be opened: {}", self.reason));
            }
            if begin.elapsed() > over + OPEN_DEADLINE {
                return Err(format!(
                    "only {} of {settled} connections and {} of {opened} streams opened in time",
                    self.counts.settled, self.counts.opened
                ));
            }
        }
        Ok(begin.elapsed())
    }

    fn connect(&mut self, streams: usize) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot connect: {error}");
        let mut socket =
            TcpStream::connect(self.target.address.into()).map_err(|error| failed(&error))?;
        let token = Token(self.connections.len());
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry
            .register(&mut socket, token, interest)
            .map_err(|error| failed(&error))?;
        let name = ServerName::try_from("localhost").map_err(|error| failed(&error))?;
        let tls = ClientConnection::new(Arc::clone(&self.config), name);
        self.connections.push(Connection {
            socket,
            tls: tls.map_err(|error| failed(&error))?,
            rest: Vec::new(),
            has_asked: false,
            streams: vec![Stream::default(); streams],
            is_lost: false,
        });
        self.shaking += 1;
        Ok(())
    }
}

impl Client for Crowd {
    fn turn(&mut self, timeout: Duration) -> Result<(), String> {
        wait(&mut self.poll, &mut self.ready, timeout)?;
        for event in &self.ready {
            let connection = &mut self.connections[event.token().0];
            if connection.is_lost {
                continue;
            }
            let mut seen = Seen {
                now: self.begin.elapsed().as_micros() as u32,
                interval: self.target.interval,
                counts: &mut self.counts,
                tally: &mut self.tally,
            };
            let had_asked = connection.has_asked;
            let result = connection.turn(&mut self.buffer, &self.target, &mut seen);
            self.shaking -= usize::from(!had_asked && connection.has_asked);
            if let Err(reason) = result {
                let left = connection.streams.iter().filter(|it| !it.ended).count();
                self.tally.lost += left;
                connection.is_lost = true;
                if left > 0 {
                    self.reason = reason;
                }
            }
        }
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

/// Where a turn of one connection writes down what it sees.
struct Seen<'a> {
    now: u32,
    interval: Duration,
    counts: &'a mut Counts,
    tally: &'a mut Tally,
}

impl Connection {
    fn turn(
        &mut self,
        buffer: &mut [u8],
        target: &Target,
        seen: &mut Seen<'_>,
    ) -> Result<(), String> {
        let mut is_closed = false;
        loop {
            match self.tls.read_tls(&mut self.socket) {
                Ok(0) => {
                    is_closed = true;
                    break;
                }
                Ok(_) => {
                    self.tls.process_new_packets().map_err(|e| e.to_string())?;
                    self.take(buffer, seen)?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
        if !self.has_asked && !self.tls.is_handshaking() {
            self.has_asked = true;
            let asked = ask(target, self.streams.len());
            self.tls
                .writer()
                .write_all(&asked)
                .map_err(|e| e.to_string())?;
        }
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        if is_closed {
            return Err("the server closed the connection".into());
        }
        Ok(())
    }

    /// Takes the plain bytes that have come, frame by frame.
    fn take(&mut self, buffer: &mut [u8], seen: &mut Seen<'_>) -> Result<(), String> {
        loop {
            let length = match self.tls.reader().read(buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            let mut bytes = &buffer[..length];
            let joined;
            if !self.rest.is_empty() {
                self.rest.extend_from_slice(bytes);
                joined = std::mem::take(&mut self.rest);
                bytes = &joined;
            }
            while let Some((head, tail)) = bytes.split_first_chunk::<FRAME_HEAD>() {
                let [a, b, c, kind, flags, stream @ ..] = *head;
                let size = u32::from_be_bytes([0, a, b, c]) as usize;
                let Some((payload, next)) = tail.split_at_checked(size) else {
                    break;
                };
                let stream = u32::from_be_bytes(stream) as usize;
                self.frame(kind, flags, stream, payload, seen)?;
                bytes = next;
            }
            self.rest.extend_from_slice(bytes);
        }
    }

    fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        stream: usize,
        payload: &[u8],
        seen: &mut Seen<'_>,
    ) -> Result<(), String> {
        let slot = stream.wrapping_sub(1) / 2;
        match kind {
            frame::SETTINGS if flags & frame::ACK == 0 => {
                self.say(&[0, 0, 0, frame::SETTINGS, frame::ACK, 0, 0, 0, 0])
            }
            frame::SETTINGS => {
                seen.counts.settled += 1;
                Ok(())
            }
            frame::PING if flags & frame::ACK == 0 => {
                self.say(&[&[0, 0, 8, frame::PING, frame::ACK, 0, 0, 0, 0], payload].concat())
            }
            frame::GOAWAY if payload.get(7) != Some(&0) => {
                Err(format!("the server went away: {payload:?}"))
            }
            frame::HEADERS if payload.first() == Some(&0x88) => {
                seen.counts.opened += 1;
                Ok(())
            }
            frame::HEADERS => Err("the status is not 200".into()),
            frame::RST_STREAM => {
                self.streams[slot].ended = true;
                seen.tally.lost += 1;
                Ok(())
            }
            frame::DATA => {
                let stream = &mut self.streams[slot];
                // A server that is late may join events.
                for _ in payload.windows(6).filter(|bytes| bytes == b"data: ") {
                    seen.tally.events += 1;
                    if let Some(last) = stream.last.replace(seen.now) {
                        let apart = Duration::from_micros(u64::from(seen.now.wrapping_sub(last)));
                        seen.tally.deviation.record(apart.abs_diff(seen.interval));
                    }
                }
                if flags & frame::END_STREAM != 0 {
                    stream.ended = true;
                    seen.counts.ended += 1;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn say(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.tls
            .writer()
            .write_all(bytes)
            .map_err(|e| e.to_string())
    }
}

/// The preface and so many requests; HPACK's table has the host and the path from the first of them.
fn ask(target: &Target, streams: usize) -> Vec<u8> {
    let host = target.address.to_string();
    let mut first = vec![0x82, 0x87, 0x41];
    for text in [host.as_str(), &target.path] {
        first.push(text.len() as u8);
        first.extend_from_slice(text.as_bytes());
        first.push(0x44);
    }
    first.pop();
    let mut bytes = [PREFACE, &WINDOWS].concat();
    for stream in 0..streams {
        let block = if stream == 0 {
            &first
        } else {
            &[0x82, 0x87, 0xbf, 0xbe][..]
        };
        let end = 0x04 | frame::END_STREAM;
        bytes.extend_from_slice(&[0, 0, block.len() as u8, frame::HEADERS, end]);
        bytes.extend_from_slice(&(2 * stream as u32 + 1).to_be_bytes());
        bytes.extend_from_slice(block);
    }
    bytes
}

/// A client that takes any certificate: whom it speaks to is known.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 is expected".into()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
