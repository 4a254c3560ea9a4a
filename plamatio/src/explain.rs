//! `plamatio explain`: what a script would do, without doing it.

use sinks::Extras;
use stream::planner::explain::Explanation;

use crate::{
    cli::{ExplainArgs, ExplainFormat},
    connectors, report, run,
};

/// Plans a script and prints the tree of its operators; touches no source and no sink.
pub(crate) async fn explain(args: ExplainArgs) -> anyhow::Result<()> {
    let plan = run::plan(&args.file, args.set, &connectors::all(Extras::default())).await?;
    let explanation = Explanation::of(&plan);
    report::line(&match args.format {
        ExplainFormat::Text => explanation.to_string(),
        ExplainFormat::Json => explanation.to_json(),
        ExplainFormat::Mermaid => explanation.to_mermaid(),
    });
    Ok(())
}
