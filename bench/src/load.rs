//! The HTTP/1.1 load client: one thread, thousands of streams, epoll, and one read per event.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, connect, socket_with},
};

use crate::{
    client::{Client, Pace, Tally, wait},
    framing::Framing,
    servers::Target,
};

/// New connections between two polls.
const BATCH: usize = 64;
/// Sockets that one poll reports at most.
const GROUP: usize = 1024;

struct Stream {
    socket: Option<TcpStream>,
    framing: Framing,
    is_connecting: bool,
    last: Option<Instant>,
    events: usize,
}

/// All streams to one server.
pub(crate) struct Load {
    poll: Poll,
    ready: Events,
    streams: Vec<Stream>,
    buffer: Box<[u8]>,
    request: String,
    target: Target,
    opened: usize,
    ended: usize,
    /// Streams to open again, because their connection was lost before the response head.
    again: Vec<usize>,
    refused: usize,
    reason: String,
    tally: Tally,
    /// How many streams received their n-th event, and when the last of them did.
    receipts: Vec<(usize, Instant)>,
}

impl Load {
    pub(crate) fn new(target: Target) -> Result<Self, String> {
        Ok(Self {
            poll: Poll::new().map_err(|e| format!("no epoll: {e}"))?,
            ready: Events::with_capacity(GROUP),
            streams: Vec::new(),
            buffer: vec![0; 64 * 1024].into(),
            request: request(&target),
            target,
            opened: 0,
            ended: 0,
            again: Vec::new(),
            refused: 0,
            reason: "no stream was lost".into(),
            tally: Tally::new(),
            receipts: Vec::new(),
        })
    }

    /// Opens `count` more streams, evenly over the given time. Zero opens all at once.
    ///
    /// Returns the time until the last response head arrived.
    pub(crate) fn open(&mut self, count: usize, over: Duration) -> Result<Duration, String> {
        let pace = Pace::begin(count, over);
        let wanted = self.opened + count;
        let mut made = 0;
        while self.opened < wanted {
            let due = pace.due();
            for _ in 0..BATCH.min(due - made) {
                self.connect(self.streams.len())?;
                made += 1;
            }
            while let Some(slot) = self.again.pop() {
                self.connect(slot)?;
                self.refused += 1;
            }
            let pause = u64::from(made >= due);
            self.poll(Duration::from_millis(pause))?;
            if self.tally.lost > 0 || self.refused > wanted {
                return Err(format!("a stream could not be opened: {}", self.reason));
            }
            if pace.is_over() {
                let open = self.opened + count - wanted;
                return Err(format!("only {open} of {count} streams opened in time"));
            }
        }
        Ok(pace.elapsed())
    }

    /// Closes every stream.
    pub(crate) fn close(&mut self) {
        self.streams.clear();
        self.receipts.clear();
    }

    /// Returns when the last stream received its n-th event, if all did.
    pub(crate) fn received_by_all(&self, n: usize) -> Option<Instant> {
        let (streams, last) = *self.receipts.get(n)?;
        (streams == self.streams.len()).then_some(last)
    }

    /// Returns the number of streams with other data than that of `digest`.
    pub(crate) fn differing(&self, digest: u64) -> usize {
        let differs = |it: &&Stream| it.framing.digest() != digest;
        self.streams.iter().filter(differs).count()
    }

    fn connect(&mut self, slot: usize) -> Result<(), String> {
        let stream = Stream::connect(self.target.address, slot, &self.poll)
            .map_err(|error| format!("cannot connect: {error}"))?;
        if slot == self.streams.len() {
            self.streams.push(stream);
        } else {
            self.streams[slot] = stream;
        }
        Ok(())
    }
}

