//! Shared by all tests: the server in this process, the server as a process, and a raw client.

pub mod browser;
pub mod command;
pub mod crowd;
pub mod example;
#[cfg(feature = "tls")]
pub mod frames;
pub mod nginx;
pub mod node;
pub mod proxy;
pub mod redis;
pub mod reply;
pub mod reverse_proxy;
pub mod source;
pub mod system;
#[cfg(feature = "tls")]
pub mod tls;

use std::convert::Infallible;
use std::env;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::iter;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, Once};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use longhaul::host::Host;
use longhaul::socket::{self, Accept, Listener};
#[cfg(feature = "tls")]
use longhaul::tls::{Certificate, Tls};
use longhaul::{Handler, Limits};
use socket2::{Domain, SockRef, Socket, Type};
use sse_clock::stats::Stats;
use sse_clock::stream::interval::{Source, set_interval};
use tokio::sync::oneshot;
use tokio_stream::{Stream, StreamExt};

use sse_clock::testing::{self, TestServer};

use system::Signal;

/// The time limit for a fact to come true, far longer than any fact needs.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `fact` holds.
#[track_caller]
pub fn eventually(what: &str, mut fact: impl FnMut() -> bool) {
    let start = Instant::now();
    while !fact() {
        assert!(start.elapsed() < DEADLINE, "never came true: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether `program` is installed; skips the test if not.
#[track_caller]
pub fn there_is(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        skipped(&format!(
            "{program} is not installed: make test installs it"
        ));
    }
    found
}

/// Whether this machine has IPv6; skips the test if not.
#[track_caller]
pub fn has_ipv6() -> bool {
    let found = TcpListener::bind(("::1", 0)).is_ok();
    if !found {
        skipped("this machine has no IPv6");
    }
    found
}

/// The folder in which Node finds `package`; skips the test without Node or the package.
#[track_caller]
pub fn npm(package: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/npm");
    if !there_is("node") {
        return None;
    }
    let found = folder.join("node_modules").join(package).exists();
    if !found {
        skipped(&format!(
            "{package} is not installed: npm ci --prefix tests/npm"
        ));
    }
    found.then_some(folder)
}

/// Starts a command in its own network namespace, as root there, after the script `set_up`.
/// Skips the test if one of `programs` is missing.
#[track_caller]
pub fn in_own_network(set_up: &str, programs: &[&str]) -> Option<Command> {
    if !["unshare", "ip"]
        .iter()
        .chain(programs)
        .all(|it| there_is(it))
    {
        return None;
    }
    let script = format!("set -e; {{ ip link set lo up; {set_up}; }} >/dev/null; exec \"$@\"");
    let start = || {
        let mut unshare = Command::new("unshare");
        if !system::is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--net", "sh", "-c", &script, "sh"]);
        unshare
    };
    let tried = start().arg("true").output().expect("unshare is there");
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr);
        skipped(&format!("no network of its own: {}", why.trim_end()));
        return None;
    }
    Some(start())
}

/// Reports a skipped test on stderr and in the file that `make test` prints at the end.
///
/// # Panics
///
/// Panics under CI, unless `SKIP_ALLOWED` names the test.
#[track_caller]
pub fn skipped(why: &str) {
    let name = thread::current().name().unwrap_or_default().to_owned();
    let line = format!("SKIPPED {name}: {why}\n");
    // Written directly, because the test harness hides the output of tests that pass.
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(file) = env::var_os("SKIPPED") {
        let file = File::options().append(true).create(true).open(file);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the file of the skipped tests can be written");
    }
    assert!(
        may_skip(&name, env::var_os("CI").is_some()),
        "under CI only the tests that {SKIP_ALLOWED} names may be skipped"
    );
}

/// The environment variable that names the tests that may be skipped under CI.
const SKIP_ALLOWED: &str = "SKIP_ALLOWED";

