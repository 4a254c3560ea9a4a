//! Where committed rows become visible: a folder of parts or one growing file.

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use stream::{error::StreamError, time::Epoch};
use tokio::{
    fs::{self, File, OpenOptions},
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

use crate::disk;

/// What a commit needs to know; kept in the checkpoint as JSON.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct Token {
    /// Format of this token.
    pub(super) version: u32,
    /// Name of the hidden file with the epoch's rows, in the target's folder.
    pub(super) hidden: String,
    /// Its length.
    pub(super) bytes: u64,
    /// Rows in it.
    pub(super) rows: u64,
    /// For a growing file: its length before this epoch.
    pub(super) offset: Option<u64>,
}

/// The format that [`Token`] has now.
pub(super) const TOKEN_VERSION: u32 = 1;

/// A folder of parts, or one file that grows.
pub(super) enum Target {
    Folder { folder: PathBuf, extension: &'static str },
    File { folder: PathBuf, file: PathBuf },
}

impl Target {
    /// Finds out which of both `path` is, and makes it ready. A file that is not there yet is told by its name's end,
    /// one of `extensions`; parts of a folder have the first of them.
    pub(super) async fn open(
        table: &str,
        path: PathBuf,
        extensions: &'static [&'static str],
    ) -> Result<Self, StreamError> {
        let is_file = match fs::metadata(&path).await {
            Ok(found) => found.is_file(),
            Err(_) => path
                .extension()
                .and_then(|extension| extension.to_str())
                .is_some_and(|extension| extensions.contains(&extension)),
        };
        let folder = match is_file {
            true => path.parent().map(Path::to_path_buf).unwrap_or_default(),
            false => path.clone(),
        };
        if !folder.as_os_str().is_empty() {
            fs::create_dir_all(&folder)
                .await
                .map_err(|e| disk::error(table, "create the folder", &folder, e))?;
        }
        if !is_file {
            let extension = extensions.first().copied().unwrap_or_default();
            return Ok(Target::Folder { folder, extension });
        }
        cut_unfinished_line(&path).await.map_err(|e| disk::error(table, "mend the end of", &path, e))?;
        Ok(Target::File { folder, file: path })
    }

    /// The folder in which hidden files are written: a rename must not cross file systems.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Target::Folder { folder, .. } | Target::File { folder, .. } => folder,
        }
    }

    /// Where the rows of the next commit will start in a growing file.
    pub(super) async fn offset(&self, table: &str) -> Result<Option<u64>, StreamError> {
        let Target::File { file, .. } = self else { return Ok(None) };
        length(file).await.map(Some).map_err(|e| disk::error(table, "read the length of", file, e))
    }

    /// Makes the hidden file's rows visible, unless they are already.
    pub(super) async fn publish(&self, table: &str, epoch: Epoch, token: &Token) -> Result<(), StreamError> {
        let hidden = self.folder().join(&token.hidden);
        match self {
            Target::Folder { folder, extension } => {
                let part = folder.join(format!("part-{epoch}.{extension}"));
                publish_part(table, epoch, &hidden, &part).await?;
                disk::sync_folder(folder).await.map_err(|e| disk::error(table, "sync", folder, e))
            }
            Target::File { folder, file } => {
                publish_appended(table, epoch, token, &hidden, file).await?;
                disk::sync_folder(folder).await.map_err(|e| disk::error(table, "sync", folder, e))
            }
        }
    }
}

async fn publish_part(table: &str, epoch: Epoch, hidden: &Path, part: &Path) -> Result<(), StreamError> {
    let exists = |path: PathBuf| async move {
        fs::try_exists(&path).await.map_err(|e| disk::error(table, "look for", &path, e))
    };
    match (exists(hidden.to_owned()).await?, exists(part.to_owned()).await?) {
        (true, false) => {
            fs::rename(hidden, part).await.map_err(|e| disk::error(table, "rename a part to", part, e))
        }
        (false, true) => Ok(()),
        (true, true) => Err(StreamError::connector(
            table,
            format!(
                "{} holds rows of another run and would be replaced by those of epoch {epoch}; move it away, \
                 or choose another 'path'",
                part.display()
            ),
        )),
        (false, false) => Err(lost(table, epoch, hidden)),
    }
}

async fn publish_appended(
    table: &str,
    epoch: Epoch,
    token: &Token,
    hidden: &Path,
    file: &Path,
) -> Result<(), StreamError> {
    let failed = |e: io::Error| disk::error(table, "append to", file, e);
    let offset = token.offset.ok_or_else(|| {
        StreamError::connector(
            table,
            format!(
                "{} is a file now, but was a folder when epoch {epoch} was written; choose another 'path'",
                file.display()
            ),
        )
    })?;
    let found = length(file).await.map_err(failed)?;
    if found < offset {
        let problem = format!(
            "{} is shorter than when epoch {epoch} was written ({found} bytes, not {offset}); restore it, or \
             choose another 'path'",
            file.display()
        );
        return Err(StreamError::connector(table, problem));
    }
    if found < offset.saturating_add(token.bytes) {
        let rows = match fs::read(hidden).await {
            Ok(rows) => rows,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(lost(table, epoch, hidden)),
            Err(e) => return Err(disk::error(table, "read", hidden, e)),
        };
        append_at(file, offset, &rows).await.map_err(failed)?;
    }
    match fs::remove_file(hidden).await {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(disk::error(table, "remove", hidden, e)),
        _ => Ok(()),
    }
}

fn lost(table: &str, epoch: Epoch, hidden: &Path) -> StreamError {
    let problem = format!(
        "the rows of epoch {epoch} are gone: {} is missing; restore it, or restart the job without its state",
        hidden.display()
    );
    StreamError::connector(table, problem)
}

/// Writes `rows` at `offset`, over what an interrupted append may have left there.
async fn append_at(file: &Path, offset: u64, rows: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(file).await?;
    file.set_len(offset).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    file.write_all(rows).await?;
    file.sync_all().await
}

async fn length(file: &Path) -> io::Result<u64> {
    match fs::metadata(file).await {
        Ok(found) => Ok(found.len()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(e),
    }
}

/// Cuts what follows the last line break, which only an interrupted append leaves.
async fn cut_unfinished_line(path: &Path) -> io::Result<()> {
    const BLOCK: u64 = 64 * 1024;
    let mut end = length(path).await?;
    if end == 0 {
        return Ok(());
    }
    let mut file = File::options().read(true).write(true).open(path).await?;
    let whole = end;
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        file.seek(SeekFrom::Start(start)).await?;
        block.clear();
        (&mut file).take(end - start).read_to_end(&mut block).await?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            end = start + u64::try_from(at).unwrap_or(0) + 1;
            break;
        }
        end = start;
    }
    if end < whole {
        file.set_len(end).await?;
    }
    Ok(())
}
