//! The lake: where its tables are, and DataFusion contexts that read them.
//!
//! Entry type: [`Lake`]. Finding tables is in `discover`, the DataFusion catalogue in `catalog`,
//! what makes a context read-only in `read_only`.
//!
//! Tables are addressed by URL. `file://` works as built; another scheme works once its delta-rs
//! handler is compiled in.

mod catalog;
mod discover;
mod read_only;

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::datasource::TableProvider;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::{DeltaTableBuilder, DeltaTableError};
use object_store::{DynObjectStore, ObjectMeta, ObjectStoreExt as _};
use url::Url;

use crate::error::{Error, Result};
use crate::json_lines::JsonLines;

pub(crate) use read_only::check_plan;

/// Name of the DataFusion catalogue that holds the lake.
pub const CATALOG: &str = "lake";
/// Schema of the tables that lie directly in the lake's folder.
pub const DEFAULT_SCHEMA: &str = "public";

/// How a table is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableKind {
    /// A folder with a `_delta_log`.
    Delta,
    /// A folder of Parquet files, Hive-partitioned or flat.
    Parquet,
    /// One file with a JSON object per line.
    JsonLines,
}

impl std::fmt::Display for TableKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Delta => "delta",
            Self::Parquet => "parquet",
            Self::JsonLines => "json lines",
        })
    }
}

/// One table of the lake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableInfo {
    /// SQL schema: [`DEFAULT_SCHEMA`], or the folder above the table.
    pub schema: String,
    /// SQL name: the folder's (or file's) name in lower case, other characters as `_`.
    pub name: String,
    pub kind: TableKind,
    /// Where it is stored.
    pub url: Url,
}

impl TableInfo {
    /// The name to write in SQL: without the schema where that is the default one.
    pub fn sql_name(&self) -> String {
        if self.schema == DEFAULT_SCHEMA {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }
}

/// A folder (or URL prefix) of tables, read-only. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: Url,
    /// Rooted at `root`.
    store: Arc<DynObjectStore>,
    runtime: Arc<RuntimeEnv>,
    /// The last listing; a name that is not in it causes a new one.
    tables: RwLock<Arc<Vec<TableInfo>>>,
    json_lines: JsonLines,
}

impl Lake {
    /// Opens the lake at a path or URL. The folder must exist; it may be empty. Nothing is written
    /// and no table is read yet.
    ///
    /// # Errors
    /// [`Error::OpenLake`] when there is no such folder or the URL's scheme is not supported.
    pub fn open(uri: &str) -> Result<Self> {
        let fail = |reason: String| Error::OpenLake { uri: uri.to_owned(), reason };
        let root = root_url(uri).map_err(fail)?;
        let log_store = DeltaTableBuilder::from_url(root.clone())
            .and_then(|builder| builder.build_storage())
            .map_err(|error| match error {
                DeltaTableError::InvalidTableLocation(_) => fail(format!(
                    "scheme {:?} is not supported by this build; use a path or file://",
                    root.scheme()
                )),
                other => fail(other.to_string()),
            })?;
        // The listing cache never expires by itself, so a Parquet folder would keep its first
        // file list for ever.
        let runtime = RuntimeEnvBuilder::new()
            .with_cache_manager(CacheManagerConfig::default().with_list_files_cache_limit(0))
            .build_arc()
            .map_err(|error| fail(error.to_string()))?;
        if root.scheme() != "file" {
            runtime.register_object_store(&root, log_store.root_object_store(None));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                root,
                store: log_store.object_store(None),
                runtime,
                tables: RwLock::default(),
                json_lines: JsonLines::default(),
            }),
        })
    }

    /// The lake's address.
    pub fn url(&self) -> &Url {
        &self.inner.root
    }

    /// Lists the tables as they are now, sorted by schema and name. No table is opened.
    ///
    /// # Errors
    /// [`Error::ListLake`] when the folder cannot be listed.
    pub async fn tables(&self) -> Result<Arc<Vec<TableInfo>>> {
        let found = discover::discover(self.inner.store.as_ref(), &self.inner.root)
            .await
            .map_err(|source| Error::ListLake { uri: self.inner.root.to_string(), source })?;
        let found = Arc::new(found);
        *self.inner.tables.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&found);
        Ok(found)
    }

    /// The tables of the last listing.
    pub(crate) fn known_tables(&self) -> Arc<Vec<TableInfo>> {
        Arc::clone(&self.inner.tables.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A DataFusion context whose default catalogue is this lake, with `information_schema`.
    ///
    /// Statements that would write (`INSERT`, `COPY`, `CREATE TABLE`, `DROP TABLE`, ...) fail in it.
    /// Text typed by users belongs in a [`crate::Session`], which also limits `SET` and renders
    /// errors.
    pub fn context(&self) -> SessionContext {
        self.context_with(|_| {})
    }

    /// [`Lake::context`], with functions registered by `register` before it is handed out.
    pub fn context_with(&self, register: impl FnOnce(&SessionContext)) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
            .with_create_default_catalog_and_schema(false)
            // The lake's own catalogue serves information_schema, so that one unreadable table
            // does not take it down.
            .with_information_schema(false);
        config.options_mut().sql_parser.collect_spans = true;
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(Arc::clone(&self.inner.runtime))
            .with_default_features()
            .with_query_planner(Arc::new(read_only::ReadOnlyPlanner))
            .build();
        let context = SessionContext::new_with_state(state);
        context.register_catalog(CATALOG, Arc::new(catalog::LakeCatalog::new(self.clone())));
        register(&context);
        context
    }

    /// Opens the table's newest version, or `None` when there is no such table.
    pub(crate) async fn table(&self, schema: &str, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let find = |tables: &[TableInfo]| {
            tables.iter().find(|table| table.schema == schema && table.name == name).cloned()
        };
        if let Some(info) = find(&self.known_tables())
            && let Ok(provider) = self.load(&info).await
        {
            return Ok(Some(provider));
        }
        // Unknown, or gone, or stored in another way since the last listing.
        match find(&self.tables().await?) {
            Some(info) => self.load(&info).await.map(Some),
            None => Ok(None),
        }
    }

    async fn load(&self, info: &TableInfo) -> Result<Arc<dyn TableProvider>> {
        match info.kind {
            // Boxed: delta-rs futures are large.
            TableKind::Delta => Box::pin(load_delta(info)).await,
            TableKind::Parquet => Box::pin(self.load_parquet(info)).await,
            TableKind::JsonLines => self.load_json_lines(info).await,
        }
    }

    async fn load_parquet(&self, info: &TableInfo) -> Result<Arc<dyn TableProvider>> {
        let fail = |error: datafusion::error::DataFusionError| Error::OpenTable {
            table: info.sql_name(),
            reason: first_line(&error.strip_backtrace())
                .replace("Parquet error: Parquet error:", "Parquet error:"),
            remedy: "check its Parquet files, or move the folder out of the lake".to_owned(),
        };
        let state =
            SessionContext::new_with_config_rt(SessionConfig::new(), Arc::clone(&self.inner.runtime)).state();
        let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
        let url = ListingTableUrl::try_new(info.url.clone(), None).map_err(fail)?;
        let config = ListingTableConfig::new(url)
            .with_listing_options(options)
            .infer_partitions_from_path(&state)
            .await
            .map_err(fail)?
            .infer_schema(&state)
            .await
            .map_err(fail)?;
        Ok(Arc::new(ListingTable::try_new(config).map_err(fail)?))
    }

    async fn load_json_lines(&self, info: &TableInfo) -> Result<Arc<dyn TableProvider>> {
        let fail = |error: object_store::Error| Error::OpenTable {
            table: info.sql_name(),
            reason: error.to_string(),
            remedy: "check that the file is readable".to_owned(),
        };
        let path = discover::relative_path(&self.inner.root, &info.url);
        // The store answers with its own full path, but takes paths below the lake's root.
        let meta = ObjectMeta { location: path.clone(), ..self.inner.store.head(&path).await.map_err(fail)? };
        let table = self
            .inner
            .json_lines
            .open(Arc::clone(&self.inner.store), meta, info.sql_name())
            .await
            .map_err(fail)?;
        Ok(Arc::new(table))
    }
}

