//! One who listens to one stream, and comes back for the rest of it.

use http::{Method, StatusCode, request::Builder};
use sse_clock::stream::grid::tick_of;

use super::{
    channel::{Channel, Lost},
    dice::Dice,
    events::{Events, Said},
    ticks::{Ticks, now},
    town::{Counted, Guests, Town, add},
    wish::Wish,
};

pub(super) struct Listener {
    wish: Wish,
    /// What it has seen, where nothing may be missing.
    ticks: Option<Ticks>,
    /// Told not to come back.
    is_sent_away: bool,
}

impl Listener {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let wish = Wish::draw(dice);
        let seen = wish.options.last_event_id.as_deref().and_then(tick_of);
        let long_ago = dice.about(1, 10_000_000);
        let seen = seen.or_else(|| dice.one_in(8).then(|| now() - long_ago));
        let ticks = wish.has_ticks().then(|| Ticks::new(wish.interval(), seen));
        Self {
            wish,
            ticks,
            is_sent_away: false,
        }
    }

    pub(super) fn is_sent_away(&self) -> bool {
        self.is_sent_away
    }

    /// Whether it comes back to a server that was away.
    pub(super) fn is_faithful(&self) -> bool {
        self.ticks.is_some() && !self.is_sent_away
    }

    /// Whether a next id comes within a second.
    pub(super) fn is_quick(&self) -> bool {
        self.is_faithful() && self.wish.interval() <= 1000
    }

    /// Asks for what it wishes, and listens to the end of it.
    pub(super) async fn listen(&mut self, channel: &Channel, town: &Town) -> Result<(), Lost> {
        let head = self.wish.head(self.last());
        let content = self.wish.content.clone();
        self.follow(channel, head, &content, town, None).await
    }

    /// Asks for nothing but its ticks, and is counted with its house's guests.
    pub(super) async fn sit_still(
        &mut self,
        channel: &Channel,
        town: &Town,
        guests: &Guests,
    ) -> Result<(), Lost> {
        let head = self.wish.plain(self.last());
        self.follow(channel, head, &[], town, Some(guests)).await
    }

    fn last(&self) -> Option<u64> {
        self.ticks.as_ref().and_then(|ticks| ticks.last)
    }

    async fn follow(
        &mut self,
        channel: &Channel,
        head: Builder,
        content: &[u8],
        town: &Town,
        guests: Option<&Guests>,
    ) -> Result<(), Lost> {
        let notes = &town.notes;
        let is_head = guests.is_none() && self.wish.method == Method::HEAD;
        let mut answer = channel.ask(head, content).await?;
        if answer.status != StatusCode::OK || is_head {
            self.is_sent_away = true;
            return Ok(());
        }
        add(&notes.streams, 1);
        let _sits = guests.map(|guests| Counted::one(&guests.streams));
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
                    Said::Id(_) => {
                        add(&notes.ids, 1);
                        if let Some(guests) = guests {
                            hears.get_or_insert_with(|| Counted::one(&guests.hear));
                        }
                    }
                    Said::Gap(_) => add(&notes.gaps, 1),
                }
                if let Err(what) = ticks.take(said) {
                    add(&notes.wrong, 1);
                    town.fault(what);
                }
            });
        }
        Ok(())
    }
}
