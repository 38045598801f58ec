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
    dice::Dice,
    line::Manners,
    listener::{Listener, how},
    rude,
    town::{Counted, Hour, House, Town, add},
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
    dice: Dice,
    house: usize,
    protocol: Protocol,
    listeners: Vec<Listener>,
}

/// Runs the `nth` client. All choices depend on the seed and `nth` only.
pub(super) async fn live(nth: u64, town: Arc<Town>) {
    let _alive = Counted::one(&town.notes.alive);
    add(&town.notes.came, 1);
    let mut dice = Dice::of(town.seed, nth);
    let house = dice.below(town.houses.len());
    let leaves = Instant::now() + Duration::from_millis(dice.about(100, 120_000));
    if dice.one_in(6) {
        let mut hour = town.hour.subscribe();
        let _busy = Counted::one(&town.notes.busy);
        tokio::select! {
            _ = rude::live(&mut dice, &town.houses[house].address) => {}
            () = sleep_until(leaves) => {}
            _ = hour.wait_for(|hour| *hour != Hour::Load) => {}
        }
        return;
    }
    Client::draw(dice, house, &town).live(leaves, &town).await;
}

impl Client {
    fn draw(mut dice: Dice, house: usize, town: &Town) -> Self {
        let is_http2 = town.houses[house].address.tls.is_some() && !dice.one_in(3);
        let many = if is_http2 {
            let most = dice.pick(&[2, 10, 150]);
            dice.about(1, most)
        } else {
            1
        };
        let listeners = (0..many).map(|number| Listener::draw(number, &mut dice));
        let listeners: Vec<Listener> = listeners.collect();
        let protocol = if is_http2 {
            let takes_pieces = listeners.iter().any(Listener::asks_for_pieces);
            Protocol::Http2(Window::draw(&mut dice, takes_pieces))
        } else {
            Protocol::Http1
        };
        Self {
            dice,
            house,
            protocol,
            listeners,
        }
    }

    async fn live(mut self, leaves: Instant, town: &Town) {
        let mut hour = town.hour.subscribe();
        loop {
            let now = *hour.borrow_and_update();
            match now {
                Hour::Load => {
                    let _busy = Counted::one(&town.notes.busy);
                    tokio::select! {
                        _ = hour.changed() => {}
                        () = self.come_and_go(town) => {}
                        () = sleep_until(leaves) => return,
                    }
                }
                Hour::Away | Hour::Still => {
                    self.listeners.retain(Listener::is_faithful);
                    if self.listeners.is_empty() {
                        return;
                    }
                    self.wait_for_load(&mut hour, town).await;
                }
            }
            self.listeners.retain(|listener| !listener.is_sent_away());
            if self.listeners.is_empty() {
                return;
            }
        }
    }

    /// Makes one visit, with or without faults, and pauses.
    async fn come_and_go(&mut self, town: &Town) {
        add(&town.notes.visits, 1);
        let mut dice = self.dice.others();
        let manners = Manners::draw(&mut dice);
        let stays = Duration::from_millis(dice.about(5, 60_000));
        let rest = Duration::from_millis(dice.about(1, 2000));
        // The client reconnects whatever the error was.
        let _ = timeout(stays, self.visit(dice, manners, town)).await;
        sleep(rest).await;
    }

    async fn visit(&mut self, mut dice: Dice, manners: Manners, town: &Town) -> Result<(), Lost> {
        let house = &town.houses[self.house];
        let is_calm = manners.are_good() && self.protocol.is_calm();
        let connection = Connection::open(&house.address, self.protocol, manners).await;
        if let (true, Err(error)) = (is_calm, &connection) {
            town.fault(format!("{}: no connection: {error}", house.name));
        }
        let connection = connection?;
        while dice.one_in(8) {
            go(&connection.channel, &mut dice, house, town).await?;
        }
        let says_goodbye = dice.one_in(2);
        let streams = self.listeners.iter_mut().map(|listener| {
            let mut dice = dice.for_the(listener.number);
            let stays = Duration::from_millis(dice.about(1, 60_000));
            let asks_again = dice.one_in(2);
            let channel = connection.channel.clone();
            let listens = async move {
                listener.listen(&channel, house, town, is_calm).await?;
                if asks_again && !listener.is_sent_away() {
                    listener.listen(&channel, house, town, is_calm).await?;
                }
                Ok::<_, Lost>(())
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
    async fn wait_for_load(&mut self, hour: &mut Receiver<Hour>, town: &Town) {
        let count = |who: fn(&Listener) -> bool| self.listeners.iter().filter(|it| who(it)).count();
        let (faithful, quick) = (count(Listener::is_faithful), count(Listener::is_quick));
        let _faithful = Counted::many(&town.notes.faithful[self.house], faithful);
        let _quick = Counted::many(&town.notes.quick[self.house], quick);
        loop {
            let now = *hour.borrow_and_update();
            match now {
                Hour::Load => return,
                Hour::Away => drop(hour.changed().await),
                Hour::Still => tokio::select! {
                    _ = hour.changed() => {}
                    () = self.sit_still(town) => {}
                },
            }
        }
    }

    async fn sit_still(&mut self, town: &Town) {
        let house = &town.houses[self.house];
        let protocol = self.protocol.calm();
        let guests = house.guests();
        let is_kept = house.keeps(&guests);
        let lost = |heard: Result<(), Lost>| {
            if house.keeps(&guests) {
                let how = how(&heard);
                town.fault(format!("{}: a stream that sat still {how}", house.name));
            }
        };
        match Connection::open(&house.address, protocol, Manners::default()).await {
            Ok(connection) => {
                let streams = self.listeners.iter_mut().map(|listener| {
                    let (channel, guests) = (connection.channel.clone(), &guests);
                    boxed(async move {
                        lost(listener.sit_still(&channel, house, town, guests).await);
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
async fn go(channel: &Channel, dice: &mut Dice, house: &House, town: &Town) -> Result<(), Lost> {
    let (method, path) = (dice.pick(&METHODS), dice.pick(&ERRANDS));
    let errand = Request::builder().method(method).uri(path);
    let answer = channel.ask(errand, &[]).await?;
    let due = match method {
        _ if path == "/nowhere" => StatusCode::NOT_FOUND,
        "OPTIONS" => StatusCode::NO_CONTENT,
        "PUT" => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::OK,
    };
    if answer.status != due {
        let status = answer.status;
        town.fault(format!("{}: {status} to {method} {path}", house.name));
    }
    answer.text().await.map(drop)
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
