//! A URL can contain bytes of an attacker: no page runs them as code, and as a document they load
//! nothing.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::support::Server;
use crate::support::browser::Browser;
use crate::support::reply::{Reply, encoded, get};

/// The destinations of a request (Fetch section 2.2.5) with a response that runs, styles or is
/// embedded in the page that sends the request.
const AS_CODE: [&str; 10] = [
    "audioworklet",
    "embed",
    "object",
    "paintworklet",
    "script",
    "serviceworker",
    "sharedworker",
    "style",
    "worker",
    "xslt",
];

/// The destinations of navigations, of `EventSource` and `fetch()`, and of data that cannot run.
const NOT_AS_CODE: [&str; 7] = [
    "", "document", "empty", "frame", "iframe", "image", "scripted",
];

fn reply_to(server: &Server, method: &str, target: &str, headers: &str) -> Reply {
    let request = format!("{method} {target} HTTP/1.1\r\n{headers}\r\n");
    Reply::to(server, &request)
}

#[test]
fn a_request_for_a_script_or_a_document_never_gets_the_stream() {
    let server = Server::start();
    let mut headers = AS_CODE
        .map(|name| format!("Sec-Fetch-Dest: {name}\r\n"))
        .to_vec();
    headers.push("Service-Worker: script\r\n".into());
    headers.push("Sec-Fetch-Dest: empty\r\nService-Worker: script\r\n".into());
    headers.push("Sec-Fetch-Dest: empty\r\nSec-Fetch-Dest: script\r\n".into());
    for headers in headers {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
            for target in [
                "/stream?count=1",
                "/stream?header=Content-Type:text/javascript&count=1&data=x",
                "/events?header=Content-Type:text/javascript&interval=0&wire=x",
                "/events?status=204",
                "/events?redirect=301",
                "/events?delay=1000&status=200&interval=0&wire=x",
                "/events?alert(1)",
            ] {
                let reply = reply_to(&server, method, target, &headers);
                assert_eq!(
                    reply.status(),
                    "403 Forbidden",
                    "{method} {target} {headers}"
                );
                let plain = Some("text/plain; charset=utf-8");
                assert_eq!(reply.header("Content-Type"), plain);
                assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"));
                let lines = usize::from(method != "HEAD");
                assert_eq!(reply.text().lines().count(), lines, "{}", reply.text());
            }
        }
    }
}

#[test]
fn a_request_for_any_other_use_gets_the_stream() {
    let server = Server::start();
    let target = "/stream?header=Content-Type:text/javascript&count=1&data=x";
    for name in NOT_AS_CODE {
        let reply = reply_to(
            &server,
            "GET",
            target,
            &format!("Sec-Fetch-Dest: {name}\r\n"),
        );
        assert_eq!(reply.text(), ":\n\ndata: x\n\n", "{name}");
    }
    // The page, the suite and the counts contain no bytes of the client.
    for path in ["/", "/cases", "/stats"] {
        for headers in ["Sec-Fetch-Dest: script\r\n", "Service-Worker: script\r\n"] {
            let reply = reply_to(&server, "GET", path, headers);
            assert_eq!(reply.status(), "200 OK", "{path}");
        }
    }
}

