//! Fan-out: each posted text goes to 10,000 subscribers.

use std::{
    io::{BufRead, BufReader, Write},
    mem,
    net::TcpStream,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    client::{Client, Tally},
    floor::TEXT,
    framing::digest,
    histogram::Histogram,
    load::Load,
    point::{CPU, CPU_OVER_AXUM, CPU_OVER_FLOOR, Point, Ratio, Sample},
    servers::Kind,
    steady::{Opened, steady},
    window::Window,
};

const SUBSCRIBERS: usize = 10_000;
const SECOND: Duration = Duration::from_secs(1);
/// The interval of the posts.
const INTERVAL: Duration = Duration::from_millis(100);
/// The interval of the floor's own events: longer than the measurement.
const NEVER: Duration = Duration::from_secs(3600);
/// The longest time until all have received a text.
const PATIENCE: Duration = Duration::from_secs(30);
const HEAD: &str = "POST /notify HTTP/1.1\r\nHost: x\r\nContent-Length: ";

/// Returns the point.
pub fn point() -> Point {
    Point {
        name: "fanout",
        title: "10,000 subscribers of examples/notify.rs, a post every 100 ms",
        about: "each `POST /notify` sends a text of 60 bytes to all subscribers over HTTP/1.1; a window of 15 s after a warm-up. \
                A post waits until all have received the text before, so that no server sends two texts in one write. \
                The delay is from sending the post to the receipt by the last subscriber, which includes the time of the load client: it reads every millisecond. \
                A measurement fails unless each subscriber receives each text once and in order. \
                axum sends with `Sse` and a broadcast channel, Node with a set of responses; neither keeps a history. The floor writes the same bytes.",
        kinds: vec![
            Kind::Floor,
            Kind::Notify,
            Kind::NotifyAxum,
            Kind::NotifyNode,
        ],
        ratios: vec![
            Ratio::new(CPU_OVER_FLOOR, CPU, Kind::Floor),
            Ratio::new(CPU_OVER_AXUM, CPU, Kind::NotifyAxum),
            Ratio::new("CPU over Node's", CPU, Kind::NotifyNode),
        ],
        measure: Box::new(measure),
        ..steady()
    }
}

fn measure(kind: Kind) -> Result<Sample, String> {
    let mut opened = Opened::new(kind, SUBSCRIBERS, NEVER, SECOND * 2)?;
    let pid = opened.server.pid();
    // Our example greets each subscriber with an event named `ready`, which has no text.
    let greetings = usize::from(kind == Kind::Notify);
    let mut publisher = Publisher::new(&mut opened, greetings)?;
    publisher.publish(SECOND)?;
    let first = publisher.posted.len();
    let window = Window::during(pid, || publisher.publish(SECOND * 15))?;
    let delays = publisher.finish(first)?;
    let texts = publisher.posted.len() as f64;
    Ok(opened
        .sample(&window, INTERVAL)?
        .with("delay p50, ms", delays.percentile_ms(0.5), 1)
        .with("delay p99, ms", delays.percentile_ms(0.99), 1)
        .with("events received", texts * SUBSCRIBERS as f64, 0))
}

/// Posts texts while the load client receives them.
struct Publisher<'a> {
    load: &'a mut Load,
    socket: TcpStream,
    due: Instant,
    /// The time of each post.
    posted: Vec<Instant>,
    /// The number of events ahead of the first text.
    greetings: usize,
    /// The digest of all events.
    digest: u64,
}

impl<'a> Publisher<'a> {
    fn new(Opened { server, load, .. }: &'a mut Opened, greetings: usize) -> Result<Self, String> {
        let socket = TcpStream::connect(server.target.address);
        Ok(Self {
            load,
            socket: socket.map_err(|error| format!("cannot connect: {error}"))?,
            due: Instant::now(),
            posted: Vec::new(),
            greetings,
            digest: (0..greetings).fold(0, |before, _| digest(before, b' ')),
        })
    }

    /// Posts a text every [`INTERVAL`], or later, once all have received the text before.
    fn publish(&mut self, length: Duration) -> Result<Tally, String> {
        *self.load.tally() = Tally::new();
        let end = Instant::now() + length;
        while Instant::now() < end {
            let (number, posted) = (self.posted.len(), Instant::now());
            let text = text(number);
            let request = format!("{HEAD}{TEXT}\r\n\r\n{text}");
            self.digest = format!(" {text}").bytes().fold(self.digest, digest);
            self.posted.push(posted);
            let sent = self.socket.write_all(request.as_bytes());
            sent.map_err(|error| format!("cannot post: {error}"))?;
            self.due = posted.max(self.due + INTERVAL);
            while self.received_by_all(number).is_none() || Instant::now() < self.due {
                // No server pays for waking the client, as none does with clients elsewhere.
                sleep(INTERVAL / 100);
                self.load.poll(Duration::ZERO)?;
                if posted.elapsed() > PATIENCE {
                    return Err(format!("not all received text {number} in time"));
                }
            }
        }
        Ok(mem::replace(self.load.tally(), Tally::new()))
    }

    /// Returns when the last subscriber received the n-th text, if all did.
    fn received_by_all(&self, n: usize) -> Option<Instant> {
        self.load.received_by_all(self.greetings + n)
    }

    /// Checks all texts and responses, and returns the delays of the posts from `first` on.
    fn finish(&mut self, first: usize) -> Result<Histogram, String> {
        let posts = self.posted.len();
        // An event too many would come now.
        self.load.watch(INTERVAL)?;
        let differing = self.load.differing(self.digest);
        if differing > 0 {
            return Err(format!("{differing} subscribers received other texts"));
        }
        let _ = self.socket.set_read_timeout(Some(PATIENCE));
        let responses = BufReader::new(&self.socket).lines().map_while(Result::ok);
        let responses = responses.filter(|line| line.starts_with("HTTP/1.1 200 "));
        if responses.take(posts).count() < posts {
            return Err(format!("not each of the {posts} posts got a 200"));
        }
        let mut delays = Histogram::new();
        for (n, posted) in self.posted.iter().enumerate().skip(first) {
            let received = self.received_by_all(n).ok_or("an event is missing")?;
            delays.record(received - *posted);
        }
        Ok(delays)
    }
}

/// Returns the text of the n-th post, in [`TEXT`] bytes.
fn text(number: usize) -> String {
    format!("{number:05} dinner is ready in the kitchen, come while it is warm!")
}

#[test]
fn texts_have_the_length_that_the_floor_expects() {
    assert_eq!([0, 99_999].map(|number| text(number).len()), [TEXT; 2]);
}