impl Client for Load {
    fn poll(&mut self, timeout: Duration) -> Result<(), String> {
        wait(&mut self.poll, &mut self.ready, timeout)?;
        for event in &self.ready {
            let slot = event.token().0;
            let Some(stream) = self.streams.get_mut(slot) else {
                continue;
            };
            let (had_head, had_end) = (stream.framing.is_open(), stream.framing.is_ended());
            let mut result = Ok(());
            if stream.is_connecting && event.is_writable() {
                result = stream.send(&self.request);
            }
            let closed = event.is_read_closed();
            if result.is_ok() && (event.is_readable() || closed) {
                let (tally, receipts) = (&mut self.tally, &mut self.receipts);
                let interval = self.target.interval;
                result = stream.receive(&mut self.buffer, closed, interval, tally, receipts);
            }
            if let Err(reason) = result {
                stream.socket = None;
                self.reason = reason;
                if stream.framing.is_open() {
                    self.tally.lost += 1;
                } else {
                    self.again.push(slot);
                }
            } else if !had_head && stream.framing.is_open() {
                self.opened += 1;
            }
            self.ended += usize::from(!had_end && stream.framing.is_ended());
        }
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn ended_cleanly(&self) -> usize {
        self.ended
    }

    fn silent_for(&self, time: Duration) -> usize {
        let is_silent =
            |it: &&Stream| it.socket.is_some() && it.last.is_none_or(|last| last.elapsed() > time);
        self.streams.iter().filter(is_silent).count()
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

impl Stream {
    fn connect(target: SocketAddrV4, slot: usize, poll: &Poll) -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        match connect(&socket, &target) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        let mut socket = TcpStream::from_std(socket.into());
        poll.registry().register(
            &mut socket,
            Token(slot),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(Self {
            socket: Some(socket),
            framing: Framing::new(),
            is_connecting: true,
            last: None,
            events: 0,
        })
    }

    fn send(&mut self, request: &str) -> Result<(), String> {
        self.is_connecting = false;
        let Some(socket) = &mut self.socket else {
            return Ok(());
        };
        let result = match socket.take_error() {
            Ok(None) => socket.write_all(request.as_bytes()),
            Ok(Some(error)) | Err(error) => Err(error),
        };
        result.map_err(|error| error.to_string())
    }

    /// Reads until the socket is empty.
    ///
    /// A read that does not fill the buffer has emptied the socket, and epoll reports later data.
    /// An event therefore costs one read instead of two. After epoll has reported a close, this
    /// reads to the end of the stream.
    fn receive(
        &mut self,
        buffer: &mut [u8],
        closed: bool,
        interval: Duration,
        tally: &mut Tally,
        receipts: &mut Vec<(usize, Instant)>,
    ) -> Result<(), String> {
        loop {
            let Some(socket) = &mut self.socket else {
                return Ok(());
            };
            let length = match socket.read(buffer) {
                Ok(0) => return Err("the server closed it without the terminating chunk".into()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            let events = self.framing.feed(&buffer[..length])?;
            let now = Instant::now();
            tally.events += u64::from(events);
            for _ in 0..events {
                if let Some(last) = self.last.replace(now) {
                    tally.deviation.record((now - last).abs_diff(interval));
                }
                receipts.resize(receipts.len().max(self.events + 1), (0, now));
                receipts[self.events] = (receipts[self.events].0 + 1, now);
                self.events += 1;
            }
            if self.framing.is_ended() {
                self.socket = None;
            } else if length < buffer.len() && !closed {
                return Ok(());
            }
        }
    }
}

/// Returns the request head of Chromium's `EventSource`.
fn request(target: &Target) -> String {
    let Target { address, path, .. } = target;
    format!(
        "GET {path} HTTP/1.1\r\n\
         Host: {address}\r\n\
         Connection: keep-alive\r\n\
         sec-ch-ua-platform: \"Linux\"\r\n\
         Cache-Control: no-cache\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/156.0.0.0 Safari/537.36\r\n\
         Accept: text/event-stream\r\n\
         sec-ch-ua: \"Chromium\";v=\"156\", \"Not)A;Brand\";v=\"24\"\r\n\
         sec-ch-ua-mobile: ?0\r\n\
         Sec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\n\
         Referer: http://{address}/\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Accept-Language: en-US,en;q=0.9\r\n\r\n"
    )
}
