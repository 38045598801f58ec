//! `notify.rs` for any number of replicas behind any load balancer: the events are in Redis.
//!
//! Try `redis-server`, `cargo run --example notify_redis`, the same with `PORT=3001`,
//! `curl -N localhost:3000/events`, and `curl -d 'dinner is ready' localhost:3001/notify`.

#[path = "notify_redis/history.rs"]
mod history;

use std::{convert::Infallible, env, error::Error};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Method, Request, Response, body::Frame};
use longhaul::{Content, Limits, host::Host, process, serve, socket};
use sse_clock::stream::keep_alive::{SILENCE, keep_alive};
use sse_clock::stream::sse::{COMMENT, Event};
use tokio::sync::watch;
use tokio_stream::{StreamExt, once};

use history::{History, events, follow, parse, store};

// The most bytes of a text.
const MAX_TEXT: usize = 65_536;

const PAGE: &str = "<!doctype html><title>Notifications</title><form><input name=text></form><ul></ul><script>
  const [form, list] = document.querySelectorAll('form, ul'), source = new EventSource('/events');
  const show = ({ data }) => list.append(Object.assign(document.createElement('li'), { textContent: data }));
  for (const type of ['message', 'gap']) source.addEventListener(type, show);
  form.onsubmit = () => fetch('/notify', { method: 'POST', body: form.text.value }).then(() => form.reset()) && false;
</script>";

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn respond(req: Request<Content>, history: watch::Receiver<History>) -> Reply {
    let (head, content) = req.into_parts();
    let whole = |text: String| Full::from(text).boxed_unsync();
    let (status, kind, body) = match (head.method, head.uri.path()) {
        (Method::GET, "/events") => {
            let id = head.headers.get("Last-Event-ID");
            let id = id.map(|id| parse(id.to_str().unwrap_or_default()));
            let last = id.unwrap_or_else(|| history.borrow().newest());
            // A client without an id gets the one to resume after.
            let ready = Event::default()
                .event("ready")
                .id(format!("{}-{}", last.0, last.1));
            let events = once(ready.data("")).chain(events(history, last));
            let events = keep_alive(events, SILENCE, COMMENT);
            let body = StreamBody::new(events.map(|event| Ok(Frame::data(event))));
            (200, "text/event-stream", body.boxed_unsync())
        }
        (Method::POST, "/notify") => match Limited::new(content, MAX_TEXT).collect().await {
            Ok(text) => {
                let mut query = form_urlencoded::parse(head.uri.query().unwrap_or("").as_bytes());
                let kind = query.find_map(|(name, kind)| (name == "event").then_some(kind));
                let text = String::from_utf8_lossy(&text.to_bytes()).into_owned();
                let event = Event::default().event(kind.as_deref()).data(&text);
                let redis = history.borrow().redis.clone();
                match store(redis, event).await {
                    Some(id) => (200, "text/plain", whole(format!("{id}\n"))),
                    None => (503, "text/plain", whole("Redis is away.\n".into())),
                }
            }
            Err(_) => (413, "text/plain", whole("Too long.\n".into())),
        },
        (Method::GET, "/") => (200, "text/html", whole(PAGE.into())),
        _ => (404, "text/plain", whole("Not Found\n".into())),
    };
    let reply = Response::builder().status(status);
    let reply = reply.header("Content-Type", kind);
    let reply = reply.header("Cache-Control", "no-cache");
    let reply = reply.header("X-Accel-Buffering", "no"); // nginx passes each event on at once.
    let reply = reply.header("Access-Control-Allow-Origin", "*");
    reply.body(body).expect("valid headers")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = env::var("PORT").map_or(Ok(3000), |port| port.parse())?;
    let url = env::var("REDIS_URL").unwrap_or("redis://127.0.0.1/".into());
    let (sender, mut history) = watch::channel(History::default());
    tokio::spawn(follow(redis::Client::open(url)?, sender));
    // The replica listens once it has read the history.
    let is_filled = |history: &History| history.redis.is_some();
    history.wait_for(is_filled).await?;
    let sockets = socket::bind(Host::Localhost, port)?;
    println!("http://localhost:{}", sockets.port().unwrap_or(port));
    let mut limits = Limits::default();
    limits.max_connections = process::raise_open_files_limit();
    let handler = move |req| respond(req, history.clone());
    let stop = process::stop_signal()?;
    serve(sockets.listener()?, handler, limits, stop).await;
    Ok(())
}
