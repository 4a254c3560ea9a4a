//! A source table to a [`SourcePlan`]: what is decoded of it, what is computed from that, where its event time is.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{Field, Schema};
use datafusion::{common::DFSchema, sql::sqlparser::tokenizer::Span};

use super::{Connectors, SourcePlan, canonical::source_identity, catalog::Catalog};
use crate::{
    decode::plan::DecodePlan,
    error::StreamError,
    source::SourceOptions,
    table::{ColumnKind, TableDef},
};

/// Plans a source for the columns that are wanted of it.
pub(super) fn source(
    catalog: &Catalog,
    connectors: &Connectors,
    table: &TableDef,
    wanted: &BTreeSet<&str>,
) -> Result<SourcePlan, StreamError> {
    let connector = table.connector();
    if connector.is_empty() {
        return Err(StreamError::MissingOption { table: table.name.clone(), option: "connector".to_owned() });
    }
    let Some(factory) = connectors.sources.get(&connector) else {
        let known = connectors.sources.names().collect::<Vec<_>>().join("', '");
        return Err(table
            .options
            .bad("connector", &format!("a connector for sources; these are: '{known}'")));
    };
    let options = SourceOptions::read(table)?;
    factory.validate(table)?;
    table.options.finish()?;

    let mut needed: BTreeSet<&str> = wanted.clone();
    needed.extend(table.watermark.as_ref().map(|watermark| watermark.column.as_str()));
    needed.extend(options.deduplicate_key.iter().map(String::as_str));
    // A generated column needs the columns of its expression.
    let mut inputs: BTreeSet<String> = BTreeSet::new();
    for column in table.columns.iter().filter(|column| needed.contains(column.name.as_str())) {
        match &column.kind {
            ColumnKind::Physical => {
                inputs.insert(column.name.clone());
            }
            ColumnKind::Generated(expr) => {
                inputs.extend(expr.column_refs().into_iter().map(|c| c.name.clone()))
            }
            ColumnKind::Metadata(_) => {
                return Err(catalog
                    .error(
                        Span::empty(),
                        format!(
                            "metadata column '{}' of table {} can only be written, not read",
                            column.name, table.name
                        ),
                    )
                    .into());
            }
        }
    }
    let field = |column: &crate::table::ColumnDef| Field::new(&column.name, column.data_type.clone(), true);
    let decoded: Vec<Field> = table.columns.iter().filter(|c| inputs.contains(&c.name)).map(field).collect();
    let decoded = Arc::new(Schema::new(decoded));
    let physical = DFSchema::try_from(decoded.as_ref().clone())?;
    let mut fields: Vec<Arc<Field>> = decoded.fields().iter().cloned().collect();
    let mut generated = Vec::new();
    for column in table.columns.iter().filter(|column| needed.contains(column.name.as_str())) {
        if let ColumnKind::Generated(expr) = &column.kind {
            let expr = catalog.state().create_physical_expr(expr.clone(), &physical)?;
            let field = Arc::new(field(column));
            fields.push(Arc::clone(&field));
            generated.push((expr, field));
        }
    }
    let schema = Arc::new(Schema::new(fields));
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
        decode: DecodePlan::all(decoded),
        generated,
        schema,
        time_column,
        deduplicate_columns,
    })
}
