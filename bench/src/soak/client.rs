//! The life of one client: its visits and reconnects until its time is over.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::{Request, StatusCode};
use tokio::{
    sync::watch::Receiver,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    channel::{Channel, Connection, Lost, Protocol, Window},
    listener::{Listener, how},
    malformed,
    random::Random,
    shared::{Counted, Endpoint, Phase, Shared, add},
    socket::Behaviour,
};

/// Paths that a client requests before its stream, on the same connection.
const ERRANDS: [&str; 6] = [
    "/",
    "/cases",
    "/stats",
    "/stats?key=k7",
    "/nowhere",
    "/events",
];
/// The pause before an idle client reconnects.
const PAUSE: Duration = Duration::from_millis(100);
const METHODS: [&str; 6] = ["GET", "GET", "GET", "HEAD", "OPTIONS", "PUT"];

struct Client {
    random: Random,
    endpoint: usize,
    protocol: Protocol,
    listeners: Vec<Listener>,
}

/// Runs the `nth` client. All choices depend on the seed and `nth` only.
pub(super) async fn live(nth: u64, shared: Arc<Shared>) {
    let _alive = Counted::one(&shared.notes.alive);
    add(&shared.notes.came, 1);
    let mut random = Random::of(shared.seed, nth);
    let endpoint = random.below(shared.endpoints.len());
    let leaves = Instant::now() + Duration::from_millis(random.about(100, 120_000));
    if random.one_in(6) {
        let mut phase = shared.phase.subscribe();
        let _busy = Counted::one(&shared.notes.busy);
        tokio::select! {
            _ = malformed::live(&mut random, &shared.endpoints[endpoint].address) => {}
            () = sleep_until(leaves) => {}
            _ = phase.wait_for(|phase| *phase != Phase::Load) => {}
        }
        return;
    }
    Client::draw(random, endpoint, &shared)
        .live(leaves, &shared)
        .await;
}

impl Client {
    fn draw(mut random: Random, endpoint: usize, shared: &Shared) -> Self {
        let is_http2 = shared.endpoints[endpoint].address.tls.is_some() && !random.one_in(3);
        let many = if is_http2 {
            let most = random.pick(&[2, 10, 150]);
            random.about(1, most)
        } else {
            1
        };
        let listeners = (0..many).map(|number| Listener::draw(number, &mut random));
        let listeners: Vec<Listener> = listeners.collect();
        let protocol = if is_http2 {
            let takes_pieces = listeners.iter().any(Listener::requests_pieces);
            Protocol::Http2(Window::draw(&mut random, takes_pieces))
        } else {
            Protocol::Http1
        };
        Self {
            random,
            endpoint,
            protocol,
            listeners,
        }
    }

    async fn live(mut self, leaves: Instant, shared: &Shared) {
        let mut phase = shared.phase.subscribe();
        loop {
            let now = *phase.borrow_and_update();
            match now {
                Phase::Load => {
                    let _busy = Counted::one(&shared.notes.busy);
                    tokio::select! {
                        _ = phase.changed() => {}
                        () = self.come_and_go(shared) => {}
                        () = sleep_until(leaves) => return,
                    }
                }
                Phase::Away | Phase::Still => {
                    self.listeners.retain(Listener::is_faithful);
                    if self.listeners.is_empty() {
                        return;
                    }
                    self.wait_for_load(&mut phase, shared).await;
                }
            }
            self.listeners.retain(|listener| !listener.is_sent_away());
            if self.listeners.is_empty() {
                return;
            }
        }
    }

    /// Makes one visit, with or without faults, and pauses.
    async fn come_and_go(&mut self, shared: &Shared) {
        add(&shared.notes.visits, 1);
        let mut random = self.random.fork();
        let behaviour = Behaviour::draw(&mut random);
        let stays = Duration::from_millis(random.about(5, 60_000));
        let rest = Duration::from_millis(random.about(1, 2000));
        // The client reconnects whatever the error was.
        let _ = timeout(stays, self.visit(random, behaviour, shared)).await;
        sleep(rest).await;
    }

