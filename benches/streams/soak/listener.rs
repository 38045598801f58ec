//! A client's consumer of one stream, which reconnects with the last event id.

use http::{Method, StatusCode};
use sse_clock::stream::resume::tick_of;
use tokio::time::Instant;

use super::{
    channel::{Answer, Channel, Lost},
    dice::Dice,
    events::{Events, Said},
    ticks::{Ticks, now},
    town::{Counted, Guests, House, Town, add},
    wish::Wish,
};

/// Milliseconds: a new event's id may be older by this much plus the interval.
const FRESH: u64 = 1000;

pub(super) struct Listener {
    /// The index among the listeners of one client.
    pub(super) number: u64,
    wish: Wish,
    /// The invented last event id of the first request.
    claims: Option<u64>,
    /// The received ticks, if none may be missing.
    ticks: Option<Ticks>,
    /// The response told the client not to reconnect.
    is_sent_away: bool,
}

impl Listener {
    pub(super) fn draw(number: u64, dice: &mut Dice) -> Self {
        let wish = Wish::draw(dice);
        let asked = wish.options.last_event_id.as_deref().and_then(tick_of);
        let long_ago = dice.about(1, 10_000_000);
        let claims = dice.one_in(8).then(|| now() - long_ago);
        let claims = claims.filter(|_| asked.is_none());
        let seen = asked.or(claims);
        let ticks = wish.has_ticks().then(|| Ticks::new(wish.interval(), seen));
        Self {
            number,
            wish,
            claims,
            ticks,
            is_sent_away: false,
        }
    }

    pub(super) fn is_sent_away(&self) -> bool {
        self.is_sent_away
    }

    pub(super) fn asks_for_pieces(&self) -> bool {
        self.wish.options.script.framing.split.is_some()
    }

    /// Returns whether the listener reconnects after a restart of the server.
    pub(super) fn is_faithful(&self) -> bool {
        self.ticks.is_some() && !self.is_sent_away
    }

    /// Returns whether the next id is due within a second.
    pub(super) fn is_quick(&self) -> bool {
        self.is_faithful() && self.wish.interval() <= 1000
    }

    /// Sends the request, follows a redirect, and reads the stream to its end.
    ///
    /// An endless stream that ends on a calm connection is a fault.
    pub(super) async fn listen(
        &mut self,
        channel: &Channel,
        house: &House,
        town: &Town,
        is_calm: bool,
    ) -> Result<(), Lost> {
        let mut answer = self.ask(channel, house, town).await?;
        if let Some(location) = answer.location.take() {
            self.wish.move_to(&location);
            answer.text().await?;
            answer = self.ask(channel, house, town).await?;
        }
        if answer.status == StatusCode::OK && self.wish.method != Method::HEAD {
            let heard = self.hear(answer, house, town, None).await;
            if is_calm && self.wish.is_endless() {
                let (name, how, wish) = (house.name, how(&heard), &self.wish);
                town.fault(format!("{name}: the stream {how}: {wish}"));
            }
            return heard;
        }
        // With `responses` the next request may succeed.
        self.is_sent_away = self.wish.options.responses.is_empty();
        Ok(())
    }

    async fn ask(&self, channel: &Channel, house: &House, town: &Town) -> Result<Answer, Lost> {
        let seen = self.ticks.as_ref().filter(|ticks| ticks.seen > 0);
        let last = seen.map_or(self.claims, |ticks| ticks.last);
        let head = self.wish.head(last);
        let begin = Instant::now();
        let answer = channel.ask(head, &self.wish.content).await?;
        if !self.wish.allows(answer.status, last, begin.elapsed()) {
            town.fault(format!(
                "{}: {} to {} after {last:?}",
                house.name, answer.status, self.wish
            ));
        }
        Ok(answer)
    }

    /// Reads plain ticks, and counts as one of the `guests`.
    pub(super) async fn sit_still(
        &mut self,
        channel: &Channel,
        house: &House,
        town: &Town,
        guests: &Guests,
    ) -> Result<(), Lost> {
        let last = self.ticks.as_ref().and_then(|ticks| ticks.last);
        let answer = channel.ask(self.wish.plain(last), &[]).await?;
        if answer.status == StatusCode::OK {
            return self.hear(answer, house, town, Some(guests)).await;
        }
        town.fault(format!("{}: {} to plain ticks", house.name, answer.status));
        Ok(())
    }

    async fn hear(
        &mut self,
        mut answer: Answer,
        house: &House,
        town: &Town,
        guests: Option<&Guests>,
    ) -> Result<(), Lost> {
        let notes = &town.notes;
        add(&notes.streams, 1);
        let _sits = guests.map(|guests| Counted::one(&guests.streams));
        let (is_quick, interval) = (self.is_quick(), self.wish.interval());
        let mut hears = None;
        let mut events = Events::default();
        if let Some(ticks) = &mut self.ticks {
            add(&notes.resumed, u64::from(ticks.seen > 0));
            ticks.begin();
        }
        while let Some(bytes) = answer.next().await? {
            let Some(ticks) = &mut self.ticks else {
                continue;
            };
            events.feed(&bytes, |said| {
                match said {
                    Said::Id(id) => {
                        add(&notes.ids, 1);
                        let is_new = is_quick && id + interval + FRESH > now();
                        if let Some(guests) = guests.filter(|_| is_new) {
                            hears.get_or_insert_with(|| Counted::one(&guests.hear));
                        }
                    }
                    Said::Gap(_) => add(&notes.gaps, 1),
                    Said::Nothing => {}
                }
                if let Err(what) = ticks.take(said) {
                    add(&notes.wrong, 1);
                    town.fault(format!("{}: {what}, of {}", house.name, self.wish));
                }
            });
        }
        Ok(())
    }
}

/// Describes how a stream ended.
pub(super) fn how(heard: &Result<(), Lost>) -> String {
    match heard {
        Ok(()) => "ended".into(),
        Err(error) => format!("was lost: {error}"),
    }
}