fn may_skip(test: &str, ci: bool) -> bool {
    let allowed = env::var(SKIP_ALLOWED).unwrap_or_default();
    !ci || allowed.split_whitespace().any(|name| name == test)
}

/// A port of the loopback that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A port outside the system's ephemeral range, which therefore stays free while a server restarts.
pub fn port_of_our_own() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let ours = std::process::id() * 97;
    let mut ports = iter::repeat_with(|| {
        let port = 10_000 + (ours + NEXT.fetch_add(1, SeqCst)) % 20_000;
        u16::try_from(port).unwrap()
    });
    let free = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.expect("there are more")
}

/// A server that a test talks to: in this process, behind a handler of the test, or as a process.
pub trait Serves {
    fn address(&self) -> SocketAddr;

    /// Opens a raw connection and sends `request`.
    fn send(&self, request: impl AsRef<[u8]>) -> Client {
        Client::send(self.address(), request)
    }

    /// Everything that the server sends after `request` until the server closes the connection.
    fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        self.send(request).rest()
    }

    /// The response head for a GET of `path`, and the connection to read the body from.
    fn get(&self, path: &str) -> (String, Client) {
        let mut client = self.send(get(path));
        (client.head(), client)
    }
}

static SERVER_PANICS: AtomicUsize = AtomicUsize::new(0);

/// The server in this process, or the program that `SSE_CLOCK_BIN` names where a test asks for no
/// limits of its own. Dropping the value fails the test if the server in this process panicked.
#[derive(Debug)]
pub struct Server(Running);

#[derive(Debug)]
enum Running {
    Here(TestServer),
    Elsewhere {
        address: SocketAddr,
        scheme: &'static str,
        process: Mutex<Binary>,
    },
    Stopped,
}

impl Server {
    pub fn start() -> Self {
        match Binary::other() {
            Some(_) => Self::elsewhere("http", &["--host", "127.0.0.1"]),
            None => Self::start_with(Limits::default()),
        }
    }

    pub fn start_with(limits: Limits) -> Self {
        Self::watched(|| testing::start_with(limits))
    }

    /// Starts the server over HTTPS, with a self-signed certificate.
    #[cfg(feature = "tls")]
    pub fn start_tls() -> Self {
        match Binary::other() {
            Some(_) => Self::elsewhere("https", &["--host", "127.0.0.1", "--tls"]),
            None => Self::start_tls_with(Limits::default()),
        }
    }

    #[cfg(feature = "tls")]
    pub fn start_tls_with(limits: Limits) -> Self {
        Self::watched(|| Ok(testing::start_tls(limits)?.0))
    }

    fn elsewhere(scheme: &'static str, arguments: &[&str]) -> Self {
        let binary = Binary::start(arguments);
        Self(Running::Elsewhere {
            address: binary.address(),
            scheme,
            process: Mutex::new(binary),
        })
    }

    fn watched(start: impl FnOnce() -> io::Result<TestServer>) -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let print = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if thread::current().name() == Some("sse-clock") {
                    SERVER_PANICS.fetch_add(1, SeqCst);
                }
                print(panic);
            }));
        });
        Self(Running::Here(
            start().expect("the loopback has a free port"),
        ))
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        let scheme = match &self.0 {
            Running::Here(server) => return server.url(path),
            Running::Elsewhere { scheme, .. } => scheme,
            Running::Stopped => unreachable!(),
        };
        format!("{scheme}://{}{path}", self.address())
    }

    /// The counts of all streams.
    pub fn stats(&self) -> Stats {
        match &self.0 {
            Running::Here(server) => server.stats(),
            _ => self.read_stats("/stats"),
        }
    }

    /// The counts of the streams that were opened with `key`.
    pub fn stats_of(&self, key: &str) -> Stats {
        match &self.0 {
            Running::Here(server) => server.stats_of(key),
            _ => self.read_stats(&format!("/stats?key={key}")),
        }
    }

    /// Asks curl, which speaks TLS and trusts any certificate here.
    fn read_stats(&self, path: &str) -> Stats {
        let mut curl = Command::new("curl");
        let output = curl.args(["-sk", &self.url(path)]).output();
        let json = output.expect("curl is installed").stdout;
        serde_json::from_slice(&json).expect("the counts as JSON")
    }

    /// Stops the server and returns its final counts, which another program takes with it.
    #[cfg(feature = "tls")]
    pub fn stop(mut self) -> Stats {
        match std::mem::replace(&mut self.0, Running::Stopped) {
            Running::Here(server) => server.stop(),
            _ => panic!("only the server in this process can be asked after its end"),
        }
    }
}

