//! A script in batch: DataFusion over all rows at once.

use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use datafusion::{
    datasource::MemTable,
    prelude::{SessionConfig, SessionContext},
};

use super::{rows::Rows, script::Script};

/// The rows of each sink, in the types of `schemas`.
pub(crate) async fn run(script: &Script, schemas: &[SchemaRef]) -> Result<Vec<Rows>, String> {
    let context = context(script)?;
    let mut all = Vec::new();
    for (sink, schema) in script.sinks.iter().zip(schemas) {
        let query = script.batch(sink);
        let batches = collect(&context, &query).await.map_err(|error| format!("{error}\n{query}"))?;
        all.push(Rows::new(&batches, schema)?);
    }
    Ok(all)
}

fn context(script: &Script) -> Result<SessionContext, String> {
    let mut config = SessionConfig::new().with_target_partitions(1);
    // As in the engine's own sessions.
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let context = SessionContext::new_with_config(config);
    for table in &script.tables {
        let batch = table.batch();
        let memory =
            MemTable::try_new(batch.schema(), vec![vec![batch]]).map_err(|error| error.to_string())?;
        context.register_table(table.name.as_str(), Arc::new(memory)).map_err(|error| error.to_string())?;
    }
    Ok(context)
}

async fn collect(context: &SessionContext, query: &str) -> datafusion::error::Result<Vec<RecordBatch>> {
    Box::pin(async { context.sql(query).await?.collect().await }).await
}

/// Whether the queries can be planned.
pub(crate) async fn plan(script: &Script) -> Result<(), String> {
    let context = context(script)?;
    for sink in &script.sinks {
        let query = script.batch(sink);
        let planned = Box::pin(async { context.sql(&query).await?.create_physical_plan().await }).await;
        planned.map_err(|error| format!("{error}\n{query}"))?;
    }
    Ok(())
}
