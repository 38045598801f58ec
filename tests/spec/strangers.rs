//! The bytes of a stranger, which a URL can hold: no page runs them, and as a document they load
//! nothing.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::browser::Browser;
use crate::support::Server;
use crate::wire::encoded;

/// What a bystander was asked for.
type Asked = Arc<Mutex<BTreeSet<String>>>;

/// A server of the test's own that gives `document` at `/` and notes what else it is asked for.
fn bystander(document: impl FnOnce(&str) -> String) -> (String, String, Asked) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let document = document(&url);
    let (given, asked) = (document.clone(), Asked::default());
    let noted = Arc::clone(&asked);
    let answer = move |mut client: TcpStream| {
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
            let answer = answer.clone();
            thread::spawn(move || answer(client));
        }
    });
    (url, document, asked)
}

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn a_document_of_a_stranger_loads_nothing() {
    let server = Server::start();
    let (url, document, asked) = bystander(|url| {
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
    let seen = || std::mem::take(&mut *asked.lock().unwrap());
    // Elsewhere the document loads it all, before it is loaded itself.
    let browser = Browser::open(&url).await;
    assert_eq!(seen(), wanted.map(str::to_owned).into());
    for path in ["/events", "/stream"] {
        let target = format!(
            "{path}?type=text/html&interval=0&wire={}",
            encoded(&document)
        );
        browser.goto(&server.url(&target)).await;
        let title = browser
            .devtools("Page.getNavigationHistory", json!({}))
            .await;
        let entries = title["entries"].as_array().unwrap();
        assert_eq!(entries.last().unwrap()["title"], "there");
        assert_eq!(seen(), BTreeSet::new(), "{path}");
    }
}
