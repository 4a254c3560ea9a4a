//! Several queries as one.

use std::sync::Arc;

use datafusion::logical_expr::{LogicalPlan, Union};

use crate::error::StreamError;

/// The rows of all these plans of one schema.
pub(super) fn together(mut plans: Vec<LogicalPlan>) -> Result<LogicalPlan, StreamError> {
    match plans.len() {
        1 => plans.pop().ok_or_else(|| StreamError::internal("a plan got lost")),
        _ => {
            let plans = plans.into_iter().map(Arc::new).collect();
            Ok(LogicalPlan::Union(Union::try_new_with_loose_types(plans)?))
        }
    }
}
