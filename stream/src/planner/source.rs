//! A source table to a [`SourcePlan`]: what is decoded of it, what is computed from that, where its event time is.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{Field, Schema};
use datafusion::common::DFSchema;

use super::{Connectors, SourcePlan, canonical::source_identity, catalog::Catalog};
use crate::{
    decode::plan::DecodePlan,
    error::StreamError,
    source::{SourceFactory, SourceOptions},
    table::{ColumnDef, ColumnKind, SourceMetadata, TableDef},
};

/// Plans a source for the columns that are wanted of it.
pub(super) fn source(
    catalog: &Catalog,
    connectors: &Connectors,
    table: &TableDef,
    wanted: &BTreeSet<&str>,
) -> Result<SourcePlan, StreamError> {
    let factory = factory_of(connectors, table)?;
    let options = SourceOptions::read(table)?;
    factory.validate(table)?;
    check_key(table, &options.deduplicate_key)?;

    let mut needed: BTreeSet<&str> = wanted.clone();
    needed.extend(table.watermark.as_ref().map(|watermark| watermark.column.as_str()));
    needed.extend(options.deduplicate_key.iter().map(String::as_str));
    let inputs = inputs(catalog, table, &needed)?;
    let field = |column: &ColumnDef| Arc::new(Field::new(&column.name, column.data_type.clone(), true));
    let (mut fields, mut metadata): (Vec<Arc<Field>>, Vec<_>) = (Vec::new(), Vec::new());
    for column in table.columns.iter().filter(|column| inputs.contains(&column.name)) {
        match column.kind {
            ColumnKind::FromSource { metadata: known, .. } => {
                offers(catalog, factory.as_ref(), table, column, known)?;
                metadata.push((known, field(column)));
            }
            _ => fields.push(Arc::new(column.decoded())),
        }
    }
    let decoded = Arc::new(Schema::new(fields.clone()));
    fields.extend(metadata.iter().map(|(_, field)| Arc::clone(field)));
    let physical = DFSchema::try_from(Schema::new(fields.clone()))?;
    let mut generated = Vec::new();
    for column in table.columns.iter().filter(|column| needed.contains(column.name.as_str())) {
        if let ColumnKind::Generated(expr) = &column.kind {
            let expr = catalog.state().create_physical_expr(expr.clone(), &physical)?;
            fields.push(field(column));
            generated.push((expr, field(column)));
        }
    }
    let schema = Arc::new(Schema::new(fields));
    // Made to find what is wrong with it before anything is read.
    let decode = DecodePlan::all(decoded);
    let _unused = connectors.formats.of(table)?.decoder(table, decode.clone())?;
    table.options.finish()?;
    let time_column = match &table.watermark {
        None => None,
        Some(watermark) => Some(schema.index_of(&watermark.column)?),
    };
    let deduplicate_columns =
        options.deduplicate_key.iter().map(|name| schema.index_of(name)).collect::<Result<_, _>>()?;
    Ok(SourcePlan {
        table: table.clone(),
        identity: source_identity(table, &options, factory.identity(table)?)?,
        options,
        decode,
        metadata,
        generated,
        schema,
        time_column,
        deduplicate_columns,
    })
}

/// What makes sources of the table's connector.
fn factory_of<'a>(
    connectors: &'a Connectors,
    table: &TableDef,
) -> Result<&'a Arc<dyn SourceFactory>, StreamError> {
    let connector = table.connector();
    if connector.is_empty() {
        return Err(StreamError::MissingOption { table: table.name.clone(), option: "connector".to_owned() });
    }
    connectors.sources.get(&connector).ok_or_else(|| {
        let known = connectors.sources.names().collect::<Vec<_>>().join("', '");
        table.options.bad("connector", &format!("a connector for sources; these are: '{known}'"))
    })
}

/// Keys are compared as bytes, which what is nested has none of.
fn check_key(table: &TableDef, key: &[String]) -> Result<(), StreamError> {
    let is_nested = |key: &String| {
        let column = table.columns.iter().find(|column| column.name == *key);
        column.is_some_and(|column| column.data_type.is_nested())
    };
    if key.iter().any(is_nested) {
        return Err(table
            .options
            .bad("deduplicate.key", "a list of columns that are no arrays, rows or maps"));
    }
    Ok(())
}

/// The columns that are read for those that are needed: a generated column needs those of its expression.
fn inputs(
    catalog: &Catalog,
    table: &TableDef,
    needed: &BTreeSet<&str>,
) -> Result<BTreeSet<String>, StreamError> {
    let mut inputs: BTreeSet<String> = BTreeSet::new();
    for column in table.columns.iter().filter(|column| needed.contains(column.name.as_str())) {
        match &column.kind {
            ColumnKind::Physical | ColumnKind::FromSource { .. } => {
                inputs.insert(column.name.clone());
            }
            ColumnKind::Generated(expr) => {
                inputs.extend(expr.column_refs().into_iter().map(|c| c.name.clone()))
            }
            ColumnKind::Metadata(_) => {
                let message = format!(
                    "metadata column '{}' of table {} can only be written, not read",
                    column.name, table.name
                );
                return Err(catalog.error(catalog.place(&table.name, &column.name), message).into());
            }
        }
    }
    Ok(inputs)
}

/// Whether records of the table's connector have the metadata of a column.
fn offers(
    catalog: &Catalog,
    factory: &dyn SourceFactory,
    table: &TableDef,
    column: &ColumnDef,
    metadata: SourceMetadata,
) -> Result<(), StreamError> {
    let offered = factory.metadata();
    if offered.contains(&metadata) {
        return Ok(());
    }
    let connector = table.connector();
    let message = format!("records of the connector '{connector}' have no metadata '{}'", metadata.name());
    let error = catalog.error(catalog.place(&table.name, &column.name), message);
    let names: Vec<&str> = offered.iter().map(|known| known.name()).collect();
    Err(match names.is_empty() {
        true => error.into(),
        false => error.with_help(format!("they have {}", names.join(", "))).into(),
    })
}