impl Serves for Server {
    fn address(&self) -> SocketAddr {
        match &self.0 {
            Running::Here(server) => server.address(),
            Running::Elsewhere { address, .. } => *address,
            Running::Stopped => unreachable!(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Running::Elsewhere { process, .. } = &mut self.0 {
            let process = process.get_mut().expect("no test has panicked with it");
            // Windows has no signal, so there the process is killed when it is dropped.
            if cfg!(unix) {
                process.signal(Signal::INT);
                process.wait();
            }
        }
        drop(std::mem::replace(&mut self.0, Running::Stopped));
        if !thread::panicking() {
            assert_eq!(SERVER_PANICS.load(SeqCst), 0, "the server panicked");
        }
    }
}

/// A test's own handler behind `serve`, in its own thread and runtime.
#[derive(Debug)]
pub struct Hosted {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Hosted {
    /// Serves on a free port of the loopback.
    pub fn start(limits: Limits, handler: impl Handler) -> Self {
        Self::start_on(|listener| listener, limits, handler)
    }

    /// Serves on what `wrap` returns for a listener on a free port of the loopback.
    pub fn start_on<L: Accept>(
        wrap: impl FnOnce(Listener) -> L + Send + 'static,
        limits: Limits,
        handler: impl Handler,
    ) -> Self {
        Self::start_server(wrap, longhaul::Server::new(limits), handler)
    }

    /// Serves over TLS, with its own certificate.
    #[cfg(feature = "tls")]
    pub fn start_tls(limits: Limits, handler: impl Handler) -> Self {
        let made = Certificate::make(None);
        let certificate = Certificate::from_pem(made.certificate.as_bytes(), made.key.as_bytes());
        let server = longhaul::Server::new(limits).with_tls(Tls::new(certificate.unwrap()));
        Self::start_server(|listener| listener, server, handler)
    }

    fn start_server<L: Accept>(
        wrap: impl FnOnce(Listener) -> L + Send + 'static,
        server: longhaul::Server,
        handler: impl Handler,
    ) -> Self {
        // After the shutdown no other test gets the port from the system.
        let bind = || socket::bind(Host::Address([127, 0, 0, 1].into()), port_of_our_own());
        let sockets = iter::repeat_with(bind).find_map(Result::ok);
        let sockets = sockets.expect("there are more ports");
        let address = ([127, 0, 0, 1], sockets.port().unwrap()).into();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = wrap(sockets.listener().unwrap());
                drop(sockets);
                let shutdown = async { drop(stopped.await) };
                server.serve_until(listener, handler, shutdown).await;
            });
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Tells the server to stop.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Whether the server has stopped and dropped all its state.
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Serves for Hosted {
    fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.stop();
        if !thread::panicking() {
            eventually("the server stops", || self.is_over());
            let ended = self.thread.take().unwrap().join();
            ended.expect("the server did not panic");
        }
    }
}

/// A GET of `path` as bytes.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: clock\r\n\r\n")
}

/// The server's ticks without any content.
pub fn ticks(interval: Duration) -> impl Stream<Item = ()> + Send {
    let milliseconds = u64::try_from(interval.as_millis()).unwrap();
    set_interval(milliseconds, Source::Time(|| 0), |_| Bytes::new()).map(drop)
}

/// A body of one frame per item.
pub fn body<S>(items: S) -> StreamBody<impl Stream<Item = Result<Frame<Bytes>, Infallible>>>
where
    S: Stream<Item = Bytes>,
{
    StreamBody::new(items.map(|item| Ok(Frame::data(item))))
}

/// Raises the limit of open files by at least `files`, or as far as the system allows.
pub fn room_for_files(files: usize) -> usize {
    let room = system::raise_file_limit();
    files.min(room.saturating_sub(1000) / 2)
}

/// A client that reads and writes raw bytes, and panics at the deadline.
#[derive(Debug)]
pub struct Client(pub TcpStream);

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Self(stream)
    }

    /// Connects with the smallest receive buffer that the system allows.
    pub fn connect_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(1).unwrap();
        socket.connect(&address.into()).unwrap();
        let client = Self(socket.into());
        client.0.set_read_timeout(Some(DEADLINE)).unwrap();
        client
    }

    /// Closes the connection with a reset.
    pub fn reset(self) {
        SockRef::from(&self.0)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }

    /// Whether the connection has ended, even if unread bytes are left.
    pub fn has_ended(&mut self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        let ended = loop {
            match self.0.read(&mut buffer) {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break error.kind() != ErrorKind::WouldBlock,
            }
        };
        self.0.set_nonblocking(false).unwrap();
        ended
    }

    /// Whether the server has sent bytes that are not read yet.
    pub fn has_bytes(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).unwrap();
        match peeked {
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            length => length.expect("the connection is open") > 0,
        }
    }

    pub fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Self {
        let mut client = Self::connect(address);
        client.0.write_all(request.as_ref()).unwrap();
        client
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0
            .read_exact(&mut bytes)
            .expect("the bytes come before the deadline");
        bytes
    }

    /// The bytes up to and including `end`.
    pub fn until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        let mut ahead = [0; 4096];
        loop {
            let length = match self.0.peek(&mut ahead) {
                // Unlike `read_exact`, `peek` gives up at a signal.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                length => length.expect("the bytes come before the deadline"),
            };
            assert_ne!(length, 0, "the connection ended before {end:?}");
            let known = bytes.len();
            bytes.extend(&ahead[..length]);
            let from = known.saturating_sub(end.len() - 1);
            let found = bytes[from..]
                .windows(end.len())
                .position(|window| window == end.as_bytes());
            if let Some(at) = found {
                bytes.truncate(from + at + end.len());
            }
            self.take(bytes.len() - known);
            if found.is_some() {
                return String::from_utf8(bytes).unwrap();
            }
        }
    }

    pub fn head(&mut self) -> String {
        self.until("\r\n\r\n")
    }

    /// The next chunk's content; empty for the terminating chunk.
    pub fn chunk(&mut self) -> Vec<u8> {
        let size = self.until("\r\n");
        let size = usize::from_str_radix(size.trim_end(), 16).expect("a chunk size");
        let content = self.take(size);
        assert_eq!(self.take(2), b"\r\n");
        content
    }

    /// All bytes up to the end of the connection, whether orderly or by a reset.
    pub fn rest(&mut self) -> String {
        let start = Instant::now();
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            assert!(start.elapsed() < DEADLINE, "the connection does not end");
            match self.0.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => bytes.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
                Err(error) => panic!("the connection does not end: {error}"),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The server as a process, killed when dropped.
#[derive(Debug)]
pub struct Binary {
    child: Child,
    /// The first line on stdout.
    pub first: String,
    pub port: u16,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Binary {
    /// Runs `sse-clock` on a free port and waits until it listens.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Self::command();
        command.args(["--port", "0"]).args(arguments);
        Self::spawn(command)
    }

    /// Runs `sse-clock` on this port, in the time zone of this process so that both print the same
    /// times.
    pub fn start_on(port: u16) -> Self {
        let mut command = Self::command();
        command.args(["--port", &port.to_string()]);
        match env::var_os("TZ") {
            Some(zone) => command.env("TZ", zone),
            None => command.env_remove("TZ"),
        };
        Self::spawn(command)
    }

    /// The command with arguments in `SSE_CLOCK_BIN`, a program to test instead of this package's.
    pub fn other() -> Option<Vec<String>> {
        let other = env::var("SSE_CLOCK_BIN").unwrap_or_default();
        let words: Vec<_> = other.split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(words)
    }

    /// The binary of this package, or the other command.
    pub fn program() -> Vec<String> {
        Self::other().unwrap_or_else(|| vec![env!("CARGO_BIN_EXE_sse-clock").to_owned()])
    }

    pub fn command() -> Command {
        let words = Self::program();
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env_remove("PORT")
            .env_remove("RUST_LOG")
            .env("TZ", "UTC");
        command
    }

    pub fn spawn(command: Command) -> Self {
        Self::spawn_with_stdin(command, Stdio::null())
    }

    pub fn spawn_with_stdin(mut command: Command, stdin: impl Into<Stdio>) -> Self {
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary was built");
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        let first = stdout
            .recv_timeout(DEADLINE)
            .expect("the server says where it listens");
        let port = first.rsplit(':').next().unwrap().parse().expect("a port");
        Self {
            child,
            first,
            port,
            stdout,
            stderr,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The URL of `path`, which begins with a slash, at the address that the server printed.
    #[cfg(feature = "tls")]
    pub fn url(&self, path: &str) -> String {
        let base = self.first.rsplit(' ').next().unwrap();
        format!("{base}{path}")
    }

    /// The open file descriptors of the process.
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.id()))
            .unwrap()
            .count()
    }

    /// The open sockets of the process.
    pub fn sockets(&self) -> usize {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap();
        files
            .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
            .filter(|target| target.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// The processor time that the process has used so far.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        Duration::from_millis(ticks * 1000 / system::clock_ticks_per_second())
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        number(&status.unwrap(), "VmRSS")
    }

    /// The number of times that the log's writer thread has slept.
    pub fn sleeps_of_the_log(&self) -> usize {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).unwrap();
        let mut status = threads
            .map(|thread| std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap());
        let of_the_log = status.find(|status| status.starts_with("Name:\tlog\n"));
        number(
            &of_the_log.expect("a thread that writes the log"),
            "voluntary_ctxt_switches",
        )
    }

    pub fn signal(&self, signal: Signal) {
        system::send(signal, &self.child).unwrap();
    }

    /// The exit status, once the process has exited without being killed.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// The first log line from now on that holds `text`.
    #[track_caller]
    pub fn log_line(&self, text: &str) -> String {
        self.log_line_within(DEADLINE, text)
    }

    /// The first log line from now on that holds `text`, with a time limit of the caller's.
    #[track_caller]
    pub fn log_line_within(&self, deadline: Duration, text: &str) -> String {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.stderr.recv_timeout(left) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("no log line with {text:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the log ended without {text:?}"),
            }
        }
    }

    /// The log lines not read yet, up to the end of the process.
    pub fn log(&self) -> String {
        self.stderr.iter().collect::<Vec<_>>().join("\n")
    }

    /// The log lines since the last call.
    pub fn log_so_far(&self) -> Vec<String> {
        self.stderr.try_iter().collect()
    }

    /// The next line on stdout.
    pub fn line(&self) -> String {
        self.stdout
            .recv_timeout(DEADLINE)
            .expect("a line on stdout")
    }
}

impl Serves for Binary {
    fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number after `name` in a `status` file of `/proc`.
fn number(status: &str, name: &str) -> usize {
    let mut words = status.split_whitespace();
    words.find(|word| word.strip_suffix(':') == Some(name));
    words.next().unwrap().parse().unwrap()
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Marsaglia's xorshift: the same pseudo-random numbers in every run.
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap() % bound
    }
}
