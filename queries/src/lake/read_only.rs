//! What keeps the lake unchanged.
//!
//! Two barriers. [`check_plan`] refuses a planned statement before it runs and says why; it is
//! what [`crate::Session`] uses. [`ReadOnlyPlanner`] stands in every context of the lake, also
//! where a caller hands SQL to DataFusion directly: no plan that writes gets a physical form, and
//! the catalogue accepts no registration.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::{QueryPlanner, SQLOptions};
use datafusion::logical_expr::{LogicalPlan, Statement};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};

/// Settings that change how a query is computed or shown, and nothing outside the session.
/// Others can name files and limits (`datafusion.runtime.*`), so they stay with the operator.
const SETTINGS: [&str; 3] = [
    "datafusion.execution.time_zone",
    "datafusion.execution.batch_size",
    "datafusion.execution.target_partitions",
];
const SETTING_GROUPS: [&str; 2] = ["datafusion.explain.", "datafusion.optimizer."];

/// `Err` says what is refused, and what would work.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), String> {
    let setting = match plan {
        LogicalPlan::Statement(Statement::SetVariable(set)) => Some(&set.variable),
        LogicalPlan::Statement(Statement::ResetVariable(reset)) => Some(&reset.variable),
        _ => None,
    };
    if let Some(name) = setting {
        let name = name.to_lowercase();
        let allowed =
            SETTINGS.contains(&name.as_str()) || SETTING_GROUPS.iter().any(|group| name.starts_with(group));
        return if allowed {
            Ok(())
        } else {
            Err(format!(
                "setting {name} cannot be changed here; these can: {}, {}*",
                SETTINGS.join(", "),
                SETTING_GROUPS.join("*, ")
            ))
        };
    }
    let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    match options.verify_plan(plan) {
        Ok(()) => Ok(()),
        Err(_) => Err("the lake is read-only: this statement would change it".to_owned()),
    }
}

/// Plans queries as DataFusion does, and refuses plans that write.
#[derive(Debug)]
pub(super) struct ReadOnlyPlanner;

#[async_trait]
impl QueryPlanner for ReadOnlyPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.apply_with_subqueries(|node| match node {
            LogicalPlan::Dml(_) | LogicalPlan::Copy(_) | LogicalPlan::Ddl(_) => {
                Err(DataFusionError::Plan("the lake is read-only: this statement would change it".to_owned()))
            }
            _ => Ok(TreeNodeRecursion::Continue),
        })?;
        DefaultPhysicalPlanner::default().create_physical_plan(plan, session).await
    }
}
