//! The certificate: made at start-up, made as files and kept, or supplied; and what the server
//! logs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};
use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{RootCertStore, crypto::ring::default_provider};

use crate::support::command::{command, rejection};
use crate::support::tls::handshake;
use crate::support::{Binary, Serves, has_ipv6, skipped, there_is};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// The arguments that name two files of that folder.
fn files(folder: &Path) -> [String; 2] {
    ["cert.pem", "key.pem"].map(|file| folder.join(file).to_str().unwrap().to_owned())
}

fn start(cert: &str, key: &str) -> Binary {
    Binary::start(&["--tls", "--cert", cert, "--key", key])
}

/// The one line on stderr with which the server rejects these files.
#[track_caller]
fn rejected(cert: &str, key: &str) -> String {
    let arguments = ["--port", "0", "--tls", "--cert", cert, "--key", key];
    rejection(command(&arguments), 1)
}

/// The certificate that the server shows.
async fn shown(server: &Binary) -> CertificateDer<'static> {
    let stream = handshake(server.address(), "h2").await;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].clone().into_owned()
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let bytes = digest(&SHA256, certificate);
    let bytes = bytes.as_ref().iter().map(|byte| format!("{byte:02X}"));
    bytes.collect::<Vec<_>>().join(":")
}

/// Whether a client that trusts the certificate accepts `name` at `time`.
fn is_valid(certificate: &CertificateDer<'static>, name: &str, time: SystemTime) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = verifier.build().unwrap();
    let name = ServerName::try_from(name).unwrap();
    let time = UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    verifier
        .verify_server_cert(certificate, &[], &name, &[], time)
        .is_ok()
}

#[tokio::test]
async fn without_files_a_certificate_is_generated_for_the_run_and_announced() {
    let server = Binary::start(&["--tls"]);
    let url = format!("https://localhost:{}", server.port);
    assert_eq!(server.first, format!("Server listening on {url}"));
    let try_it = format!("Open it in a browser, or try: curl -kN {url}/events");
    assert_eq!(server.line(), try_it);
    let shown = shown(&server).await;
    let said = format!(
        "SHA-256 fingerprint of the certificate: {}",
        fingerprint(&shown)
    );
    assert_eq!(server.line(), said);
    assert!(server.line().starts_with("A browser warns of it once"));
    assert!(server.line().contains("mkcert"));
    assert!(
        server
            .line()
            .contains("--tls --cert cert.pem --key key.pem")
    );

    let other = Binary::start(&["--tls"]);
    assert_ne!(self::shown(&other).await, shown, "each run has its own");
}

#[tokio::test]
async fn a_generated_certificate_is_for_this_machine_and_valid_for_30_days() {
    let server = Binary::start(&["--tls", "--host", "127.0.0.2"]);
    let stream = handshake(([127, 0, 0, 2], server.port).into(), "h2").await;
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    let certificate = chain[0].clone().into_owned();
    let now = SystemTime::now();
    for name in ["localhost", "127.0.0.1", "::1", "127.0.0.2"] {
        assert!(is_valid(&certificate, name, now), "{name}");
        assert!(is_valid(&certificate, name, now + 29 * DAY), "{name}");
        assert!(!is_valid(&certificate, name, now + 31 * DAY), "{name}");
    }
    for name in ["127.0.0.3", "clock.example"] {
        assert!(!is_valid(&certificate, name, now), "{name}");
    }
    // id-kp-serverAuth, RFC 5280 section 4.2.1.12.
    let server_auth = [0x2b, 6, 1, 5, 5, 7, 3, 1];
    assert!(certificate.windows(8).any(|bytes| bytes == server_auth));
}

