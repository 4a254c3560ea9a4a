//! Making the events of a change: who, when, and from where are the same for all of them.

use chrono::{DateTime, Utc};
use events::{Event, EventType};
use uuid::Uuid;

use super::visitor::Visitor;

/// `source` of every event made here. The collector refuses it, so a browser cannot forge an order fact.
pub(crate) const SOURCE: &str = "api";

/// The part that all events of one change share.
pub(crate) struct Facts {
    visitor: Visitor,
    time: DateTime<Utc>,
}

impl Facts {
    /// Of this visitor, at this time.
    pub(crate) fn new(visitor: Visitor, time: DateTime<Utc>) -> Self {
        Self { visitor, time }
    }

    /// An event with a new id. The id is stored with the outbox row, so sending it again repeats it.
    pub(crate) fn event(&self, kind: EventType) -> Event {
        let Visitor { anonymous_id, session_id, traffic } = &self.visitor;
        let id = Uuid::now_v7().to_string();
        let mut event = Event::new(kind, id, SOURCE, self.time, anonymous_id, session_id);
        event.received_at = Some(self.time);
        event.traffic = *traffic;
        event
    }
}
