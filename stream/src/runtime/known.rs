//! What of a planned job holds state, and by what it is known: the one side of a comparison with a checkpoint, and what
//! is written down in the next.

use super::checkpoint::manifest::SinkState;
use crate::planner::{JobPlan, SinkPlan, Target, identity::Identity};

/// A source or a sink.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// Its table.
    pub(crate) name: String,
    /// What its state is known by.
    pub(crate) identity: Identity,
}

impl Named {
    /// Of a sink.
    pub(crate) fn sink(sink: &SinkPlan) -> Self {
        Named { name: sink.table.name.clone(), identity: sink.identity.clone() }
    }

    /// With a token.
    pub(crate) fn with(&self, token: Vec<u8>) -> SinkState {
        SinkState { name: self.name.clone(), identity: self.identity.clone(), token }
    }
}

/// An operator with state.
#[derive(Clone, Debug)]
pub(crate) struct KnownOperator {
    /// What its state is known by.
    pub(crate) identity: Identity,
    /// The sinks that its rows come to.
    pub(crate) feeds: Vec<String>,
    /// The sources whose rows come to it, by number.
    pub(crate) sources: Vec<usize>,
}

/// All that holds state.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// The sources, as in the plan.
    pub(crate) sources: Vec<Named>,
    /// Operators; those that compute the same, which hold the same state, are one.
    pub(crate) operators: Vec<KnownOperator>,
    /// The script's sinks, as in the plan.
    pub(crate) sinks: Vec<Named>,
    /// Where records are set aside.
    pub(crate) dead_letters: Option<Named>,
}

impl Known {
    /// Of a job.
    pub(crate) fn of(plan: &JobPlan, dead_letters: Option<&SinkPlan>) -> Self {
        let sources = plan
            .sources
            .iter()
            .map(|source| Named { name: source.table.name.clone(), identity: source.identity.clone() });
        let mut known = Known {
            sources: sources.collect(),
            operators: Vec::new(),
            sinks: plan.sinks.iter().map(Named::sink).collect(),
            dead_letters: dead_letters.map(Named::sink),
        };
        let above = sources_above(plan);
        for (node, sources) in above.into_iter().enumerate() {
            let Some(identity) = plan.nodes[node].state.clone() else { continue };
            let feeds = known.sinks_below(plan, node);
            match known.operators.iter_mut().find(|operator| operator.identity.uid == identity.uid) {
                Some(operator) => {
                    operator.feeds.extend(feeds);
                    operator.feeds.sort_unstable();
                    operator.feeds.dedup();
                }
                None => known.operators.push(KnownOperator { identity, feeds, sources }),
            }
        }
        known
    }

    /// The operator of a uid.
    pub(crate) fn operator(&self, uid: &str) -> Option<&KnownOperator> {
        self.operators.iter().find(|operator| operator.identity.uid == uid)
    }

    fn sinks_below(&self, plan: &JobPlan, node: usize) -> Vec<String> {
        let mut names = Vec::new();
        let mut nodes = vec![node];
        while let Some(node) = nodes.pop() {
            for target in &plan.nodes[node].outputs {
                match target {
                    Target::Node { node, .. } => nodes.push(*node),
                    Target::Sink(sink) => names.push(self.sinks[*sink].name.clone()),
                }
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The sources whose rows come to each node.
fn sources_above(plan: &JobPlan) -> Vec<Vec<usize>> {
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); plan.nodes.len()];
    for local in &plan.locals {
        above[local.node].push(local.source);
    }
    // Nodes come after those that feed them.
    for node in 0..plan.nodes.len() {
        above[node].sort_unstable();
        above[node].dedup();
        for target in &plan.nodes[node].outputs {
            if let Target::Node { node: below, .. } = target {
                let sources = above[node].clone();
                above[*below].extend(sources);
            }
        }
    }
    above
}
