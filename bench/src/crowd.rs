//! The HTTP/2 load client: one thread with thousands of connections of many streams each.
//!
//! The client sends only required frames and uses the largest windows, to cost little CPU time.

mod connection;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token};
use rustls::{ClientConfig, client::Resumption};

use crate::{
    client::{Client, Pace, Tally, wait},
    servers::Target,
    trust,
};
use connection::{Connection, Counts, Seen};

/// The limit of concurrent TLS handshakes.
const AT_ONCE: usize = 64;

/// All connections to one server.
pub(crate) struct Crowd {
    poll: Poll,
    ready: Events,
    config: Arc<ClientConfig>,
    connections: Vec<Connection>,
    buffer: Box<[u8]>,
    target: Target,
    begin: Instant,
    tally: Tally,
    handshaking: usize,
    counts: Counts,
    reason: String,
}

impl Crowd {
    pub(crate) fn new(target: Target) -> Result<Self, String> {
        let mut config = trust::any_certificate(&["h2"])?;
        // Every connection makes a full handshake.
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
            handshaking: 0,
            counts: Counts::default(),
            reason: "no stream was lost".into(),
        })
    }

    /// Opens `connections` with `streams` each, evenly over the given time.
    ///
    /// Returns the time until the last SETTINGS was acknowledged and the last response head
    /// arrived.
    pub(crate) fn open(
        &mut self,
        connections: usize,
        streams: usize,
        over: Duration,
    ) -> Result<Duration, String> {
        let pace = Pace::begin(connections, over);
        let first = self.connections.len();
        let settled = self.counts.settled + connections;
        let opened = self.counts.opened + connections * streams;
        while self.counts.settled < settled || self.counts.opened < opened {
            while self.connections.len() - first < pace.due() && self.handshaking < AT_ONCE {
                self.connect(streams)?;
            }
            self.poll(Duration::from_millis(1))?;
            if self.tally.lost > 0 {
                return Err(format!("a stream could not be opened: {}", self.reason));
            }
            if pace.is_over() {
                return Err(format!(
                    "only {} of {settled} connections and {} of {opened} streams opened in time",
                    self.counts.settled, self.counts.opened
                ));
            }
        }
        Ok(pace.elapsed())
    }

    fn connect(&mut self, streams: usize) -> Result<(), String> {
        let token = Token(self.connections.len());
        let (registry, address) = (self.poll.registry(), self.target.address);
        let connection = Connection::begin(address, &self.config, streams, registry, token);
        let connection = connection.map_err(|error| format!("cannot connect: {error}"))?;
        self.connections.push(connection);
        self.handshaking += 1;
        Ok(())
    }
}

impl Client for Crowd {
    fn poll(&mut self, timeout: Duration) -> Result<(), String> {
        wait(&mut self.poll, &mut self.ready, timeout)?;
        for event in &self.ready {
            let connection = &mut self.connections[event.token().0];
            if connection.is_lost() {
                continue;
            }
            let now = self.begin.elapsed().as_micros() as u32;
            let mut seen = Seen {
                now,
                interval: self.target.interval,
                counts: &mut self.counts,
                tally: &mut self.tally,
            };
            let had_requested = connection.has_requested();
            let result = connection.poll(&mut self.buffer, &self.target, &mut seen);
            self.handshaking -= usize::from(!had_requested && connection.has_requested());
            if let Err(reason) = result {
                let lost = connection.lose();
                self.tally.lost += lost;
                if lost > 0 {
                    self.reason = reason;
                }
            }
        }
        Ok(())
    }

    fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    fn ended_cleanly(&self) -> usize {
        self.counts.ended
    }

    fn silent_for(&self, time: Duration) -> usize {
        let now = self.begin.elapsed().as_micros() as u32;
        let silent = |it: &Connection| it.silent_for(time, now);
        self.connections.iter().map(silent).sum()
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}
