//! The connectors that scripts may name.

use sinks::Extras;
use stream::planner::Connectors;

/// All sources and sinks; `extras` is what they share with the rest of the process.
pub(crate) fn all(extras: Extras) -> Connectors {
    Connectors { sinks: sinks::registry(extras), ..Connectors::default() }
}
