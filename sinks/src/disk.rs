//! Errors of local disks in words that name the path and the remedy, and the syncing of folders.

use std::{
    error::Error,
    io::{self, ErrorKind},
    path::Path,
};

use stream::error::StreamError;

/// A failed operation on `path`: what was tried, where, and what would mend it.
pub(crate) fn error(
    table: &str,
    what: &str,
    path: &Path,
    cause: impl Error + Send + Sync + 'static,
) -> StreamError {
    let remedy = remedy(&cause);
    StreamError::connector_caused(table, format!("cannot {what} {}: {remedy}", path.display()), cause)
}

/// What to do about the I/O error somewhere in the chain of `cause`.
fn remedy(cause: &(dyn Error + 'static)) -> &'static str {
    let mut next = Some(cause);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            let kind = match io.get_ref() {
                // An error wrapped by another io::Error says more than its wrapper's kind.
                Some(inner) if io.kind() == ErrorKind::Other => return remedy(inner),
                _ => io.kind(),
            };
            return match kind {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    "the disk is full; free some space or choose another 'path'"
                }
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                    "it is not writable; change its permissions or choose another 'path'"
                }
                ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::IsADirectory => {
                    "something else is in its place; choose another 'path'"
                }
                _ => "check the option 'path' and the disk",
            };
        }
        next = error.source();
    }
    "check the option 'path' and the disk"
}

/// Makes new names in a folder survive a power cut.
pub(crate) async fn sync_folder(path: &Path) -> io::Result<()> {
    // An empty path is the parent of a bare file name.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    tokio::fs::File::open(path).await?.sync_all().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_fits_the_deepest_known_cause() {
        let full = || io::Error::from(ErrorKind::StorageFull);
        let message = |cause| error("t", "write to", Path::new("/lake"), cause).to_string();
        assert_eq!(
            message(full()),
            "table t: cannot write to /lake: the disk is full; free some space or choose another 'path'"
        );
        assert!(message(io::Error::other(full())).contains("the disk is full"));
        assert!(message(io::Error::other("odd")).contains("check the option 'path'"));
    }
}