async fn load_delta(info: &TableInfo) -> Result<Arc<dyn TableProvider>> {
    let fail = |reason: String, remedy: &str| Error::OpenTable {
        table: info.sql_name(),
        reason: first_line(&reason),
        remedy: remedy.to_owned(),
    };
    // Opened anew each time: an update of a kept snapshot would miss a table that was deleted and
    // written again, and delta-rs checkpoints keep the log short.
    let table = match DeltaTableBuilder::from_url(info.url.clone()) {
        Ok(builder) => builder.load().await,
        Err(error) => Err(error),
    };
    match table {
        Ok(table) => table.table_provider().await.map_err(|error| {
            fail(error.strip_backtrace(), "it may need a Delta feature that this version does not read")
        }),
        Err(DeltaTableError::NotATable(_)) => Err(fail(
            "its _delta_log holds no version".to_owned(),
            "wait for its first commit, or move the folder out of the lake",
        )),
        Err(error) => Err(fail(
            format!("its _delta_log is damaged or unreadable ({})", first_line(&error.to_string())),
            "restore its _delta_log, or move the folder out of the lake",
        )),
    }
}

/// Turns a path or URL into a folder URL that ends with a slash.
fn root_url(uri: &str) -> Result<Url, String> {
    let missing =
        "no such folder; name the data directory of `plamatio demo` or `plamatio run`, or create it";
    let uri = uri.trim();
    if uri.is_empty() {
        return Err("the address is empty; give a path or URL".to_owned());
    }
    if let Some((scheme, _)) = uri.split_once("://") {
        let mut url =
            Url::parse(uri).map_err(|error| format!("{error}; give a path or a URL such as file:///data"))?;
        if scheme == "file" {
            let path = url.to_file_path().map_err(|()| "the URL names no local path".to_owned())?;
            return folder_url(&path, missing);
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        return Ok(url);
    }
    folder_url(Path::new(uri), missing)
}

fn folder_url(path: &Path, missing: &str) -> Result<Url, String> {
    let path = path.canonicalize().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => missing.to_owned(),
        _ => error.to_string(),
    })?;
    if !path.is_dir() {
        return Err("it is a file; name the folder that holds the tables".to_owned());
    }
    Url::from_directory_path(&path).map_err(|()| "the path cannot be written as a URL".to_owned())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}