#[tokio::test]
async fn files_that_are_not_there_are_made_and_used_again() {
    let folder = folder("certificate-made");
    let [cert, key] = files(&folder);
    let server = start(&cert, &key);
    server.line();
    let made = format!("Made {cert} and {key}: the next start uses them again.");
    assert_eq!(server.line(), made);
    let first = shown(&server).await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let permissions = fs::metadata(&key).unwrap().permissions();
        assert_eq!(
            permissions.mode() & 0o777,
            0o600,
            "nobody else reads the key"
        );
    }
    drop(server);

    let server = start(&cert, &key);
    server.line();
    let said = format!(
        "SHA-256 fingerprint of the certificate: {}",
        fingerprint(&first)
    );
    assert_eq!(server.line(), said, "nothing was made");
    assert_eq!(shown(&server).await, first);
}

/// Starts the server with these files, in a shell after `set_up`.
fn after(set_up: &str, cert: &str, key: &str) -> Command {
    let mut shell = Command::new("sh");
    let script = format!("{set_up}; exec \"$@\"");
    shell.args(["-c", &script, "sh"]).args(Binary::program());
    shell.args(["--port", "0", "--tls", "--cert", cert, "--key", key]);
    shell.env_remove("PORT");
    shell
}

#[test]
fn files_that_cannot_be_written_whole_are_not_written_at_all() {
    let folder = folder("certificate-whole");
    let [cert, key] = files(&folder);
    // Blocks of 512 bytes: one holds the key, but no certificate.
    for (blocks, file) in [(0, &key), (1, &cert)] {
        let limited = after(&format!("trap '' XFSZ; ulimit -f {blocks}"), &cert, &key);
        let line = rejection(limited, 1);
        assert!(line.contains(&format!("cannot write {file}: ")), "{line}");
        let left: Vec<_> = fs::read_dir(&folder).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    drop(start(&cert, &key));
}

#[test]
fn a_process_that_is_killed_as_it_writes_a_file_leaves_none_by_its_name() {
    let folder = folder("certificate-killed");
    let [cert, key] = files(&folder);
    for blocks in [0, 1] {
        let mut killed = after(&format!("ulimit -c 0; ulimit -f {blocks}"), &cert, &key);
        let status = killed.stdin(Stdio::null()).output().unwrap().status;
        assert_eq!(status.code(), None, "a signal ends it: {status}");
        assert!(!Path::new(&cert).exists());
        // The key is complete before the certificate is begun.
        let pair = fs::read_to_string(&key).map(|pem| KeyPair::from_pem(&pem));
        assert!(pair.is_err() || pair.is_ok_and(|pair| pair.is_ok()));
        let _ = fs::remove_file(&key);
    }
    drop(start(&cert, &key));
}

#[test]
fn an_empty_file_is_named_with_what_to_do() {
    let folder = folder("certificate-empty");
    let [cert, key] = files(&folder);
    drop(start(&cert, &key));
    for (file, what, other) in [(&key, "key", &cert), (&cert, "certificate", &key)] {
        let whole = fs::read(file).unwrap();
        fs::write(file, "").unwrap();
        let line = rejected(&cert, &key);
        let said = format!(
            "error: {file} is empty: add the {what}, \
             or delete it and {other} to have new ones made"
        );
        assert_eq!(line, said);
        fs::write(file, whole).unwrap();
    }
    for (file, what, other) in [(&key, "key", &cert), (&cert, "certificate", &key)] {
        fs::remove_file(file).unwrap();
        let line = rejected(&cert, &key);
        let said = format!(
            "error: there is no {file}, but {other}: add the {what}, \
             or delete {other} to have both made"
        );
        assert_eq!(line, said);
        fs::remove_file(other).unwrap();
        drop(start(&cert, &key));
    }
}

/// Starts the server on every address of its own network namespace, with a certificate in `folder`.
fn in_own_network(host: &str, name: &str, [cert, key]: &[String; 2]) -> Option<Binary> {
    let set_up = format!(
        "ip link set lo up && ip addr add 198.51.100.7/24 dev lo && echo '{name}' > \
         /proc/sys/kernel/hostname && {{ ip addr add 2001:db8::7/64 dev lo nodad; \
         ip addr add fe80::7/64 dev lo nodad; true; }}"
    );
    let own = ["--net", "--uts", "sh", "-c"];
    let works = Command::new("unshare").args(own).arg(&set_up).output();
    if !works.is_ok_and(|output| output.status.success()) {
        skipped("needs root, unshare(1) and ip(8)");
        return None;
    }
    let mut unshare = Command::new("unshare");
    let script = format!("{set_up}; exec \"$@\"");
    unshare.args(own).args([&script, "sh"]);
    unshare.args(Binary::program()).args(["--port", "0"]);
    unshare.args(["--tls", "--host", host, "--cert", cert, "--key", key]);
    unshare.env_remove("PORT").env_remove("RUST_LOG");
    Some(Binary::spawn(unshare))
}

#[test]
fn with_the_wildcard_host_a_certificate_names_the_addresses_and_the_name_of_the_machine() {
    for host in ["0.0.0.0", "::"] {
        if host == "::" && !has_ipv6() {
            return;
        }
        let folder = folder("certificate-network");
        let files = files(&folder);
        let Some(server) = in_own_network(host, "clock-of-mine", &files) else {
            return;
        };
        let [cert, _] = files;
        let made = CertificateDer::from_pem_file(&cert).unwrap();
        let now = SystemTime::now();
        for name in [
            "localhost",
            "127.0.0.1",
            "::1",
            "198.51.100.7",
            "clock-of-mine",
        ] {
            assert!(is_valid(&made, name, now), "{host}: {name}");
        }
        assert_eq!(is_valid(&made, "2001:db8::7", now), has_ipv6());
        for name in ["fe80::7", "0.0.0.0", "::", "198.51.100.8"] {
            assert!(!is_valid(&made, name, now), "{host}: {name}");
        }
        if there_is("curl") {
            let network = format!("--net=/proc/{}/ns/net", server.id());
            let url = format!("https://198.51.100.7:{}/nowhere", server.port);
            let mut curl = Command::new("nsenter");
            curl.args([&network, "curl", "-sS", "--cacert", &cert, &url]);
            let output = curl.stdin(Stdio::null()).output().unwrap();
            assert_eq!(output.stdout, b"Not Found", "{output:?}");
        }
    }
}

#[test]
fn a_machine_with_an_invalid_name_is_named_by_its_addresses() {
    let folder = folder("certificate-no-name");
    for name in ["not a name", "-", "m\u{e4}x", "(none)", ""] {
        let files = files(&folder);
        let Some(_server) = in_own_network("0.0.0.0", name, &files) else {
            return;
        };
        let made = CertificateDer::from_pem_file(&files[0]).unwrap();
        let now = SystemTime::now();
        assert!(is_valid(&made, "198.51.100.7", now), "{name}");
        for file in files {
            fs::remove_file(file).unwrap();
        }
    }
}

#[tokio::test]
async fn curl_trusts_a_generated_certificate_with_cacert() {
    if !there_is("curl") {
        return;
    }
    let folder = folder("certificate-curl");
    let [cert, key] = files(&folder);
    let server = start(&cert, &key);
    for (host, protocol) in [("localhost", "2"), ("127.0.0.1", "1.1")] {
        let url = format!(
            "https://{host}:{}/events?count=1&interval=10&data=x",
            server.port
        );
        let output = Command::new("curl")
            .args([
                "-sS",
                "--cacert",
                &cert,
                &format!("--http{protocol}"),
                "-w",
                "%{http_version}",
            ])
            .arg(url)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said, format!(":\n\ndata: x\n\n{protocol}"), "{output:?}");
    }
}

