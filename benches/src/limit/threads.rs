//! A file's chunks, shared by threads.
//!
//! A thread takes the next chunk and decodes it. Products it counts for itself, and hands minutes over when its
//! watermark has passed them. What is about sessions goes to the thread that the session's hash names, as 32
//! bytes an event beside the chunk that holds the id; each thread works on these in the order of the chunks, so
//! that its sessions see one stream with one watermark. On a single thread nothing is handed around.

use std::{
    collections::BTreeMap,
    fs::File,
    hint::black_box,
    io::{ErrorKind, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
};

use anyhow::{Context, anyhow};
use memchr::{memchr, memchr_iter};

use super::{
    Answer, DELAY_MS, FunnelRow, MINUTE_MS, Wanted,
    funnel::{Funnel, Steps},
    hash,
    meeting::Meeting,
    products::{Pane, Panes, Window},
    scan::{Fields, Kind, Scanner},
    sessions::{Key, Sessions},
};

/// The lines that begin within so many bytes are a chunk: it fits a core's own cache.
const CHUNK_BYTES: u64 = 1 << 20;
/// How much more is read at once where a chunk's last line goes on.
const MORE_BYTES: usize = 4 << 10;

/// Runs; see [`super::run`].
pub fn run(path: &Path, threads: usize, wanted: Wanted) -> anyhow::Result<Answer> {
    let length = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
    let shared = Shared {
        path,
        length,
        next: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        merge: Mutex::new(Merge {
            products: Meeting::new(threads, Pane::add),
            window: Window::default(),
            funnel: Meeting::new(threads, Steps::add),
            answer: Answer::default(),
        }),
    };
    let (senders, inboxes): (Vec<_>, Vec<_>) = (0..threads).map(|_| channel()).unzip();
    let results: Vec<anyhow::Result<Answer>> = std::thread::scope(|scope| {
        let mut running = Vec::new();
        for (id, inbox) in inboxes.into_iter().enumerate() {
            let (shared, senders) = (&shared, senders.clone());
            running.push(scope.spawn(move || {
                let mut thread = Thread::new(id, shared, wanted);
                let result =
                    if senders.len() == 1 { thread.alone() } else { thread.together(&senders, &inbox) };
                if result.is_err() {
                    shared.failed.store(true, Ordering::Relaxed);
                }
                result.map(|()| thread.answer)
            }));
        }
        drop(senders);
        running.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(anyhow!("a thread panicked")))).collect()
    });
    let mut answer = Answer::default();
    for result in results {
        answer.add(result?);
    }
    answer.add(shared.merge.into_inner().unwrap_or_else(PoisonError::into_inner).answer);
    Ok(answer)
}

struct Shared<'a> {
    path: &'a Path,
    length: u64,
    /// The next chunk.
    next: AtomicU64,
    failed: AtomicBool,
    merge: Mutex<Merge>,
}

struct Merge {
    products: Meeting<Pane>,
    window: Window,
    funnel: Meeting<Steps>,
    answer: Answer,
}

/// What another thread is to know of an event.
struct Row {
    session: u64,
    time_ms: i64,
    revenue_cents: i64,
    /// Where its id is in the chunk.
    id_at: u32,
    id_length: u16,
    kind: Kind,
}

/// A chunk's rows for one thread.
struct Message {
    chunk: u64,
    text: Arc<Vec<u8>>,
    rows: Vec<Row>,
    highest_ms: i64,
}

/// Sends a chunk's rows to their threads. A thread that is gone has failed, and says so itself: then there is nothing
/// more to do.
fn hand_over(
    senders: &[Sender<Message>],
    chunk: u64,
    text: Vec<u8>,
    rows: Vec<Vec<Row>>,
    highest_ms: i64,
) -> bool {
    let text = Arc::new(text);
    let message = |rows| Message { chunk, text: Arc::clone(&text), rows, highest_ms };
    senders.iter().zip(rows).all(|(sender, rows)| sender.send(message(rows)).is_ok())
}

struct Thread<'a> {
    id: usize,
    shared: &'a Shared<'a>,
    wanted: Wanted,
    file: Option<File>,
    scanner: Scanner,
    panes: Panes,
    funnel: Funnel,
    sessions: Sessions,
    /// The minute below which products and sessions were handed over.
    products_before: i64,
    funnel_before: i64,
    answer: Answer,
}

impl<'a> Thread<'a> {
    fn new(id: usize, shared: &'a Shared<'a>, wanted: Wanted) -> Self {
        Thread {
            id,
            shared,
            wanted,
            file: None,
            scanner: Scanner::default(),
            panes: Panes::default(),
            funnel: Funnel::default(),
            sessions: Sessions::default(),
            products_before: i64::MIN,
            funnel_before: i64::MIN,
            answer: Answer::default(),
        }
    }

