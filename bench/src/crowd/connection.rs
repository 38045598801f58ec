//! One HTTP/2 connection over TLS: sends all requests at once and parses the response frames.

use std::{
    error::Error,
    io::{ErrorKind, Read, Write},
    net::SocketAddrV4,
    sync::Arc,
    time::Duration,
};

use mio::{Interest, Registry, Token, net::TcpStream};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

use crate::{client::Tally, servers::Target};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// SETTINGS with the largest stream window, then `WINDOW_UPDATE` to the largest connection window.
const WINDOWS: [u8; 28] = [
    0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff, //
    0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0,
];
const FRAME_HEAD: usize = 9;
/// The frame types and flags in use (RFC 9113 section 6).
mod frame {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const SETTINGS: u8 = 4;
    pub(super) const PING: u8 = 6;
    pub(super) const GOAWAY: u8 = 7;
    /// A flag of DATA and HEADERS.
    pub(super) const END_STREAM: u8 = 1;
    /// A flag of SETTINGS and PING.
    pub(super) const ACK: u8 = 1;
}

pub(super) struct Connection {
    socket: TcpStream,
    tls: ClientConnection,
    /// The bytes of an incomplete frame.
    rest: Vec<u8>,
    has_requested: bool,
    streams: Vec<Stream>,
    is_lost: bool,
}

/// The time of the last event, in microseconds since the beginning.
#[derive(Clone, Copy, Default)]
struct Stream {
    last: Option<u32>,
    ended: bool,
}

/// Totals over all connections.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    /// Connections with acknowledged SETTINGS.
    pub(super) settled: usize,
    /// Streams with a response head.
    pub(super) opened: usize,
    /// Streams that ended with `END_STREAM`.
    pub(super) ended: usize,
}

/// The counters that one poll of a connection updates.
pub(super) struct Seen<'a> {
    pub(super) now: u32,
    pub(super) interval: Duration,
    pub(super) counts: &'a mut Counts,
    pub(super) tally: &'a mut Tally,
}

impl Connection {
    pub(super) fn begin(
        address: SocketAddrV4,
        config: &Arc<ClientConfig>,
        streams: usize,
        registry: &Registry,
        token: Token,
    ) -> Result<Self, Box<dyn Error>> {
        let mut socket = TcpStream::connect(address.into())?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        let tls = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
        Ok(Self {
            socket,
            tls,
            rest: Vec::new(),
            has_requested: false,
            streams: vec![Stream::default(); streams],
            is_lost: false,
        })
    }

    pub(super) fn has_requested(&self) -> bool {
        self.has_requested
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Marks the connection as lost. Returns the number of its unfinished streams, or 1 if it has
    /// none.
    pub(super) fn lose(&mut self) -> usize {
        self.is_lost = true;
        if self.streams.is_empty() {
            return 1;
        }
        self.streams.iter().filter(|it| !it.ended).count()
    }

    /// Returns the number of unfinished streams without an event for `time`, or 0 on a lost
    /// connection.
    pub(super) fn silent_for(&self, time: Duration, now: u32) -> usize {
        let is_late = |last: u32| u128::from(now.wrapping_sub(last)) > time.as_micros();
        let is_silent = |it: &&Stream| !it.ended && it.last.is_none_or(is_late);
        let streams = self.streams.iter().filter(is_silent);
        if self.is_lost { 0 } else { streams.count() }
    }

    pub(super) fn poll(
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
        if !self.has_requested && !self.tls.is_handshaking() {
            self.has_requested = true;
            let requests = requests(target, self.streams.len());
            self.tls
                .writer()
                .write_all(&requests)
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

    /// Parses the decrypted bytes, frame by frame.
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
                // A late server may coalesce events.
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

/// Returns the preface and `streams` requests. Only the first sends host and path literally, the
/// rest refer to the HPACK table.
fn requests(target: &Target, streams: usize) -> Vec<u8> {
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
