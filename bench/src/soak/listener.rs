//! A client's consumer of one stream, which reconnects with the last event id.

use http::{Method, StatusCode};
use sse_clock::stream::resume::tick_of;
use tokio::time::Instant;

use super::{
    channel::{Channel, Lost, Received},
    events::{Events, Said},
    random::Random,
    request::RandomRequest,
    shared::{Clients, Counted, Endpoint, Shared, add},
    ticks::{Ticks, now},
};

/// Milliseconds: a new event's id may be older by this much plus the interval.
const FRESH: u64 = 1000;

pub(super) struct Listener {
    /// The index among the listeners of one client.
    pub(super) number: u64,
    request: RandomRequest,
    /// The invented last event id of the first request.
    claims: Option<u64>,
    /// The received ticks, if none may be missing.
    ticks: Option<Ticks>,
    /// The response told the client not to reconnect.
    is_sent_away: bool,
}

impl Listener {
    pub(super) fn draw(number: u64, random: &mut Random) -> Self {
        let request = RandomRequest::draw(random);
        let requested = request.options.last_event_id.as_deref().and_then(tick_of);
        let long_ago = random.about(1, 10_000_000);
        let claims = random.one_in(8).then(|| now() - long_ago);
        let claims = claims.filter(|_| requested.is_none());
        let seen = requested.or(claims);
        let ticks = request
            .has_ticks()
            .then(|| Ticks::new(request.interval(), seen));
        Self {
            number,
            request,
            claims,
            ticks,
            is_sent_away: false,
        }
    }

    pub(super) fn is_sent_away(&self) -> bool {
        self.is_sent_away
    }

    pub(super) fn requests_pieces(&self) -> bool {
        self.request.options.script.framing.split.is_some()
    }

    /// Returns whether the listener reconnects after a restart of the server.
    pub(super) fn is_faithful(&self) -> bool {
        self.ticks.is_some() && !self.is_sent_away
    }

    /// Returns whether the next id is due within a second.
    pub(super) fn is_quick(&self) -> bool {
        self.is_faithful() && self.request.interval() <= 1000
    }

    /// Sends the request, follows a redirect, and reads the stream to its end.
    ///
    /// If the client reads everything, the end of an endless stream is a fault.
    pub(super) async fn listen(
        &mut self,
        channel: &Channel,
        endpoint: &Endpoint,
        shared: &Shared,
        reads_all: bool,
    ) -> Result<(), Lost> {
        let mut response = self.send(channel, endpoint, shared).await?;
        if let Some(location) = response.location.take() {
            self.request.move_to(&location);
            response.text().await?;
            response = self.send(channel, endpoint, shared).await?;
        }
        if response.status == StatusCode::OK && self.request.method != Method::HEAD {
            let result = self.read(response, endpoint, shared, None).await;
            if reads_all && self.request.is_endless() {
                let (name, how, request) = (endpoint.name, how(&result), &self.request);
                shared.fault(format!("{name}: the stream {how}: {request}"));
            }
            return result;
        }
        // With `responses` the next request may succeed.
        self.is_sent_away = self.request.options.responses.is_empty();
        Ok(())
    }

    async fn send(
        &self,
        channel: &Channel,
        endpoint: &Endpoint,
        shared: &Shared,
    ) -> Result<Received, Lost> {
        let seen = self.ticks.as_ref().filter(|ticks| ticks.seen > 0);
        let last = seen.map_or(self.claims, |ticks| ticks.last);
        let head = self.request.head(last);
        let begin = Instant::now();
        let response = channel.send(head, &self.request.content).await?;
        if !self.request.allows(response.status, last, begin.elapsed()) {
            shared.fault(format!(
                "{}: {} to {} after {last:?}",
                endpoint.name, response.status, self.request
            ));
        }
        Ok(response)
    }

    /// Reads plain ticks, and counts as one of the `clients`.
    pub(super) async fn sit_still(
        &mut self,
        channel: &Channel,
        endpoint: &Endpoint,
        shared: &Shared,
        clients: &Clients,
    ) -> Result<(), Lost> {
        let last = self.ticks.as_ref().and_then(|ticks| ticks.last);
        let response = channel.send(self.request.plain(last), &[]).await?;
        if response.status == StatusCode::OK {
            return self.read(response, endpoint, shared, Some(clients)).await;
        }
        shared.fault(format!(
            "{}: {} to plain ticks",
            endpoint.name, response.status
        ));
        Ok(())
    }

    async fn read(
        &mut self,
        mut response: Received,
        endpoint: &Endpoint,
        shared: &Shared,
        clients: Option<&Clients>,
    ) -> Result<(), Lost> {
        let notes = &shared.notes;
        add(&notes.streams, 1);
        let _sits = clients.map(|clients| Counted::one(&clients.streams));
        let (is_quick, interval) = (self.is_quick(), self.request.interval());
        let mut hears = None;
        let mut events = Events::default();
        if let Some(ticks) = &mut self.ticks {
            add(&notes.resumed, u64::from(ticks.seen > 0));
            ticks.begin();
        }
        while let Some(bytes) = response.next().await? {
            let Some(ticks) = &mut self.ticks else {
                continue;
            };
            events.feed(&bytes, |said| {
                match said {
                    Said::Id(id) => {
                        add(&notes.ids, 1);
                        let is_new = is_quick && id + interval + FRESH > now();
                        if let Some(clients) = clients.filter(|_| is_new) {
                            hears.get_or_insert_with(|| Counted::one(&clients.read));
                        }
                    }
                    Said::Gap(_) => add(&notes.gaps, 1),
                    Said::Nothing => {}
                }
                if let Err(what) = ticks.take(said) {
                    add(&notes.wrong, 1);
                    shared.fault(format!("{}: {what}, of {}", endpoint.name, self.request));
                }
            });
        }
        Ok(())
    }
}

/// Describes how a stream ended.
pub(super) fn how(result: &Result<(), Lost>) -> String {
    match result {
        Ok(()) => "ended".into(),
        Err(error) => format!("was lost: {error}"),
    }
}
