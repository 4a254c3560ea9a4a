//! Files of lines, each a record: `'connector' = 'filesystem'`.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `path` | a file, a folder of files, or a `file://` URL of either | required |
//! | `format` | of a line: see [`format`](mod@crate::format) | `json` |
//!
//! Each file is a partition, so each has its own watermark; files of a folder are taken in the order of their
//! names, and hidden ones (`.`, `_` in front) are left out. The source is bounded: it reads what is there when
//! it is opened. A record's offset is its byte offset in the file. An empty line is a record without content: a
//! dead letter, so that the ledger accounts for every line.
//!
//! Its records have the metadata `file.path` and `file.name`.
//!
//! A file is read in runs: run `n` has the lines that begin in the file's `n`-th mebibyte. Threads that share a
//! file take runs in turn and need nothing from each other to find their lines.
//!
//! Left out for now: compressed files, formats whose records are not lines, watching a folder for new files.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{Polled, RawBatch, Reader, Source, SourceFactory, StartAt};
use crate::{
    error::StreamError,
    table::{SourceMetadata, TableDef},
    time::{Offset, PartitionId},
};

/// The lines that begin within so many bytes are a run: a few thousand events, less than a core's own cache.
const RUN_BYTES: u64 = 1 << 20;
/// How much more is read at once where a run's last line goes on past it.
const MORE_BYTES: usize = 16 << 10;
/// A line longer than this is not a record of ours; the file is refused rather than read into memory whole.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Makes [`Source`]s over files.
#[derive(Debug)]
pub(crate) struct FilesystemFactory;

#[async_trait]
impl SourceFactory for FilesystemFactory {
    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        path_of(table).map(|_| ())
    }

    fn identity(&self, table: &TableDef) -> Result<Vec<(&'static str, String)>, StreamError> {
        Ok(vec![("path", path_of(table)?.display().to_string())])
    }

    fn metadata(&self) -> &'static [SourceMetadata] {
        &[SourceMetadata::FilePath, SourceMetadata::FileName]
    }

    async fn open(&self, table: &TableDef) -> Result<Arc<dyn Source>, StreamError> {
        let path = path_of(table)?;
        let files = list(&path).map_err(|error| {
            StreamError::connector_caused(
                &table.name,
                format!("cannot read {} ('path'); check that it exists and may be read", path.display()),
                error,
            )
        })?;
        if files.is_empty() {
            return Err(StreamError::connector(
                &table.name,
                format!("the folder {} ('path') has no files", path.display()),
            ));
        }
        Ok(Arc::new(FilesystemSource { table: table.name.clone(), files, open: Mutex::default() }))
    }
}

/// A table's `path` as a local path.
pub(crate) fn path_of(table: &TableDef) -> Result<PathBuf, StreamError> {
    let text = table.options.require("path")?;
    local_path(text).ok_or_else(|| table.options.bad("path", "a path or a file:// URL"))
}

/// A plain path, or a `file://` URL, as a local path; `None` for other URLs.
pub(crate) fn local_path(text: &str) -> Option<PathBuf> {
    match text.split_once("://") {
        None => Some(PathBuf::from(text)),
        Some(("file", _)) => url::Url::parse(text).ok()?.to_file_path().ok(),
        Some(_) => None,
    }
}

