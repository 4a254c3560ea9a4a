//! JSON-lines files (raw events) as tables.
//!
//! Entry type: [`JsonLines`], which remembers what it learnt about each file.
//!
//! * The columns are the keys of all lines, not of a sample, in order of first appearance. A file
//!   that has grown is read from where the last look ended.
//! * A column's type is what nine in ten of its values are: `BIGINT`, `DOUBLE`, `BOOLEAN`,
//!   `TIMESTAMP` (UTC, for RFC 3339 text with a zone); anything else, nested values included, is
//!   text as written.
//! * A line that is no JSON object, or has a value that does not fit its column, is skipped, counted
//!   and reported as a warning: raw input holds malformed records, and one must not hide the rest.
//! * A last line that is still being written is not read.

mod line;
mod profile;
mod scan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;
use object_store::{DynObjectStore, ObjectMeta, Result};

use profile::Profile;
pub(crate) use scan::JsonLinesTable;

/// Opens files, remembering their columns.
#[derive(Debug, Default)]
pub(crate) struct JsonLines {
    seen: Mutex<HashMap<Path, Seen>>,
}

#[derive(Debug, Clone)]
struct Seen {
    meta: ObjectMeta,
    profile: Arc<Profile>,
}

impl JsonLines {
    /// Opens the file as it is now; `name` is used in warnings.
    pub(crate) async fn open(
        &self,
        store: Arc<DynObjectStore>,
        meta: ObjectMeta,
        name: String,
    ) -> Result<JsonLinesTable> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&meta.location).cloned();
        let profile = match seen {
            Some(seen) if seen.meta == meta => seen.profile,
            seen => {
                // Only an appended file keeps what was learnt; one that shrank is another file.
                let start = seen
                    .filter(|seen| seen.meta.size < meta.size)
                    .map(|seen| Profile::clone(&seen.profile))
                    .unwrap_or_default();
                let profile = Arc::new(start.extend(store.as_ref(), &meta).await?);
                let seen = Seen { meta: meta.clone(), profile: Arc::clone(&profile) };
                self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(meta.location.clone(), seen);
                profile
            }
        };
        Ok(JsonLinesTable::new(store, meta.location, name, &profile))
    }
}
