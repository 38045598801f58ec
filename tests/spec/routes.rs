//! What each request is answered.

use crate::support::Server;

#[test]
fn an_unknown_path_is_404() {
    let server = Server::start();
    let (head, mut client) = server.get("/nowhere");
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    assert_eq!(client.take(9), b"Not Found");
}
