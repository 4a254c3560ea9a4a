//! Files of JSON lines: `'connector' = 'filesystem'`.
//!
//! | option | meaning | default |
//! |---|---|---|
//! | `path` | a file, a folder of files, or a `file://` URL of either | required |
//! | `format` | `json`: one object a line | `json` |
//!
//! Each file is a partition, so each has its own watermark; files of a folder are taken in the order of their
//! names, and hidden ones (`.`, `_` in front) are left out. The source is bounded: it reads what is there when
//! it is opened. A record's offset is its byte offset in the file. An empty line is a record without content: a
//! dead letter, so that the ledger accounts for every line.
//!
//! Left out for now: compressed files, other formats, watching a folder for new files.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;

use super::{Polled, RawBatch, Reader, Source, SourceFactory, StartAt};
use crate::{
    error::StreamError,
    table::TableDef,
    time::{Offset, PartitionId},
};

/// How much is read from a file at once.
const CHUNK_BYTES: usize = 1 << 20;
/// A line longer than this is not a record of ours; the file is refused rather than read into memory whole.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Makes [`Source`]s over files.
#[derive(Debug)]
pub struct FilesystemFactory;

#[async_trait]
impl SourceFactory for FilesystemFactory {
    fn validate(&self, table: &TableDef) -> Result<(), StreamError> {
        path_of(table).map(|_| ())
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
        Ok(Arc::new(FilesystemSource { table: table.name.clone(), files }))
    }
}

/// A table's `path` as a local path.
pub fn path_of(table: &TableDef) -> Result<PathBuf, StreamError> {
    let text = table.options.require("path")?;
    local_path(text).ok_or_else(|| table.options.bad("path", "a path or a file:// URL"))
}

/// A plain path, or a `file://` URL, as a local path; `None` for other URLs.
pub fn local_path(text: &str) -> Option<PathBuf> {
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
}

impl Source for FilesystemSource {
    fn partitions(&self) -> Vec<PartitionId> {
        let partition = |file: &PathBuf| PartitionId { topic: file.display().to_string(), partition: 0 };
        self.files.iter().map(partition).collect()
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reader(&self, partitions: &[(PartitionId, StartAt)]) -> Result<Box<dyn Reader>, StreamError> {
        let open = |(partition, start): &(PartitionId, StartAt)| {
            let path = Path::new(&partition.topic);
            let position = match start {
                StartAt::Configured => 0,
                StartAt::Position(offset) => offset.get(),
            };
            LineReader::open(path, position).map_err(|error| self.failed(path, error))
        };
        let files = partitions.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Box::new(FilesReader { table: self.table.clone(), files, turn: 0 }))
    }

    fn commit(&self, _: &BTreeMap<PartitionId, Offset>) -> Result<(), StreamError> {
        Ok(())
    }
}

impl FilesystemSource {
    fn failed(&self, path: &Path, error: std::io::Error) -> StreamError {
        StreamError::connector_caused(&self.table, format!("cannot read {}", path.display()), error)
    }
}

/// Reads several files in turn.
struct FilesReader {
    table: String,
    files: Vec<LineReader>,
    turn: usize,
}

impl Reader for FilesReader {
    fn poll(
        &mut self,
        batches: &mut [RawBatch],
        max_records: usize,
        _: Duration,
    ) -> Result<Polled, StreamError> {
        for _ in 0..self.files.len() {
            let index = self.turn % self.files.len();
            self.turn = index + 1;
            let (Some(file), Some(batch)) = (self.files.get_mut(index), batches.get_mut(index)) else {
                return Err(StreamError::internal("a reader was given too few batches"));
            };
            if file.read(batch, max_records).map_err(|error| {
                StreamError::connector_caused(
                    &self.table,
                    format!("cannot read {}", file.path.display()),
                    error,
                )
            })? {
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
        self.files.get(partition).is_some_and(|file| file.at_end && file.start == file.buffer.len())
    }
}

/// Cuts a file into lines.
struct LineReader {
    path: PathBuf,
    file: File,
    /// Bytes read and not yet handed over, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    /// The file's byte offset of `buffer[0]`.
    base: i64,
    at_end: bool,
}

impl LineReader {
    fn open(path: &Path, position: i64) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        // A position is "last record's offset + 1": the rest of that line is skipped by looking for its end.
        let base = position.saturating_sub(1).max(0);
        file.seek(SeekFrom::Start(base.unsigned_abs()))?;
        let mut reader =
            LineReader { path: path.to_owned(), file, buffer: Vec::new(), start: 0, base, at_end: false };
        if position > 0 {
            while !reader.skip_line() && !reader.at_end {
                reader.fill()?;
            }
        }
        Ok(reader)
    }

    fn skip_line(&mut self) -> bool {
        match memchr::memchr(b'\n', &self.buffer[self.start..]) {
            Some(end) => {
                self.start += end + 1;
                true
            }
            None => {
                self.start = self.buffer.len();
                false
            }
        }
    }

    /// Reads another chunk; sets `at_end` when there is none.
    fn fill(&mut self) -> std::io::Result<()> {
        self.buffer.drain(..self.start);
        self.base = self.base.saturating_add(i64::try_from(self.start).unwrap_or(i64::MAX));
        self.start = 0;
        if self.buffer.len() > MAX_LINE_BYTES {
            return Err(std::io::Error::other(format!(
                "a line longer than {MAX_LINE_BYTES} bytes at offset {}; the file must have one JSON object a line",
                self.base
            )));
        }
        let before = self.buffer.len();
        self.buffer.resize(before + CHUNK_BYTES, 0);
        let read = self.file.read(&mut self.buffer[before..]);
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        self.at_end = read? == 0;
        Ok(())
    }

    /// Hands over whole lines; whether there were any.
    fn read(&mut self, batch: &mut RawBatch, max_records: usize) -> std::io::Result<bool> {
        let before = batch.len();
        while batch.len() - before < max_records {
            let rest = &self.buffer[self.start..];
            let (line, next) = match memchr::memchr(b'\n', rest) {
                Some(end) => (&rest[..end], end + 1),
                None if self.at_end && !rest.is_empty() => (rest, rest.len()),
                None if self.at_end || batch.len() > before => break,
                None => {
                    self.fill()?;
                    continue;
                }
            };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let start = i64::try_from(self.start).unwrap_or(i64::MAX);
            batch.push(line, Offset::new(self.base.saturating_add(start)));
            self.start += next;
        }
        Ok(batch.len() > before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(reader: &mut LineReader, max: usize) -> Vec<(String, i64)> {
        let mut all = Vec::new();
        let mut batch = RawBatch::default();
        while reader.read(&mut batch, max).unwrap() {
            for index in 0..batch.len() {
                let (line, offset) = batch.record(index).unwrap();
                all.push((String::from_utf8_lossy(line).into_owned(), offset.get()));
            }
            batch.clear();
        }
        all
    }

    #[test]
    fn lines_come_whole_with_their_offsets_and_reading_goes_on_at_a_position() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let lines: Vec<String> =
            (0..2_000).map(|i| format!("{{\"line\":{i},\"pad\":\"{}\"}}", "x".repeat(i))).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();

        let all = read_all(&mut LineReader::open(&path, 0).unwrap(), 7);
        assert_eq!(all.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), lines);

        let (_, offset) = all[1_234];
        let rest = read_all(&mut LineReader::open(&path, offset + 1).unwrap(), 1_000);
        assert_eq!(rest, all[1_235..]);
    }
}
