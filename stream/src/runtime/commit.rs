//! An epoch from its cut to its commit, in the order of steps that [`crate::runtime`] gives: state, pre-commits,
//! checkpoint, commits, positions. When, is the [`coordinator`](super::coordinator)'s to decide.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use tokio::sync::oneshot;

use super::{
    checkpoint::{Checkpoint, OperatorState, SourceState},
    coordinator::Event,
    driver::{Driver, SINK_GONE},
    graph::NodeState,
    sink_task::ToSink,
};
use crate::{
    error::StreamError,
    ledger::Ledger,
    time::{Epoch, Offset, PartitionId, Progress, Watermark},
};

impl Driver {
    /// All threads are at the barrier of an epoch, or at their end.
    pub(super) async fn commit(&mut self, epoch: Epoch) -> Result<(), StreamError> {
        let started = Instant::now();
        // What is shown is then what the checkpoint holds: a restart knows it by its state.
        if self.store.is_some() && self.graph.emits() {
            self.emit().await?;
        }
        let states = if self.store.is_some() { self.graph.snapshot()? } else { Vec::new() };
        for worker in &mut self.workers {
            for state in std::mem::take(&mut worker.partitions) {
                self.last_states.insert((state.source, state.id.clone()), state);
            }
        }
        let tokens = self
            .tell_all((0..self.outboxes.len()).map(|_| ()), |(), token| ToSink::PreCommit { epoch, token });
        let tokens = tokens.await?;
        if let Some(store) = self.store.clone() {
            let checkpoint = self.checkpoint(epoch, states, &tokens)?;
            blocking("writing a checkpoint", move || store.write(&checkpoint)).await??;
        }
        self.tell_all(tokens, |token, done| ToSink::Commit { epoch, token, done }).await?;
        self.commit_positions().await?;
        self.coordinator.on(Event::Committed { epoch });
        self.control.epoch.fetch_max(epoch.number(), Ordering::AcqRel);
        self.status.epoch.store(epoch.number(), Ordering::Relaxed);
        self.status.export(&self.name);
        metrics::histogram!("plamatio_checkpoint_seconds").record(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Tells every sink something with an answer; all answers, once all are there.
    async fn tell_all<T, A>(
        &mut self,
        values: impl IntoIterator<Item = T>,
        message: impl Fn(T, oneshot::Sender<A>) -> ToSink,
    ) -> Result<Vec<A>, StreamError> {
        let mut waiting = Vec::new();
        for (sink, value) in values.into_iter().enumerate() {
            let (sender, receiver) = oneshot::channel();
            self.tell(sink, message(value, sender)).await?;
            waiting.push(receiver);
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for answer in waiting {
            answers.push(answer.await.map_err(|_| StreamError::internal(SINK_GONE))?);
        }
        Ok(answers)
    }

    /// What is written down of the cut.
    fn checkpoint(
        &self,
        epoch: Epoch,
        states: Vec<NodeState>,
        tokens: &[Vec<u8>],
    ) -> Result<Checkpoint, StreamError> {
        let sources = self.known.sources.iter().enumerate().map(|(source, named)| SourceState {
            name: named.name.clone(),
            identity: named.identity.clone(),
            promised: self.graph.acted_upon(source),
            partitions: self.last_states.values().filter(|state| state.source == source).cloned().collect(),
        });
        let mut operators = Vec::new();
        for node in states {
            let known = self.known.operator(&node.uid);
            let known = known.ok_or_else(|| StreamError::internal("an operator's uid got lost"))?;
            let (identity, feeds) = (known.identity.clone(), known.feeds.clone());
            operators.push(OperatorState { identity, feeds, node });
        }
        let sinks = self.known.sinks.iter().zip(tokens).map(|(sink, token)| sink.with(token.clone()));
        let letters = self.known.dead_letters.as_ref().zip(tokens.get(self.query_sinks));
        Ok(Checkpoint {
            epoch,
            sources: sources.collect(),
            operators,
            sinks: sinks.collect(),
            dead_letters: letters.map(|(sink, token)| sink.with(token.clone())),
            ledger: self.ledger_at_cut(),
            revision: self.revision,
        })
    }

    /// The ledger of what lies before the barrier: the workers have read on since.
    fn ledger_at_cut(&self) -> Ledger {
        let mut ledger = self.status.ledger();
        for (index, name) in self.source_tables.iter().enumerate() {
            let mut source = self.restored.sources.get(name).copied().unwrap_or_default();
            for (_, counts) in self.workers.iter().flat_map(|w| &w.counts).filter(|(of, _)| *of == index) {
                source.add(counts);
            }
            ledger.sources.insert(name.clone(), source);
        }
        ledger
    }

    async fn commit_positions(&mut self) -> Result<(), StreamError> {
        for (index, source) in self.sources.iter().enumerate() {
            let positions: BTreeMap<PartitionId, Offset> = self
                .last_states
                .values()
                .filter(|state| state.source == index)
                .filter_map(|state| Some((state.id.clone(), state.position?)))
                .collect();
            let source = Arc::clone(source);
            let committed = blocking("committing positions", move || source.commit(&positions)).await?;
            // The sinks have the rows and the checkpoint has the positions; a group that trails only shows a lag.
            if let Err(error) = committed {
                if self.store.is_none() {
                    return Err(error);
                }
                tracing::warn!(table = %self.source_tables[index], %error, "positions not committed to the source");
            }
        }
        Ok(())
    }

    /// Every source has ended: closes all windows and commits.
    pub(super) async fn finish(&mut self, epoch: Epoch) -> Result<(), StreamError> {
        for worker in 0..self.workers.len() {
            for source in 0..self.sources.len() {
                self.graph.progress(source, worker, Progress::Active(Watermark::END));
            }
        }
        self.advance().await?;
        self.commit(epoch).await
    }
}

/// Does what blocks where that is in nobody's way.
async fn blocking<T: Send + 'static>(
    what: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StreamError> {
    let done = tokio::task::spawn_blocking(run).await;
    done.map_err(|error| StreamError::internal(format!("{what} failed: {error}")))
}