    async fn visit(
        &mut self,
        mut random: Random,
        behaviour: Behaviour,
        shared: &Shared,
    ) -> Result<(), Lost> {
        let endpoint = &shared.endpoints[self.endpoint];
        let reads_all = behaviour.reads_everything() && self.protocol.has_open_window();
        let connection = Connection::open(&endpoint.address, self.protocol, behaviour).await;
        if let (true, Err(error)) = (reads_all, &connection) {
            shared.fault(format!("{}: no connection: {error}", endpoint.name));
        }
        let connection = connection?;
        while random.one_in(8) {
            go(&connection.channel, &mut random, endpoint, shared).await?;
        }
        let says_goodbye = random.one_in(2);
        let streams = self.listeners.iter_mut().map(|listener| {
            let mut random = random.for_the(listener.number);
            let stays = Duration::from_millis(random.about(1, 60_000));
            let repeats = random.one_in(2);
            let channel = connection.channel.clone();
            let listens = async move {
                let mut result = listener.listen(&channel, endpoint, shared, reads_all).await;
                if result.is_ok() && repeats && !listener.is_sent_away() {
                    result = listener.listen(&channel, endpoint, shared, reads_all).await;
                }
                result
            };
            // Over HTTP/2 a timeout resets the stream.
            boxed(async move { drop(timeout(stays, listens).await) })
        });
        all(streams.collect()).await;
        if says_goodbye {
            connection.say_goodbye().await;
        }
        Ok(())
    }

    /// Waits for the next load: disconnected, or with idle streams.
    async fn wait_for_load(&mut self, phase: &mut Receiver<Phase>, shared: &Shared) {
        let count = |who: fn(&Listener) -> bool| self.listeners.iter().filter(|it| who(it)).count();
        let (faithful, quick) = (count(Listener::is_faithful), count(Listener::is_quick));
        let _faithful = Counted::many(&shared.notes.faithful[self.endpoint], faithful);
        let _quick = Counted::many(&shared.notes.quick[self.endpoint], quick);
        loop {
            let now = *phase.borrow_and_update();
            match now {
                Phase::Load => return,
                Phase::Away => drop(phase.changed().await),
                Phase::Still => tokio::select! {
                    _ = phase.changed() => {}
                    () = self.sit_still(shared) => {}
                },
            }
        }
    }

    async fn sit_still(&mut self, shared: &Shared) {
        let endpoint = &shared.endpoints[self.endpoint];
        let protocol = self.protocol.with_open_window();
        let clients = endpoint.clients();
        let is_kept = endpoint.keeps(&clients);
        let lost = |result: Result<(), Lost>| {
            if endpoint.keeps(&clients) {
                let how = how(&result);
                shared.fault(format!("{}: a stream that sat still {how}", endpoint.name));
            }
        };
        match Connection::open(&endpoint.address, protocol, Behaviour::default()).await {
            Ok(connection) => {
                let streams = self.listeners.iter_mut().map(|listener| {
                    let (channel, clients) = (connection.channel.clone(), &clients);
                    boxed(async move {
                        lost(
                            listener
                                .sit_still(&channel, endpoint, shared, clients)
                                .await,
                        );
                    })
                });
                all(streams.collect()).await;
            }
            Err(error) if is_kept => lost(Err(error)),
            // The server is restarting.
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Sends one random request and checks the status.
async fn go(
    channel: &Channel,
    random: &mut Random,
    endpoint: &Endpoint,
    shared: &Shared,
) -> Result<(), Lost> {
    let (method, path) = (random.pick(&METHODS), random.pick(&ERRANDS));
    let head = Request::builder().method(method).uri(path);
    let response = channel.send(head, &[]).await?;
    let due = match method {
        _ if path == "/nowhere" => StatusCode::NOT_FOUND,
        "OPTIONS" => StatusCode::NO_CONTENT,
        "PUT" => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::OK,
    };
    if response.status != due {
        let status = response.status;
        shared.fault(format!("{}: {status} to {method} {path}", endpoint.name));
    }
    response.text().await.map(drop)
}

type Boxed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

fn boxed<'a>(future: impl Future<Output = ()> + Send + 'a) -> Boxed<'a> {
    Box::pin(future)
}

/// Waits for all futures.
async fn all(mut futures: Vec<Boxed<'_>>) {
    poll_fn(|cx| {
        futures.retain_mut(|it| it.as_mut().poll(cx).is_pending());
        if futures.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