    fn alone(&mut self) -> anyhow::Result<()> {
        let (mut text, mut highest_ms) = (Vec::new(), i64::MIN);
        while let Some(chunk) = self.next_chunk() {
            let lines = self.read(chunk, &mut text)?;
            self.each(&text[lines], |thread, _, event| {
                highest_ms = highest_ms.max(event.time_ms);
                if thread.wanted.top_products {
                    thread.panes.add(event);
                }
                if thread.wanted.funnel || thread.wanted.sessions {
                    let session = hash::of_bytes(event.session);
                    thread.visit(session, event.session, event.time_ms, event.kind, event.revenue_cents())?;
                }
                Ok(())
            })?;
            self.hand_over_products(highest_ms.saturating_sub(DELAY_MS));
            self.advance_sessions(highest_ms.saturating_sub(DELAY_MS));
        }
        self.finish();
        Ok(())
    }

    fn together(&mut self, senders: &[Sender<Message>], inbox: &Receiver<Message>) -> anyhow::Result<()> {
        let by_session = self.wanted.funnel || self.wanted.sessions;
        let mut turn = Turn::default();
        let mut highest_ms = i64::MIN;
        // Buffers whose rows have been worked on are used again: fresh memory must be cleared first.
        let (mut texts, mut free) = (Vec::new(), Vec::new());
        while let Some(chunk) = self.next_chunk() {
            let mut text = texts.pop().unwrap_or_default();
            let lines = self.read(chunk, &mut text)?;
            let mut rows: Vec<Vec<Row>> = senders.iter().map(|_| free.pop().unwrap_or_default()).collect();
            let base = lines.start;
            // Ids that were written with escapes are put behind the chunk.
            let (behind, mut more) = (text.len(), Vec::new());
            self.each(&text[lines], |thread, line, event| {
                highest_ms = highest_ms.max(event.time_ms);
                if thread.wanted.top_products {
                    thread.panes.add(event);
                }
                if by_session {
                    let session = hash::of_bytes(event.session);
                    let owner = usize::try_from(session >> 32)? % rows.len();
                    let id_at = match event.session_at {
                        Some(at) => base + line + at,
                        None => {
                            more.extend_from_slice(event.session);
                            behind + more.len() - event.session.len()
                        }
                    };
                    rows[owner].push(Row {
                        session,
                        time_ms: event.time_ms,
                        revenue_cents: event.revenue_cents(),
                        id_at: u32::try_from(id_at)?,
                        id_length: u16::try_from(event.session.len())?,
                        kind: event.kind,
                    });
                }
                Ok(())
            })?;
            self.hand_over_products(highest_ms.saturating_sub(DELAY_MS));
            if !by_session {
                texts.push(text);
                free.extend(rows);
                continue;
            }
            text.append(&mut more);
            if !hand_over(senders, chunk, text, rows, highest_ms) {
                return Ok(());
            }
            for message in inbox.try_iter() {
                turn.waiting.insert(message.chunk, message);
            }
            self.work_off(&mut turn, &mut texts, &mut free)?;
        }
        if by_session && !self.work_off_rest(&mut turn, inbox)? {
            return Ok(());
        }
        self.finish();
        Ok(())
    }

    /// Counts what the others still send; whether all of them came to their end.
    fn work_off_rest(&mut self, turn: &mut Turn, inbox: &Receiver<Message>) -> anyhow::Result<bool> {
        let (mut texts, mut free) = (Vec::new(), Vec::new());
        while turn.next < self.shared.length.div_ceil(CHUNK_BYTES) {
            match inbox.recv_timeout(std::time::Duration::from_millis(100)) {
                Ok(message) => {
                    turn.waiting.insert(message.chunk, message);
                    self.work_off(turn, &mut texts, &mut free)?;
                }
                Err(_) if self.shared.failed.load(Ordering::Relaxed) => return Ok(false),
                Err(_) => {}
            }
        }
        Ok(true)
    }

    /// Counts the rows whose turn it is.
    fn work_off(
        &mut self,
        turn: &mut Turn,
        texts: &mut Vec<Vec<u8>>,
        free: &mut Vec<Vec<Row>>,
    ) -> anyhow::Result<()> {
        while let Some(mut message) = turn.waiting.remove(&turn.next) {
            turn.next += 1;
            turn.highest_ms = turn.highest_ms.max(message.highest_ms);
            for row in message.rows.drain(..) {
                let from = usize::try_from(row.id_at)?;
                let id = &message.text[from..from + usize::from(row.id_length)];
                self.visit(row.session, id, row.time_ms, row.kind, row.revenue_cents)?;
            }
            free.push(message.rows);
            texts.extend(Arc::into_inner(message.text));
            self.advance_sessions(turn.highest_ms.saturating_sub(DELAY_MS));
        }
        Ok(())
    }

    /// The next chunk that no one has taken.
    fn next_chunk(&self) -> Option<u64> {
        let chunk = self.shared.next.fetch_add(1, Ordering::Relaxed);
        (chunk * CHUNK_BYTES < self.shared.length).then_some(chunk)
    }

