//! Real-time notifications: `POST /notify` sends a text to every client of `GET /events`.
//!
//! Try `cargo run --example notify`, `curl -N localhost:3000/events`, and
//! `curl -d 'dinner is ready' 'localhost:3000/notify?event=kitchen'`.

use std::{collections::VecDeque, convert::Infallible, error::Error, sync::Arc, time::UNIX_EPOCH};

use async_stream::stream;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Method, Request, Response, body::Frame, header::HeaderValue};
use longhaul::{Content, Limits, Server, host::Host, process, socket};
use sse_clock::stream::keep_alive::{SILENCE, keep_alive};
use sse_clock::stream::sse::{COMMENT, Event, data};
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt};

// How many events are kept, and the most bytes of a text.
const KEPT: usize = 1000;
const MAX_TEXT: usize = 65_536;

const PAGE: &str = "<!doctype html><title>Notifications</title><form><input name=text></form><ul></ul><script>
  const [form, list] = document.querySelectorAll('form, ul'), source = new EventSource('/events');
  const show = ({ data }) => list.append(Object.assign(document.createElement('li'), { textContent: data }));
  for (const type of ['message', 'gap']) source.addEventListener(type, show);
  form.onsubmit = () => fetch('/notify', { method: 'POST', body: form.text.value }).then(() => form.reset()) && false;
</script>";

/// The newest events, encoded once for all clients. The id of each is one more than the id before.
struct History {
    newest: usize,
    events: VecDeque<Bytes>,
}

impl History {
    fn push(&mut self, event: Event, data: Bytes) {
        self.newest += 1;
        self.events.push_back(event.id(self.newest).before(data));
        self.events.drain(..self.events.len().saturating_sub(KEPT));
    }

    /// Returns the event that follows the id `last`, and its own id; a `gap` if that event is gone.
    fn after(&self, last: usize) -> (usize, Bytes) {
        let before = self.newest - self.events.len();
        match last
            .checked_sub(before)
            .and_then(|place| self.events.get(place))
        {
            Some(event) => (last + 1, event.clone()),
            None => (before, Event::default().event("gap").id(before).data("")),
        }
    }
}

/// Returns `ready`, with the id `last`, and the events after it. A slow client has no queue.
fn events(mut history: watch::Receiver<History>, mut last: usize) -> impl Stream<Item = Bytes> {
    stream! {
        yield Event::default().event("ready").id(last).data("");
        loop {
            let changed = history.wait_for(|history| history.newest != last).await;
            let Ok((id, event)) = changed.map(|history| history.after(last)) else { break };
            last = id;
            yield event;
        }
    }
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn respond(req: Request<Content>, history: Arc<watch::Sender<History>>) -> Reply {
    let (head, content) = req.into_parts();
    let whole = |text: String| Full::from(text).boxed_unsync();
    let (status, kind, body) = match (head.method, head.uri.path()) {
        (Method::GET, "/events") => {
            let id = head.headers.get("Last-Event-ID").map(HeaderValue::to_str);
            let id = id.map(|id| id.unwrap_or_default().parse().unwrap_or(0)); // 0 gets a gap
            let last = id.unwrap_or_else(|| history.borrow().newest);
            let events = keep_alive(events(history.subscribe(), last), SILENCE, COMMENT);
            let body = StreamBody::new(events.map(|event| Ok(Frame::data(event))));
            (200, "text/event-stream", body.boxed_unsync())
        }
        (Method::POST, "/notify") => match Limited::new(content, MAX_TEXT).collect().await {
            Ok(text) => {
                let mut query = form_urlencoded::parse(head.uri.query().unwrap_or("").as_bytes());
                let kind = query.find_map(|(name, kind)| (name == "event").then_some(kind));
                let event = Event::default().event(kind.as_deref());
                let data = data(&String::from_utf8_lossy(&text.to_bytes()));
                history.send_modify(|history| history.push(event, data));
                let said = format!("Sent to {}.\n", history.receiver_count());
                (200, "text/plain", whole(said))
            }
            Err(_) => (413, "text/plain", whole("Too long.\n".into())),
        },
        (Method::GET, "/") => (200, "text/html", whole(PAGE.into())),
        _ => (404, "text/plain", whole("Not Found\n".into())),
    };
    let reply = Response::builder().header("Content-Type", kind);
    let reply = reply.status(status).header("Cache-Control", "no-cache");
    let reply = reply.header("X-Accel-Buffering", "no"); // nginx passes each event on at once.
    let reply = reply.header("Access-Control-Allow-Origin", "*");
    reply.body(body).expect("valid headers")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let sockets = socket::bind(Host::Localhost, port)?;
    println!("http://localhost:{}", sockets.port().unwrap_or(port));
    let mut limits = Limits::default();
    limits.max_connections = process::raise_open_files_limit();
    // Ids that begin with the time go on after a restart.
    let newest = usize::try_from(UNIX_EPOCH.elapsed()?.as_millis())?;
    let events = VecDeque::new();
    let history = Arc::new(watch::Sender::new(History { newest, events }));
    let (server, stop) = (Server::new(limits), process::stop_signal()?);
    server.spawn_on_every_core(sockets, move |req| respond(req, Arc::clone(&history)))?;
    stop.await;
    server.shutdown().await;
    Ok(())
}