#[test]
fn plain_http_on_the_port_gets_the_https_url() {
    let server = Binary::start(&["--tls"]);
    let port = server.port;
    for request in ["GET /events?a=b", "HEAD /events?a=b", "POST /events?a=b"] {
        let request = format!("{request} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
        let response = server.send(&request).rest();
        assert!(
            response.starts_with("HTTP/1.1 400 Bad Request\r\n"),
            "{response}"
        );
        let line = format!("this port speaks HTTPS: https://localhost:{port}/events?a=b\n");
        let line = if request.starts_with("HEAD") {
            ""
        } else {
            &line
        };
        assert!(response.ends_with(&format!("\r\n\r\n{line}")), "{response}");
    }
    let response = server.send("GET / HTTP/1.0\r\n\r\n").rest();
    assert!(
        response.ends_with("\r\n\r\nthis port speaks HTTPS\n"),
        "{response}"
    );
}

#[test]
fn one_flag_without_the_other_is_named() {
    for (arguments, line) in [
        (
            &["--tls", "--cert", "a.pem"][..],
            "error: --cert FILE needs --key FILE",
        ),
        (
            &["--tls", "--key", "a.pem"],
            "error: --key FILE needs --cert FILE",
        ),
        (&["--cert", "a.pem"], "error: --cert FILE needs --key FILE"),
        (
            &["--cert", "a.pem", "--key", "b.pem"],
            "error: --cert and --key need --tls",
        ),
    ] {
        assert_eq!(rejection(command(arguments), 1), line);
    }
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let folder = folder("certificate-rejected");
    let [cert, key] = files(&folder);
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    drop(start(&cert, &key));

    let line = rejected(&key, &cert);
    assert!(
        line.contains(&format!("{key} holds a private key, and no certificate")),
        "{line}"
    );
    let line = rejected(&cert, &cert);
    assert!(
        line.contains(&format!("{cert} holds a certificate, and no private key")),
        "{line}"
    );

    let text = at("text.pem");
    fs::write(&text, "hello").unwrap();
    let line = rejected(&text, &key);
    assert!(
        line.contains(&format!("{text} holds no certificate in PEM")),
        "{line}"
    );
    let line = rejected(&cert, &text);
    assert!(
        line.contains(&format!("{text} holds no private key in PEM")),
        "{line}"
    );
    let broken = at("broken.pem");
    fs::write(
        &broken,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    let line = rejected(&broken, &key);
    assert!(
        line.contains(&format!("{broken} holds a certificate that cannot be used")),
        "{line}"
    );

    let line = rejected(&at("missing.pem"), &key);
    assert!(
        line.contains("there is no ") && line.contains("missing.pem"),
        "{line}"
    );
    let line = rejected(&cert, &at("missing.pem"));
    assert!(
        line.contains("there is no ") && line.contains("missing.pem"),
        "{line}"
    );
    let line = rejected(&at("no/cert.pem"), &at("no/key.pem"));
    assert!(
        line.contains("cannot write ") && line.contains("no/key.pem"),
        "{line}"
    );
    let line = rejected(folder.to_str().unwrap(), &key);
    assert!(line.contains("cannot read "), "{line}");

    let [other_cert, other_key] = [at("other-cert.pem"), at("other-key.pem")];
    drop(start(&other_cert, &other_key));
    let line = rejected(&cert, &other_key);
    assert!(
        line.contains(&format!("{other_key} is not the key of the certificate")),
        "{line}"
    );
}

#[test]
fn a_certificate_that_has_expired_is_named_with_what_to_do() {
    let folder = folder("certificate-expired");
    let [cert, key] = files(&folder);
    let pair = KeyPair::generate().unwrap();
    for (begins, ends, said) in [
        (-40, -10, "has expired on "),
        (10, 40, "is not valid before "),
    ] {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let at = |days: i64| {
            let now = SystemTime::now();
            let time = DAY * u32::try_from(days.abs()).unwrap();
            if days < 0 { now - time } else { now + time }
        };
        params.not_before = at(begins).into();
        params.not_after = at(ends).into();
        fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        let line = rejected(&cert, &key);
        assert!(line.contains(&format!("{cert} {said}")), "{line}");
        let what_to_do = format!("renew it, or delete it and {key} to have new ones made");
        assert_eq!(line.contains(&what_to_do), ends < 0, "{line}");
    }
}
