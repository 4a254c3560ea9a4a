//! Finds tables under the lake's root by listing at most two levels of folders.
//!
//! | found | becomes |
//! |---|---|
//! | folder with `_delta_log` | Delta table |
//! | folder with `*.parquet`, or with Hive folders (`day=2026-01-05`) | Parquet table |
//! | file `*.jsonl` or `*.ndjson` | JSON-lines table |
//! | any other folder | schema, whose children are looked at once |
//!
//! A Delta folder can be a schema as well: `dead_letters` is a table when one job writes it, and
//! holds one table per job when several share a lake.
//!
//! Names that start with `.` or `_` are left alone (they are being written, or bookkeeping). When
//! the root itself is a table, it is the only one.

use std::collections::BTreeSet;

use futures::future::try_join_all;
use object_store::path::Path;
use object_store::{ObjectStore, Result};
use url::Url;

use super::{DEFAULT_SCHEMA, TableInfo, TableKind};

struct Folder {
    folders: Vec<String>,
    files: Vec<String>,
}

/// Lists the tables under `root`; `store` is rooted there.
pub(super) async fn discover(store: &dyn ObjectStore, root: &Url) -> Result<Vec<TableInfo>> {
    let top = list(store, &Path::default()).await?;
    if let Some(kind) = table_kind(&top) {
        let name = last_segment(root).unwrap_or_else(|| "table".to_owned());
        return Ok(vec![TableInfo {
            schema: DEFAULT_SCHEMA.to_owned(),
            name: sanitise(&name),
            kind,
            url: root.clone(),
        }]);
    }

    let mut found = Found { root, taken: BTreeSet::new(), tables: Vec::new() };
    found.add_files(&[], &top.files);
    let children = try_join_all(top.folders.iter().map(|name| list_at(store, [name]))).await?;
    for (name, folder) in top.folders.iter().zip(&children) {
        let kind = table_kind(folder);
        if let Some(kind) = kind {
            found.add(&[name], kind);
            if kind == TableKind::Parquet {
                continue;
            }
        } else {
            found.add_files(&[name], &folder.files);
        }
        // Folders of the table's own partitions, and its log, are no schema's tables.
        let inside: Vec<_> =
            folder.folders.iter().filter(|child| !(child.contains('=') || child.starts_with('_'))).collect();
        let below = try_join_all(inside.iter().map(|child| list_at(store, [name, child]))).await?;
        for (child, folder) in inside.into_iter().zip(&below) {
            match table_kind(folder) {
                Some(TableKind::Delta) => found.add(&[name, child], TableKind::Delta),
                Some(other) if kind.is_none() => found.add(&[name, child], other),
                _ => {}
            }
        }
    }
    found.tables.sort();
    Ok(found.tables)
}

/// The store path of a table, for a store rooted at `root`.
pub(super) fn relative_path(root: &Url, table: &Url) -> Path {
    let below = table.path().strip_prefix(root.path()).unwrap_or_default();
    Path::from_url_path(below).unwrap_or_default()
}

struct Found<'a> {
    root: &'a Url,
    taken: BTreeSet<(String, String)>,
    tables: Vec<TableInfo>,
}

impl Found<'_> {
    fn add_files(&mut self, folder: &[&String], files: &[String]) {
        for file in files.iter().filter(|file| json_lines_stem(file).is_some()) {
            let path: Vec<_> = folder.iter().copied().chain([file]).collect();
            self.add(&path, TableKind::JsonLines);
        }
    }

    fn add(&mut self, path: &[&String], kind: TableKind) {
        let [above @ .., last] = path else { return };
        let schema = match above.first() {
            // A folder of this name would be hidden by the real information_schema.
            Some(folder) => match sanitise(folder) {
                name if name == "information_schema" => "information_schema_".to_owned(),
                name => name,
            },
            None => DEFAULT_SCHEMA.to_owned(),
        };
        let base = sanitise(json_lines_stem(last).filter(|_| kind == TableKind::JsonLines).unwrap_or(last));
        // Two stored names can give one SQL name (`a-b`, `a_b`): number the later ones, hide none.
        let mut name = base.clone();
        let mut number = 2;
        while !self.taken.insert((schema.clone(), name.clone())) {
            name = format!("{base}_{number}");
            number += 1;
        }
        let mut url = self.root.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
            if kind != TableKind::JsonLines {
                segments.push("");
            }
        }
        self.tables.push(TableInfo { schema, name, kind, url });
    }
}

async fn list_at<const N: usize>(store: &dyn ObjectStore, parts: [&String; N]) -> Result<Folder> {
    list(store, &parts.iter().map(|part| part.as_str()).collect::<Path>()).await
}

async fn list(store: &dyn ObjectStore, path: &Path) -> Result<Folder> {
    let listing = store.list_with_delimiter(Some(path)).await?;
    let name = |path: &Path| path.filename().map(str::to_owned);
    let visible = |name: &String| !name.starts_with(['.', '_']) || name == "_delta_log";
    let mut folders: Vec<_> = listing.common_prefixes.iter().filter_map(name).filter(visible).collect();
    let mut files: Vec<_> =
        listing.objects.iter().filter_map(|object| name(&object.location)).filter(visible).collect();
    folders.sort();
    files.sort();
    Ok(Folder { folders, files })
}

fn table_kind(folder: &Folder) -> Option<TableKind> {
    if folder.folders.iter().any(|name| name == "_delta_log") {
        Some(TableKind::Delta)
    } else if folder.files.iter().any(|name| name.ends_with(".parquet"))
        || folder.folders.iter().any(|name| name.contains('='))
    {
        Some(TableKind::Parquet)
    } else {
        None
    }
}

fn json_lines_stem(file: &str) -> Option<&str> {
    file.strip_suffix(".jsonl").or_else(|| file.strip_suffix(".ndjson"))
}

fn last_segment(url: &Url) -> Option<String> {
    relative_path(&Url::parse("file:///").ok()?, url).filename().map(str::to_owned)
}

/// Lower case, because unquoted SQL names are; other characters than letters, digits and `_`
/// become `_`, so that no table needs quotes.
fn sanitise(name: &str) -> String {
    let mut clean: String = name
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' })
        .collect();
    if clean.is_empty() || clean.starts_with(|c: char| c.is_numeric()) {
        clean.insert(0, '_');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_need_no_quotes() {
        assert_eq!(sanitise("Top-Products v2"), "top_products_v2");
        assert_eq!(sanitise("2026"), "_2026");
        assert_eq!(sanitise("état"), "état");
        assert_eq!(sanitise(""), "_");
    }
}