fn list(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with(['.', '_']);
        if !hidden && entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

#[derive(Debug)]
struct FilesystemSource {
    table: String,
    files: Vec<PathBuf>,
    /// Files that a reader was given: another reader of the same goes on where it is.
    open: Mutex<BTreeMap<PartitionId, Arc<Runs>>>,
}

impl Source for FilesystemSource {
    fn partitions(&self) -> Vec<PartitionId> {
        let partition = |file: &PathBuf| PartitionId { topic: file.display().to_string(), partition: 0 };
        self.files.iter().map(partition).collect()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn is_shareable(&self) -> bool {
        true
    }

    fn reader(&self, partitions: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut files = Vec::with_capacity(partitions.len());
        for (partition, start) in partitions {
            files.push(match open.entry(partition.clone()) {
                Entry::Occupied(runs) => Arc::clone(runs.get()),
                Entry::Vacant(place) => {
                    let path = Path::new(&partition.topic);
                    let position = match start {
                        StartAt::Configured => 0,
                        StartAt::Position(offset) => offset.get(),
                    };
                    let runs =
                        Runs::open(path, position).map_err(|error| failed(&self.table, path, error))?;
                    Arc::clone(place.insert(Arc::new(runs)))
                }
            });
        }
        Ok(Box::new(FilesReader { table: self.table.clone(), files, turn: 0 }))
    }

    fn commit(&self, _: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError> {
        Ok(())
    }
}

fn failed(table: &str, path: &Path, error: std::io::Error) -> StreamError {
    StreamError::connector_caused(table, format!("cannot read {}", path.display()), error)
}

/// Reads several files in turn.
struct FilesReader {
    table: String,
    files: Vec<Arc<Runs>>,
    turn: usize,
}

impl Reader for FilesReader {
    fn poll(&mut self, batches: &mut [RawBatch], _: usize, _: Duration) -> Result<Polled, StreamError> {
        for _ in 0..self.files.len() {
            let index = self.turn % self.files.len();
            self.turn = index + 1;
            let (Some(file), Some(batch)) = (self.files.get(index), batches.get_mut(index)) else {
                return Err(StreamError::internal("a reader was given too few batches"));
            };
            if file.next(batch).map_err(|error| failed(&self.table, &file.path, error))? {
                return Ok(Polled::Records);
            }
        }
        Ok(Polled::End)
    }

    fn drain(&mut self) -> Result<(), StreamError> {
        // Files are bounded as they are.
        Ok(())
    }

    fn has_ended(&self, partition: usize) -> bool {
        self.files.get(partition).is_some_and(|file| file.is_handed_out())
    }
}

/// A file, run by run.
#[derive(Debug)]
struct Runs {
    path: PathBuf,
    file: File,
    /// Lines that begin before this are not wanted.
    start: u64,
    /// The file's length when it was opened.
    end: u64,
    next: AtomicU64,
}

impl Runs {
    fn open(path: &Path, position: i64) -> std::io::Result<Self> {
        let file = File::open(path)?;
        let end = file.metadata()?.len();
        Ok(Runs {
            path: path.to_owned(),
            file,
            start: position.max(0).unsigned_abs(),
            end,
            next: AtomicU64::new(0),
        })
    }

    fn first_byte(&self, run: u64) -> u64 {
        self.start.saturating_add(run.saturating_mul(RUN_BYTES))
    }

    fn is_handed_out(&self) -> bool {
        self.first_byte(self.next.load(Ordering::Relaxed)) >= self.end
    }

    /// Hands out the next run, which is empty where one line is longer than a run; `false` if there is none.
    fn next(&self, batch: &mut RawBatch) -> std::io::Result<bool> {
        if self.is_handed_out() {
            return Ok(false);
        }
        let run = self.next.fetch_add(1, Ordering::Relaxed);
        let first = self.first_byte(run);
        if first >= self.end {
            return Ok(false);
        }
        batch.set_turn(run);
        let behind = first.saturating_add(RUN_BYTES).min(self.end);
        // A line begins behind a line end: the byte in front of the run tells whether one begins with it.
        let base = first.saturating_sub(1);
        let mut text = Text { file: &self.file, base, end: self.end };
        text.read(batch, usize::try_from(behind - base).unwrap_or(usize::MAX))?;
        let mut line = 0;
        if first > 0 {
            match memchr::memchr(b'\n', batch.buffer()) {
                Some(end) => line = end + 1,
                None => return Ok(true),
            }
        }
        let whole = usize::try_from(behind - base).unwrap_or(usize::MAX);
        while line < whole {
            let mut searched = line;
            let end = loop {
                if let Some(end) = memchr::memchr(b'\n', &batch.buffer()[searched..]) {
                    break searched + end;
                }
                searched = batch.buffer().len();
                if searched - line > MAX_LINE_BYTES {
                    return Err(std::io::Error::other(format!(
                        "a line longer than {MAX_LINE_BYTES} bytes at offset {}; the file must have one record a line",
                        base + u64::try_from(line).unwrap_or(u64::MAX)
                    )));
                }
                if !text.read(batch, MORE_BYTES)? {
                    break searched;
                }
            };
            let returns = usize::from(batch.buffer()[line..end].ends_with(b"\r"));
            let offset = base.saturating_add(u64::try_from(line).unwrap_or(u64::MAX));
            batch.mark(line..end - returns, Offset::new(i64::try_from(offset).unwrap_or(i64::MAX)));
            line = end + 1;
        }
        Ok(true)
    }
}

/// A stretch of a file, read into a batch from `base` on.
struct Text<'a> {
    file: &'a File,
    base: u64,
    end: u64,
}

impl Text<'_> {
    /// Reads up to `bytes` more, all of them unless the file ends; whether there were any.
    fn read(&mut self, batch: &mut RawBatch, bytes: usize) -> std::io::Result<bool> {
        let from = self.base.saturating_add(u64::try_from(batch.buffer().len()).unwrap_or(u64::MAX));
        let left = usize::try_from(self.end.saturating_sub(from)).unwrap_or(usize::MAX);
        let room = batch.room(bytes.min(left));
        let mut read = 0;
        while read < room.len() {
            match self.file.read_at(&mut room[read..], from + u64::try_from(read).unwrap_or(u64::MAX)) {
                // Shorter than when it was opened: what is left is all there is.
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        batch.filled(read);
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(runs: &Runs) -> Vec<(String, i64)> {
        let mut all = Vec::new();
        let mut batch = RawBatch::default();
        while runs.next(&mut batch).unwrap() {
            for index in 0..batch.len() {
                let (line, offset) = batch.record(index).unwrap();
                all.push((String::from_utf8_lossy(line).into_owned(), offset.get()));
            }
            batch.clear();
        }
        all
    }

    /// Lines whose lengths make runs begin and end at every place of a line, and lines longer than a run.
    fn lines() -> Vec<String> {
        let length = |i: usize| match i {
            700 => 3_000_000,
            701 => 0,
            i => i * 7 % 6_007,
        };
        (0..1_500).map(|i| "x".repeat(length(i))).collect()
    }

    #[test]
    fn lines_come_whole_with_their_offsets_and_reading_goes_on_at_a_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let lines = lines();
        for text in [lines.join("\n"), lines.join("\r\n"), lines.join("\n") + "\n"] {
            std::fs::write(&path, text).unwrap();
            let all = read_all(&Runs::open(&path, 0).unwrap());
            assert!(all.iter().map(|(line, _)| line.as_str()).eq(lines.iter().map(String::as_str)));
            for from in [0, 1, 699, 700, 701, 1_234] {
                let rest = read_all(&Runs::open(&path, all[from].1 + 1).unwrap());
                assert!(rest == all[from + 1..], "behind line {from}");
            }
        }
    }

    #[test]
    fn threads_that_share_a_file_read_every_line_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let lines = lines();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let runs = Runs::open(&path, 0).unwrap();
        let mut all: Vec<(String, i64)> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| read_all(&runs))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        all.sort_by_key(|(_, offset)| *offset);
        assert!(all.iter().map(|(line, _)| line).eq(&lines));
    }
}
