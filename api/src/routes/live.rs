//! `GET /v1/live/{metric}` and its stream of server-sent events.
//!
//! The list is `{metric, current, windows}`, newest window first. The stream opens with that as the event
//! `snapshot`; then each change is an event `window` with the complete window, and a new current window is an
//! event `current`. `?windows=N` bounds both: the stream tells changes of the N newest windows and of the
//! current one. After a window was taken back there is a `snapshot` again.

mod filter;

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use events::{LiveWindow, wire_time};
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use self::filter::Filter;
use crate::error::ApiError;
use crate::extract::{Path, Query};
use crate::live::LiveChange;
use crate::state::AppState;

/// Most windows of one answer, and how many without asking.
const MAX_WINDOWS: usize = 500;
const DEFAULT_WINDOWS: usize = 30;

/// Query of both routes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveQuery {
    windows: Option<usize>,
}

impl LiveQuery {
    fn limit(&self) -> Result<usize, ApiError> {
        let limit = self.windows.unwrap_or(DEFAULT_WINDOWS);
        if !(1..=MAX_WINDOWS).contains(&limit) {
            return Err(ApiError::field("windows", format!("must be from 1 to {MAX_WINDOWS}")));
        }
        Ok(limit)
    }
}

/// The values of a metric.
#[derive(Serialize)]
pub(crate) struct Live {
    metric: String,
    /// End of the current window, or null. Its value is among `windows` if it is stored.
    #[serde(with = "wire_time::optional")]
    current: Option<DateTime<Utc>>,
    windows: Vec<LiveWindow>,
}

pub(crate) async fn windows(
    State(state): State<AppState>,
    Path(metric): Path<String>,
    Query(query): Query<LiveQuery>,
) -> Result<Response, ApiError> {
    let limit = query.limit()?;
    let live = read(&state, checked(metric)?, limit).await?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(live)).into_response())
}

/// Metric names are parts of keys; anything else names no metric.
fn checked(metric: String) -> Result<String, ApiError> {
    let fits = (1..=64).contains(&metric.len())
        && metric.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits { Ok(metric) } else { Err(ApiError::NotFound { what: "metric".to_owned() }) }
}

async fn read(state: &AppState, metric: String, limit: usize) -> Result<Live, ApiError> {
    let reader = state.live();
    let current = reader.current(&metric).await?;
    let mut windows = reader.windows(&metric, limit).await?;
    // With overlapping windows the current one need not be among the newest.
    if let Some(end) = current.filter(|end| windows.iter().all(|window| window.window_end != *end))
        && let Some(window) = reader.window(&metric, end).await?
    {
        windows.push(window);
        windows.sort_by_key(|window| std::cmp::Reverse(window.window_end));
    }
    Ok(Live { metric, current, windows })
}

/// State of one stream.
struct Listener {
    state: AppState,
    metric: String,
    limit: usize,
    filter: Filter,
    changes: BoxStream<'static, LiveChange>,
    /// Held while the stream is open.
    _permit: OwnedSemaphorePermit,
}

pub(crate) async fn stream(
    State(state): State<AppState>,
    Path(metric): Path<String>,
    Query(query): Query<LiveQuery>,
) -> Result<Response, ApiError> {
    let limit = query.limit()?;
    let metric = checked(metric)?;
    let permit = state.streams().try_acquire_owned().map_err(|_| ApiError::Unavailable {
        code: "too-many-streams",
        detail: format!(
            "all {} streams are in use; poll /v1/live/{metric} instead",
            state.config().max_streams
        ),
    })?;
    // First listen, then read: a change in between is told twice rather than not at all.
    let changes = state.live().subscribe(&metric);
    let snapshot = read(&state, metric.clone(), limit).await?;
    let (shutdown, heartbeat) = (state.shutdown().clone(), state.config().heartbeat);
    let mut listener =
        Listener { state, metric, limit, filter: Filter::new(limit), changes, _permit: permit };
    let opening = listener.snapshot(snapshot);
    let rest = stream::unfold(listener, |mut listener| async {
        let events = listener.next().await?;
        Some((stream::iter(events), listener))
    });
    let events = stream::iter([opening])
        .chain(rest.flatten())
        .map(Ok::<_, Infallible>)
        .take_until(shutdown.cancelled_owned());
    Ok(answer(events, KeepAlive::new().interval(heartbeat)))
}

fn answer(
    events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
    keep_alive: KeepAlive,
) -> Response {
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    // Tells nginx and its like not to hold the events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl Listener {
    /// The opening event, also sent after missed changes.
    fn snapshot(&mut self, live: Live) -> Event {
        self.filter.reset(live.current, &live.windows);
        event("snapshot", &live)
    }

    /// The events of the next change; possibly none. Ends with the changes.
    async fn next(&mut self) -> Option<Vec<Event>> {
        Some(match self.changes.next().await? {
            LiveChange::Window { window, current } => self.window(&window, current),
            LiveChange::Missed => match read(&self.state, self.metric.clone(), self.limit).await {
                Ok(live) => vec![self.snapshot(live)],
                // Already logged; the next change or reconnection brings the listener up to date.
                Err(_) => Vec::new(),
            },
        })
    }

    fn window(&mut self, window: &Arc<LiveWindow>, current: Option<DateTime<Utc>>) -> Vec<Event> {
        let mut events = Vec::new();
        let admitted = self.filter.admit(current, window);
        if admitted.current_changed {
            let metric = &self.metric;
            let end = current.map(wire_time::format);
            events.push(event("current", &serde_json::json!({ "metric": metric, "current": end })));
        }
        if admitted.window {
            events.push(event("window", &**window));
        }
        events
    }
}

fn event(name: &'static str, data: &impl Serialize) -> Event {
    // Serialising these types fails only on a map with keys that are not text; there are none.
    Event::default().event(name).json_data(data).unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "a live event does not serialise");
        Event::default().comment("left out")
    })
}
