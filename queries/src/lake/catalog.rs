//! The lake as a DataFusion catalogue.
//!
//! Tables are opened when a statement names them, so each statement reads the newest version and
//! pays only for what it uses. DataFusion asks once per table and statement, so a table that is
//! named twice in a statement has one version in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::information_schema::{INFORMATION_SCHEMA, InformationSchemaProvider};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::TableType;
use tracing::warn;

use super::{CATALOG, DEFAULT_SCHEMA, Lake};

/// What to do with a table that cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unreadable {
    /// The statement named it: it must fail, naming the table.
    Fail,
    /// `information_schema` looks at every table: leave out its columns.
    LeaveOut,
}

/// The catalogue [`CATALOG`].
#[derive(Debug)]
pub(super) struct LakeCatalog {
    lake: Lake,
    unreadable: Unreadable,
}

impl LakeCatalog {
    pub(super) fn new(lake: Lake) -> Self {
        Self { lake, unreadable: Unreadable::Fail }
    }
}

impl CatalogProvider for LakeCatalog {
    fn schema_names(&self) -> Vec<String> {
        let mut names: BTreeSet<_> =
            self.lake.known_tables().iter().map(|table| table.schema.clone()).collect();
        names.insert(DEFAULT_SCHEMA.to_owned());
        names.into_iter().collect()
    }

    /// Any name gives a schema, because a new folder may have appeared since the last listing;
    /// one without tables answers "not found" for each.
    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        if name == INFORMATION_SCHEMA {
            return Some(Arc::new(InformationSchema::new(self.lake.clone())));
        }
        Some(Arc::new(LakeSchema {
            lake: self.lake.clone(),
            name: name.to_owned(),
            unreadable: self.unreadable,
        }))
    }
}

#[derive(Debug)]
struct LakeSchema {
    lake: Lake,
    name: String,
    unreadable: Unreadable,
}

#[async_trait]
impl SchemaProvider for LakeSchema {
    fn table_names(&self) -> Vec<String> {
        let tables = self.lake.known_tables();
        tables.iter().filter(|table| table.schema == self.name).map(|table| table.name.clone()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match self.lake.table(&self.name, name).await {
            Ok(table) => Ok(table),
            Err(error) if self.unreadable == Unreadable::LeaveOut => {
                warn!(schema = %self.name, table = name, %error, "columns left out of information_schema");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.lake.known_tables().iter().any(|table| table.schema == self.name && table.name == name)
    }
}

/// `information_schema` over a fresh listing, which survives tables that cannot be opened.
#[derive(Debug)]
struct InformationSchema {
    lake: Lake,
    provider: InformationSchemaProvider,
}

impl InformationSchema {
    fn new(lake: Lake) -> Self {
        let catalogs = Arc::new(LenientCatalogs {
            catalog: Arc::new(LakeCatalog { lake: lake.clone(), unreadable: Unreadable::LeaveOut }),
        });
        Self { lake, provider: InformationSchemaProvider::new(catalogs) }
    }
}

#[async_trait]
impl SchemaProvider for InformationSchema {
    fn table_names(&self) -> Vec<String> {
        self.provider.table_names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.lake.tables().await?;
        self.provider.table(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.provider.table_exist(name)
    }
}

#[derive(Debug)]
struct LenientCatalogs {
    catalog: Arc<LakeCatalog>,
}

impl CatalogProviderList for LenientCatalogs {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::clone(&self.catalog) as Arc<dyn CatalogProvider>)
    }
}