#[test]
fn a_request_for_code_counts_nowhere() {
    let server = Server::start();
    let target = "/stream?count=1&data=x&key=k&responses=200,204";
    reply_to(&server, "GET", target, "Sec-Fetch-Dest: script\r\n");
    assert_eq!(server.stats_of("k").requests.unwrap().len(), 0);
    assert_eq!(get(&server, target).text(), ":\n\ndata: x\n\n");
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_browser_runs_no_stream_in_the_name_of_its_origin() {
    let server = Server::start();
    // A document of the same origin, without a policy of its own that would forbid all this.
    let browser = Browser::open(&server.url("/stats")).await;
    let script = "const done = arguments[arguments.length - 1];
        const of = (type, bytes) => `/events?header=Content-Type:${type}&interval=0&wire=${encodeURIComponent(bytes)}`;
        const script = of('text/javascript', 'self.postMessage?.(1); self.onconnect = ({ ports }) => ports[0].postMessage(1)');
        const loaded = (element) => new Promise((loads, fails) => {
            element.onload = loads;
            element.onerror = fails;
            document.body.append(element);
        });
        const made = (name, settings) => loaded(Object.assign(document.createElement(name), settings));
        // Kept, because a SharedWorker that is collected as garbage fires no event.
        const kept = window.kept = [];
        const spoken = (port, worker) => new Promise((speaks, fails) => {
            kept.push(worker);
            port.onmessage = speaks;
            worker.onerror = fails;
        });
        const ways = {
            register: () => navigator.serviceWorker.register(script),
            script: () => made('script', { src: script }),
            module: () => made('script', { src: script, type: 'module' }),
            import: () => import(script),
            worker: () => { const worker = new Worker(script); return spoken(worker, worker); },
            shared: () => { const worker = new SharedWorker(script); return spoken(worker.port, worker); },
            worklet: () => new AudioContext().audioWorklet.addModule(script),
            style: () => made('link', { rel: 'stylesheet', href: of('text/css', 'body{}') }),
            object: () => made('object', { data: of('text/html', 'x') }),
            fetch: async () => { if (!(await fetch(script)).ok) throw new Error('refused'); },
            events: () => new Promise((opens, fails) => {
                const source = new EventSource('/events');
                source.onopen = () => { source.close(); opens(); };
                source.onerror = fails;
            }),
        };
        const late = () => new Promise((comes) => setTimeout(comes, 15000, 'neither'));
        const went = async ([name, way]) => [name, await Promise.race([way().then(() => true, () => false), late()])];
        Promise.all(Object.entries(ways).map(went)).then((all) => done(Object.fromEntries(all)))";
    let went = browser.run_async(script).await;
    let expected = json!({
        "register": false,
        "script": false,
        "module": false,
        "import": false,
        "worker": false,
        "shared": false,
        "worklet": false,
        "style": false,
        "object": false,
        "fetch": true,
        "events": true,
    });
    assert_eq!(went, expected);
}

/// The requests that a third server received.
type Requested = Arc<Mutex<BTreeSet<String>>>;

/// A server of the test that sends `document` at `/` and records all other requests.
fn bystander(document: impl FnOnce(&str) -> String) -> (String, String, Requested) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let document = document(&url);
    let (given, requested) = (document.clone(), Requested::default());
    let noted = Arc::clone(&requested);
    let response = move |mut client: TcpStream| {
        let mut line = String::new();
        let _ = BufReader::new(&client).read_line(&mut line);
        let path = line.split(' ').nth(1).unwrap_or_default();
        let body = if path == "/" { given.as_str() } else { "" };
        if !["", "/", "/favicon.ico"].contains(&path) {
            noted.lock().unwrap().insert(path.to_owned());
        }
        let _ = write!(
            client,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
    };
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let response = response.clone();
            thread::spawn(move || response(client));
        }
    });
    (url, document, requested)
}

/// `text`, compressed by the program `gzip`.
fn packed(text: &str) -> Vec<u8> {
    let mut gzip = Command::new("gzip")
        .args(["--stdout", "--no-name"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gzip is there");
    gzip.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    gzip.wait_with_output().unwrap().stdout
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_document_of_a_stranger_loads_nothing() {
    let server = Server::start();
    let (url, document, requested) = bystander(|url| {
        format!(
            "<!doctype html><title>there</title><img src={url}image>\
             <link rel=stylesheet href={url}style><iframe src={url}frame></iframe>\
             <script src={url}script></script><style>body{{background:url({url}background)}}\
             @font-face{{font-family:f;src:url({url}font)}}p{{font-family:f}}</style><p>x</p>\
             <object data={url}object></object><embed src={url}embed><video src={url}video></video>"
        )
    });
    let wanted = [
        "/background",
        "/embed",
        "/font",
        "/frame",
        "/image",
        "/object",
        "/script",
        "/style",
        "/video",
    ];
    let seen = || std::mem::take(&mut *requested.lock().unwrap());
    // On another server the document loads everything, before it is tested on this one.
    let browser = Browser::open(&url).await;
    assert_eq!(seen(), wanted.map(str::to_owned).into());
    let packed = packed(&document);
    let header = "header=Content-Type:text/html%0ACache-Control:";
    let sent = [
        (header.to_owned(), document.as_bytes(), "there"),
        (
            format!("{header}%0AContent-Encoding:gzip"),
            &packed,
            "there",
        ),
        // Without a media type the browser neither shows nor sniffs the bytes as a document.
        ("header=Content-Type:".to_owned(), document.as_bytes(), ""),
    ];
    for path in ["/events", "/stream"] {
        for (header, wire, title) in &sent {
            let target = format!("{path}?{header}&interval=0&wire={}", encoded(wire));
            browser.goto(&server.url(&target)).await;
            let history = browser
                .devtools("Page.getNavigationHistory", json!({}))
                .await;
            let entries = history["entries"].as_array().unwrap();
            let entry = entries.last().unwrap();
            assert!(entry["url"].as_str().unwrap().contains(header), "{entry}");
            if title.is_empty() {
                assert_ne!(entry["title"], "there", "{path} {header}");
            } else {
                assert_eq!(entry["title"], *title, "{path} {header}");
            }
            assert_eq!(seen(), BTreeSet::new(), "{path} {header}");
        }
    }
}
