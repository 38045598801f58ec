//! Streams that are reset over HTTP/2: common clients receive every event before the reset.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use longhaul::Limits;
use serde_json::json;
use tokio::time::sleep;

use crate::support::browser::Browser;
use crate::support::frames::{
    self, DATA, END_HEADERS, HEADERS, INITIAL_WINDOW_SIZE, Peer, RST_STREAM, frame, window,
};
use crate::support::reply::{ids, now};
use crate::support::{Server, Serves, there_is};

/// curl's exit status for a stream that was reset.
const RESET: i32 = 92;

/// The query and the delivered bytes of each way to abort a stream after its last event.
fn cuts() -> Vec<(String, String)> {
    let missed = now() - 1005;
    let wire = (0..100).fold(String::new(), |text, id| {
        text + &format!("id:{id}\ndata:{id}\n\n")
    });
    let encoded = wire.replace('\n', "%0A");
    vec![
        (
            "/events?data=x&count=2&interval=50&end=abort".into(),
            ":\n\ndata: x\n\ndata: x\n\n".into(),
        ),
        (
            "/stream?data=x&count=1&comment=0&end=abort".into(),
            "data: x\n\n".into(),
        ),
        (
            format!("/events?wire={encoded}&interval=0&end=abort"),
            wire.clone(),
        ),
        (
            format!("/events?wire={encoded}&interval=0&split=3&end=abort"),
            wire,
        ),
        (
            "/events?data=x&count=2&interval=10&split=1&end=abort".into(),
            ":\n\ndata: x\n\ndata: x\n\n".into(),
        ),
        (
            "/events?size=65536&count=1&interval=10&end=abort".into(),
            format!(":\n\ndata: {}\n\n", "x".repeat(65_536)),
        ),
        (
            format!("/events?ids&interval=10&count=100&data=x&lastEventId={missed}&end=abort"),
            (1..=100).fold(String::from(":\n\n"), |text, tick| {
                text + &format!("id: {}\ndata: x\n\n", missed + 10 * tick)
            }),
        ),
    ]
}

/// The bytes that `curl` receives, and its exit status.
fn curl(url: &str) -> (String, Option<i32>) {
    let output = Command::new("curl")
        .args(["-ksN", "--max-time", "20", url])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text, output.status.code())
}

#[test]
fn curl_receives_every_event_before_the_reset() {
    if !there_is("curl") {
        return;
    }
    let server = Server::start_tls();
    for (path, sent) in cuts() {
        let heard = curl(&server.url(&path));
        assert_eq!(heard, (sent, Some(RESET)), "{path}");
    }
}

#[test]
fn nghttp_receives_every_event_before_the_reset() {
    if !there_is("nghttp") {
        return;
    }
    let server = Server::start_tls();
    for (path, sent) in cuts() {
        let output = Command::new("nghttp")
            .args(["--no-verify-peer", &server.url(&path)])
            .output()
            .unwrap();
        let heard = String::from_utf8_lossy(&output.stdout);
        assert!(heard.starts_with(&sent), "{path}: {heard:?}");
    }
}

#[test]
fn a_hundred_streams_of_one_connection_that_are_aborted_at_once_are_all_received() {
    if !there_is("curl") {
        return;
    }
    let server = Server::start_tls();
    for path in [
        "/events?data=x&count=1&interval=300&comment=0&end=abort",
        "/stream?wire=data:%20x%0A%0A&interval=0&end=abort",
    ] {
        let url = server.url(path);
        let output = Command::new("curl")
            .args([
                "-ksN",
                "--max-time",
                "20",
                "--parallel",
                "--parallel-max",
                "100",
            ])
            .args(vec![url; 100])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let heard = String::from_utf8_lossy(&output.stdout);
        assert_eq!(heard, "data: x\n\n".repeat(100), "{path}");
    }
}

