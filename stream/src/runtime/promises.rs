//! What the job has promised of each source, where a partition that was idle wakes up.
//!
//! Nobody waits for an idle partition: meanwhile the merge stage promises what the others let it, and closes windows.
//! When records come again, they must be held against that promise, and it must not rise further before the merge stage
//! hears of the partition. So promise and awakening meet here, under one lock: a thread whose partition wakes is told
//! what has been promised, and from then on counts as one that holds the watermark there, until the message arrives in
//! which it says so itself. Each message carries the number of awakenings that it knows of.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::time::{Progress, Watermark, combine};

/// An awakening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wake {
    /// Its number, of this source on this thread.
    pub(crate) number: u64,
    /// What had been promised.
    pub(crate) at: Watermark,
}

/// A source's promise.
#[derive(Debug, Default)]
pub(crate) struct Promise {
    promised: Option<Watermark>,
    /// The last awakening of each thread.
    woken: BTreeMap<usize, Wake>,
}

impl Promise {
    /// What a worker's progress comes to, that was told when it knew of `wakes` awakenings.
    pub(crate) fn progress_of(&self, worker: usize, told: Progress, wakes: u64) -> Progress {
        match self.woken.get(&worker) {
            Some(wake) if wake.number > wakes => {
                let both = combine([told, Progress::Active(wake.at)]);
                Progress::Active(both.unwrap_or(wake.at))
            }
            _ => told,
        }
    }

    /// Promises no less than `watermark`.
    pub(crate) fn raise(&mut self, watermark: Watermark) {
        self.promised = self.promised.max(Some(watermark));
    }
}

/// The promises of all sources, by their number in the plan.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    sources: Mutex<Vec<Promise>>,
}

impl Promises {
    /// With what was promised before a restart.
    pub(crate) fn new(promised: impl IntoIterator<Item = Watermark>) -> Self {
        let promise = |promised| Promise { promised: Some(promised), woken: BTreeMap::new() };
        Promises { sources: Mutex::new(promised.into_iter().map(promise).collect()) }
    }

    /// To be held while the graph is told how far the sources have come.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<Promise>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A partition of `source` wakes up on a thread.
    pub(crate) fn wake(&self, source: usize, worker: usize) -> Wake {
        let mut sources = self.lock();
        let Some(promise) = sources.get_mut(source) else { return Wake { number: 0, at: Watermark::START } };
        let at = promise.promised.unwrap_or(Watermark::START);
        let number = promise.woken.get(&worker).map_or(0, |wake| wake.number) + 1;
        let wake = Wake { number, at };
        promise.woken.insert(worker, wake);
        wake
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::EventTime;

    fn at(micros: i64) -> Watermark {
        Watermark::at(EventTime::from_micros(micros))
    }

    #[test]
    fn a_thread_that_woke_holds_the_watermark_until_it_says_so_itself() {
        let promises = Promises::new([at(5)]);
        promises.lock()[0].raise(at(9));
        let wake = promises.wake(0, 3);
        assert_eq!(wake, Wake { number: 1, at: at(9) });
        let promise = |told, wakes| promises.lock()[0].progress_of(3, told, wakes);
        assert_eq!(promise(Progress::Idle(at(2)), 0), Progress::Active(at(9)));
        assert_eq!(promise(Progress::Active(at(20)), 0), Progress::Active(at(9)));
        assert_eq!(promise(Progress::Active(at(20)), 1), Progress::Active(at(20)));
        assert_eq!(promises.lock()[0].progress_of(2, Progress::Idle(at(2)), 0), Progress::Idle(at(2)));
    }
}
