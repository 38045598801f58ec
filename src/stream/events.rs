//! What was asked of the events: lines ahead of their data, or other data.

use bytes::Bytes;

use super::sse::{Block, Fields, data};
use crate::options::Options;

/// How the events of one stream look.
#[derive(Debug)]
pub(super) struct Look {
    retry: Option<u64>,
    event: Option<String>,
    ids: bool,
    data: Option<Bytes>,
}

impl Look {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            retry: options.retry,
            event: options.event.clone(),
            ids: options.ids,
            data: options.data.as_deref().map(data),
        }
    }

    /// The event of a tick, which was written as in the example.
    pub(super) fn event(&mut self, id: u64, plain: Bytes) -> Block {
        let data = self.data.clone().unwrap_or(plain);
        let fields = Fields {
            retry: self.retry.take(),
            event: self.event.as_deref(),
            id: self.ids.then_some(id),
        };
        Block::event(fields.before(data))
    }

    /// The event that says how many ticks were left out.
    pub(super) fn gap(&mut self, left_out: u64) -> Block {
        let fields = Fields {
            retry: self.retry.take(),
            event: Some("gap"),
            id: None,
        };
        Block::aside(fields.before(data(&left_out.to_string())))
    }
}