#[test]
fn curl_shows_why_its_content_is_rejected() {
    if !there_is("curl") {
        return;
    }
    let server = Server::start_tls();
    let content = vec![b'x'; 3 << 20];
    for (method, line) in [
        ("POST", "content: at most 1048576 bytes are taken\n"),
        ("PUT", "only POST may have content\n"),
    ] {
        let mut curl = Command::new("curl")
            .args(["-ksN", "--max-time", "20", "-X", method])
            .args(["-w", "%{http_code}", "--data-binary", "@-"])
            .arg(server.url("/events"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = curl.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, &content).unwrap();
        drop(stdin);
        let output = curl.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said, format!("{line}413"), "{method}");
    }
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_browser_receives_every_event_before_the_reset() {
    let server = Server::start_tls();
    let browser = Browser::open(&server.url("/stats")).await;
    let fetched = "const [path, done] = arguments;
        (async () => {
            let text = '', error = '';
            try {
                const { body } = await fetch(path);
                for await (const part of body.pipeThrough(new TextDecoderStream())) text += part;
            } catch (failure) { error = failure.name; }
            done([text, error]);
        })();";
    for (path, sent) in cuts() {
        let script = fetched.replace("arguments", &format!("[{}, arguments[0]]", json!(path)));
        let heard = browser.run_async(&script).await;
        assert_eq!(heard, json!([sent, "TypeError"]), "{path}");
    }

    let path = "/events?data=x&count=1&interval=300&end=abort";
    let hundred = format!(
        "const done = arguments[0], heard = [];
         const all = Array.from({{ length: 100 }}, () => new Promise((end) => {{
             const source = new EventSource('{path}');
             source.onmessage = ({{ data }}) => heard.push(data);
             source.onerror = () => {{ source.close(); end(); }};
         }}));
         Promise.all(all).then(() => done(heard.join('')));"
    );
    assert_eq!(browser.run_async(&hundred).await, "x".repeat(100));
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn an_event_source_that_is_reset_resumes_with_ids_without_a_gap() {
    let server = Server::start_tls();
    let browser = Browser::open(&server.url("/stats")).await;
    let path = "/events?ids&interval=50&count=2&end=abort&retry=200&key=reset";
    let script = format!(
        "const done = arguments[0], heard = [], source = new EventSource('{path}');
         source.addEventListener('gap', ({{ data }}) => heard.push(`gap ${{data}}`));
         source.onmessage = ({{ lastEventId }}) => {{
             heard.push(`id: ${{lastEventId}}`);
             if (heard.length === 12) {{ source.close(); done(heard.join('\\n')); }}
         }};"
    );
    let heard = browser.run_async(&script).await;
    let heard = ids(heard.as_str().unwrap());
    assert_eq!(heard.len(), 12, "{heard:?}");
    assert!(
        heard.windows(2).all(|pair| pair[1] == pair[0] + 50),
        "{heard:?}"
    );
    // Each connection delivered two events: a client that lost the second would request that one
    // again.
    let requests = server.stats_of("reset").requests.unwrap();
    let came: Vec<_> = requests
        .iter()
        .filter_map(|it| it.last_event_id.clone())
        .collect();
    let sent: Vec<_> = heard
        .iter()
        .skip(1)
        .step_by(2)
        .map(ToString::to_string)
        .collect();
    assert!(
        came.len() >= 5 && sent.starts_with(&came[..5]),
        "{came:?} {sent:?}"
    );
}

/// The time from the first bytes of a stream to its reset.
async fn until_reset(client: &mut Peer, stream: u32) -> Duration {
    client.until(DATA, stream).await;
    let start = Instant::now();
    client.until(RST_STREAM, stream).await;
    start.elapsed()
}

#[tokio::test]
async fn a_reset_waits_for_a_client_that_reads_and_not_for_one_that_does_not() {
    let mut limits = Limits::default();
    limits.stuck_timeout = Duration::from_secs(1);
    let server = Server::start_tls_with(limits);
    let mut client = Peer::connect(server.address(), &[]).await;
    let path = "/stream?data=x&count=1&end=abort";
    client.send(frames::get(1, path)).await;
    let reset = until_reset(&mut client, 1).await;
    assert!(reset > Duration::from_millis(200), "{reset:?}");
    assert!(reset < Duration::from_secs(2), "{reset:?}");

    // The stream's window stays shut: half of the event waits.
    let mut client = Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, 4)]).await;
    client.send(frames::get(1, path)).await;
    let reset = until_reset(&mut client, 1).await;
    assert!(reset > Duration::from_millis(900), "{reset:?}");
    assert!(reset < Duration::from_secs(5), "{reset:?}");
    assert_eq!(server.stats().open, 0);

    // The stream's window opens late: the rest of the event comes, then the reset.
    let mut client = Peer::connect(server.address(), &[(INITIAL_WINDOW_SIZE, 4)]).await;
    client.send(frames::get(1, path)).await;
    client.until(DATA, 1).await;
    client.send(window(1, 1000)).await;
    let reset = until_reset(&mut client, 1).await;
    assert!(reset > Duration::from_millis(200), "{reset:?}");

    // The server refuses the content of this PUT, and resets its stream late as well.
    let mut client = Peer::connect(server.address(), &[]).await;
    let begun = frames::head("PUT", "/events", []);
    client.send(frame(HEADERS, END_HEADERS, 1, begun)).await;
    let reset = until_reset(&mut client, 1).await;
    assert!(reset > Duration::from_millis(200), "{reset:?}");
}

#[tokio::test]
async fn a_reset_waits_until_a_full_socket_has_taken_the_last_event() {
    let server = Server::start_tls();
    let data = "d".repeat(190);
    let reads_late = async |events: usize| {
        let open = [(INITIAL_WINDOW_SIZE, 1 << 30)];
        let mut client = Peer::connect_narrow(server.address(), &open).await;
        client.send(window(0, 1 << 30)).await;
        let path = format!("/events?data={data}&interval=10&count={events}&end=abort");
        client.send(frames::get(1, &path)).await;
        sleep(Duration::from_secs(4)).await;
        let mut last = Instant::now();
        while let Some(frame) = client.next().await {
            match frame.kind {
                DATA => last = Instant::now(),
                RST_STREAM => break,
                _ => {}
            }
        }
        let pause = last.elapsed();
        let is_late = pause > Duration::from_millis(150);
        assert!(is_late, "{events} events: {pause:?}");
    };
    // The two sockets hold some 80 events, h2 and TLS as many more.
    tokio::join!(
        reads_late(100),
        reads_late(115),
        reads_late(130),
        reads_late(145),
        reads_late(250),
    );
}
