//! The load client over HTTP/2: one thread that holds thousands of connections, each with many streams.
//!
//! It says no more than it must and opens every window at once, so that it costs little beside the server.

mod connection;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mio::{Events, Poll, Token};
use rustls::{ClientConfig, client::Resumption};

use crate::{
    client::{Client, Pace, Tally, Target, wait},
    trust,
};
use connection::{Connection, Counts, Seen};

/// Connections that may be shaking hands at a time.
const AT_ONCE: usize = 64;

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

impl Crowd {
    pub(crate) fn new(target: Target) -> Result<Self, String> {
        let mut config = trust::anybody(&["h2"])?;
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

    /// Opens so many connections with so many streams each, evenly over the time given, and says
    /// how long it took until the last connection had settled and the last head had arrived.
    pub(crate) fn open(
        &mut self,
        connections: usize,
        streams: usize,
        over: Duration,
    ) -> Result<Duration, String> {
        let pace = Pace::begin(connections, over);
        let first = self.connections.len();
        let Counts {
            settled, opened, ..
        } = self.counts;
        let (settled, opened) = (settled + connections, opened + connections * streams);
        while self.counts.settled < settled || self.counts.opened < opened {
            while self.connections.len() - first < pace.due() && self.shaking < AT_ONCE {
                self.connect(streams)?;
            }
            self.turn(Duration::from_millis(1))?;
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
        self.shaking += 1;
        Ok(())
    }
}

impl Client for Crowd {
    fn turn(&mut self, timeout: Duration) -> Result<(), String> {
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
            let had_asked = connection.has_asked();
            let result = connection.turn(&mut self.buffer, &self.target, &mut seen);
            self.shaking -= usize::from(!had_asked && connection.has_asked());
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
