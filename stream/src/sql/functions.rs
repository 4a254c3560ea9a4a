//! The functions that streaming SQL adds to DataFusion's: window markers and the ordered funnel.

pub mod window;
pub mod window_funnel;

use datafusion::prelude::SessionContext;

/// Registers all of them.
pub fn register(context: &SessionContext) {
    for function in window::all() {
        context.register_udf(function);
    }
    context.register_udaf(window_funnel::window_funnel());
}