    /// Reads a chunk; answers where in `text` its lines are.
    fn read(&mut self, chunk: u64, text: &mut Vec<u8>) -> anyhow::Result<Range<usize>> {
        let failed = || format!("cannot read {}", self.shared.path.display());
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(File::open(self.shared.path).with_context(failed)?),
        };
        let first = chunk * CHUNK_BYTES;
        // The byte in front of the chunk tells whether a line begins with it.
        let from = first.saturating_sub(1);
        file.seek(SeekFrom::Start(from)).with_context(failed)?;
        let inside = usize::try_from(first + CHUNK_BYTES - from)?;
        let (mut filled, mut wanted) = (0, inside);
        let whole = loop {
            // A buffer that was used before is long enough and need not be cleared.
            if text.len() < filled + wanted {
                text.resize(filled + wanted, 0);
            }
            let read = read_full(file, &mut text[filled..filled + wanted]).with_context(failed)?;
            filled += read;
            // Lines that begin inside, the last one to its end.
            let last = inside.min(filled).saturating_sub(1);
            match memchr(b'\n', &text[last..filled]) {
                Some(end) => break last + end + 1,
                None if read < wanted => break filled,
                None => wanted = MORE_BYTES,
            }
        };
        text.truncate(filled);
        let start = if first == 0 { Some(0) } else { memchr(b'\n', &text[..whole]).map(|end| end + 1) };
        Ok(start.unwrap_or(whole)..whole)
    }

    /// Decodes lines; `each` is told where in `lines` an event's line begins.
    fn each(
        &mut self,
        lines: &[u8],
        mut each: impl FnMut(&mut Self, usize, &Fields<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut scanner = std::mem::take(&mut self.scanner);
        let mut start = 0;
        for end in memchr_iter(b'\n', lines).chain([lines.len()]) {
            let line = &lines[start..end];
            if !line.is_empty() {
                let mut outcome = Ok(());
                scanner.scan(line, |event| {
                    outcome = each(self, start, &event);
                    black_box(&event);
                })?;
                outcome?;
                self.answer.events += 1;
            }
            start = end + 1;
        }
        self.scanner = scanner;
        Ok(())
    }

    fn visit(
        &mut self,
        session: u64,
        id: &[u8],
        time_ms: i64,
        kind: Kind,
        revenue_cents: i64,
    ) -> anyhow::Result<()> {
        if self.wanted.funnel {
            self.funnel.add(time_ms, session, kind);
        }
        if self.wanted.sessions {
            self.sessions.add(Key::new(id, session)?, time_ms, kind, revenue_cents);
        }
        Ok(())
    }

    /// Hands over the minutes of products that the watermark of this thread's chunks has passed.
    fn hand_over_products(&mut self, watermark_ms: i64) {
        let before = watermark_ms.div_euclid(MINUTE_MS);
        if before <= self.products_before || !self.wanted.top_products {
            return;
        }
        self.products_before = before;
        let panes = self.panes.take(before);
        let mut merge = self.shared.merge.lock().unwrap_or_else(PoisonError::into_inner);
        let Merge { products, window, answer, .. } = &mut *merge;
        let (complete, before) = products.hand_over(self.id, before, panes);
        let first = answer.top_products.len();
        window.advance(complete, before, &mut answer.top_products);
        answer.counts.top_products += (answer.top_products.len() - first) as u64;
        if !self.wanted.rows {
            black_box(&answer.top_products);
            answer.top_products.clear();
        }
    }

    /// Closes sessions, and hands over the minutes of the funnel that the watermark has passed.
    fn advance_sessions(&mut self, watermark_ms: i64) {
        let (answer, keep) = (&mut self.answer, self.wanted.rows);
        if self.wanted.sessions {
            self.sessions.advance(watermark_ms, |row| {
                answer.counts.sessions += 1;
                if keep {
                    answer.sessions.push(row);
                } else {
                    black_box(row);
                }
            });
        }
        let before = watermark_ms.div_euclid(MINUTE_MS);
        if before <= self.funnel_before || !self.wanted.funnel {
            return;
        }
        self.funnel_before = before;
        let steps = self.funnel.take(before);
        let mut merge = self.shared.merge.lock().unwrap_or_else(PoisonError::into_inner);
        let Merge { funnel, answer, .. } = &mut *merge;
        let (complete, _) = funnel.hand_over(self.id, before, steps);
        for (minute, Steps { viewed, carted, ordered }) in complete {
            let start_ms = minute * MINUTE_MS;
            let row = FunnelRow { start_ms, end_ms: start_ms + MINUTE_MS, viewed, carted, ordered };
            answer.counts.funnel += 1;
            if self.wanted.rows {
                answer.funnel.push(row);
            } else {
                black_box(row);
            }
        }
    }

    /// No event will come any more.
    fn finish(&mut self) {
        self.hand_over_products(i64::MAX);
        self.advance_sessions(i64::MAX);
    }
}

/// A thread's place in the order of chunks.
struct Turn {
    next: u64,
    waiting: BTreeMap<u64, Message>,
    highest_ms: i64,
}

impl Default for Turn {
    fn default() -> Self {
        Turn { next: 0, waiting: BTreeMap::new(), highest_ms: i64::MIN }
    }
}

/// Reads until the buffer is full or the file ends; answers how much.
fn read_full(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
