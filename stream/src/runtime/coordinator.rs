//! When what is done: barriers, commits, emissions and the end of a job. Pure: it is told what happened and answers what
//! is to be done; it has no channel, no clock and no file. [`driver`](super::driver) and [`commit`](super::commit) do it.
//!
//! ```text
//! CheckpointDue ─▶ Ask(barrier) … Barrier of each thread ─▶ Commit ─ Committed ─▶ the next may be asked for
//! Stop ──────────▶ Ask(last barrier) … Barrier of each ───▶ Commit ─ Committed ─▶ End
//! EmissionDue ───▶ AskEmission … Ready of each ───────────▶ Emit
//!                  Ended of each ─────────────────────────▶ Finish
//! ```
//!
//! A thread that has ended is waited for no more. Between two barriers of a thread, what it sends behind the first is
//! [held back](Coordinator::holds) until all have sent theirs.

use crate::time::Epoch;

/// Something has happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// A thread has sent all that belongs to an epoch.
    Barrier {
        /// The thread.
        worker: usize,
        /// The epoch.
        epoch: Epoch,
    },
    /// A thread has handed over what it held for an emission.
    Ready {
        /// The thread.
        worker: usize,
        /// The emission.
        emission: u64,
    },
    /// A thread has read all there is.
    Ended {
        /// The thread.
        worker: usize,
    },
    /// It is time for provisional rows.
    EmissionDue,
    /// It is time for a checkpoint.
    CheckpointDue,
    /// The job is to stop.
    Stop,
    /// What was decided by [`Decision::Commit`] is done.
    Committed {
        /// The epoch.
        epoch: Epoch,
    },
}

/// Something is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// Ask the threads for a barrier; behind the last one they stop.
    Ask {
        /// The epoch.
        epoch: Epoch,
        /// Whether it is the last.
        is_last: bool,
    },
    /// Ask the threads for what they hold.
    AskEmission(u64),
    /// All threads are at the barrier: commit the epoch.
    Commit(Epoch),
    /// All threads have handed over what they held: write provisional rows.
    Emit,
    /// All sources have ended: close every window and commit that as this epoch.
    Finish(Epoch),
    /// The last epoch is committed: stop.
    End,
}

/// A compute thread as the coordinator sees it.
#[derive(Clone, Copy, Debug, Default)]
struct Thread {
    /// At this epoch's barrier, waiting for the others.
    at_barrier: Option<Epoch>,
    /// The newest emission for which it has handed everything over.
    emission: u64,
    has_ended: bool,
}

/// What is under way.
#[derive(Debug)]
pub(super) struct Coordinator {
    threads: Vec<Thread>,
    /// The newest epoch that was committed.
    committed: Epoch,
    /// The newest epoch whose barrier was asked for.
    asked: Epoch,
    /// The newest emission that was asked for, and whether it is still to be written.
    emission: (u64, bool),
    is_stopping: bool,
}

impl Coordinator {
    /// Of so many threads, which begin behind an epoch.
    pub(super) fn new(threads: usize, epoch: Epoch) -> Self {
        Coordinator {
            threads: vec![Thread::default(); threads],
            committed: epoch,
            asked: epoch,
            emission: (0, false),
            is_stopping: false,
        }
    }

    /// The newest epoch that was committed; what is written now belongs to the next.
    pub(super) fn committed(&self) -> Epoch {
        self.committed
    }

    /// Whether what a thread sends belongs behind a barrier that others have not reached.
    pub(super) fn holds(&self, worker: usize) -> bool {
        self.threads.get(worker).is_some_and(|thread| thread.at_barrier.is_some())
    }

    /// Whether an emission is under way: the next one waits.
    pub(super) fn awaits_emission(&self) -> bool {
        self.emission.1
    }

    /// Whether a barrier is under way, or the last one was asked for: the next checkpoint waits.
    pub(super) fn awaits_barrier(&self) -> bool {
        self.is_stopping || self.asked != self.committed
    }

    /// Takes note of something; what the threads are to be asked for now.
    pub(super) fn on(&mut self, event: Event) -> Option<Decision> {
        match event {
            Event::Barrier { worker, epoch } => self.thread(worker)?.at_barrier = Some(epoch),
            Event::Ready { worker, emission } => self.thread(worker)?.emission = emission,
            Event::Ended { worker } => self.thread(worker)?.has_ended = true,
            Event::EmissionDue if !self.awaits_emission() => {
                self.emission = (self.emission.0 + 1, true);
                return Some(Decision::AskEmission(self.emission.0));
            }
            Event::CheckpointDue if !self.awaits_barrier() => {
                return Some(self.ask(self.committed.next(), false));
            }
            // A barrier under way may already have passed a thread: stop at one of its own behind it.
            Event::Stop if !self.is_stopping => return Some(self.ask(self.asked.next(), true)),
            Event::Committed { epoch } => {
                self.committed = epoch;
                self.asked = self.asked.max(epoch);
                self.threads.iter_mut().for_each(|thread| thread.at_barrier = None);
            }
            Event::EmissionDue | Event::CheckpointDue | Event::Stop => {}
        }
        None
    }

    /// What is to be done now, once all that has come is taken in. To be asked again after each answer, with
    /// [`Event::Committed`] after a commit, until there is none.
    pub(super) fn decide(&mut self) -> Option<Decision> {
        let barriers = || self.threads.iter().filter_map(|thread| thread.at_barrier);
        // What came behind one barrier may complete the next.
        if let Some(epoch) = barriers().max().filter(|_| self.all(|thread| thread.at_barrier.is_some())) {
            return Some(Decision::Commit(epoch));
        }
        if self.is_stopping && self.asked == self.committed {
            return Some(Decision::End);
        }
        let (emission, is_due) = self.emission;
        if is_due && self.all(|thread| thread.emission >= emission) {
            self.emission.1 = false;
            return Some(Decision::Emit);
        }
        // After the commit: threads may have ended behind their barrier, and then nothing more comes.
        self.all(|_| false).then(|| Decision::Finish(self.committed.next().max(self.asked)))
    }

    fn ask(&mut self, epoch: Epoch, is_last: bool) -> Decision {
        (self.asked, self.is_stopping) = (epoch, is_last);
        Decision::Ask { epoch, is_last }
    }

    fn thread(&mut self, worker: usize) -> Option<&mut Thread> {
        self.threads.get_mut(worker)
    }

    /// Whether it holds for all threads that have not ended.
    fn all(&self, holds: impl Fn(&Thread) -> bool) -> bool {
        self.threads.iter().all(|thread| thread.has_ended || holds(thread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> Event {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        let worker = || words[1].parse().unwrap();
        match words[0] {
            "barrier" => Event::Barrier { worker: worker(), epoch: Epoch::new(number(2)) },
            "ready" => Event::Ready { worker: worker(), emission: number(2) },
            "ended" => Event::Ended { worker: worker() },
            "emission" => Event::EmissionDue,
            "checkpoint" => Event::CheckpointDue,
            "stop" => Event::Stop,
            other => panic!("{other}"),
        }
    }

    fn text(decision: Decision) -> String {
        match decision {
            Decision::Ask { epoch, is_last } => {
                format!("ask for {}{}", epoch.number(), if is_last { ", the last" } else { "" })
            }
            Decision::AskEmission(emission) => format!("ask for emission {emission}"),
            Decision::Commit(epoch) => format!("commit {}", epoch.number()),
            Decision::Emit => "emit".to_owned(),
            Decision::Finish(epoch) => format!("finish as {}", epoch.number()),
            Decision::End => "end".to_owned(),
        }
    }

    /// Plays events, one a line, behind epoch 10, and writes beside each what is decided. A commit is done at once.
    fn play(threads: usize, events: &[&str]) -> String {
        let mut coordinator = Coordinator::new(threads, Epoch::new(10));
        let mut played = String::new();
        for line in events {
            let mut decided: Vec<String> = coordinator.on(event(line)).into_iter().map(text).collect();
            while let Some(decision) = coordinator.decide() {
                decided.push(text(decision));
                match decision {
                    Decision::Commit(epoch) => {
                        assert_eq!(coordinator.on(Event::Committed { epoch }), None);
                    }
                    Decision::Finish(_) | Decision::End => break,
                    _ => {}
                }
            }
            let held = (0..threads).filter(|worker| coordinator.holds(*worker));
            decided.extend(held.map(|worker| format!("(holds {worker})")));
            played.push_str(format!("{line:<12} {}", decided.join("; ")).trim_end());
            played.push('\n');
        }
        played
    }

    #[test]
    fn a_checkpoint_waits_for_every_thread_and_the_next_for_its_commit() {
        let played = play(
            2,
            &["checkpoint", "checkpoint", "barrier 1 11", "checkpoint", "barrier 0 11", "checkpoint"],
        );
        insta::assert_snapshot!(played, @r"
        checkpoint   ask for 11
        checkpoint
        barrier 1 11 (holds 1)
        checkpoint   (holds 1)
        barrier 0 11 commit 11
        checkpoint   ask for 12
        ");
    }

    #[test]
    fn a_stop_has_a_barrier_of_its_own() {
        let played = play(2, &["checkpoint", "barrier 0 11", "stop", "stop", "checkpoint", "barrier 1 12"]);
        insta::assert_snapshot!(played, @r"
        checkpoint   ask for 11
        barrier 0 11 (holds 0)
        stop         ask for 12, the last; (holds 0)
        stop         (holds 0)
        checkpoint   (holds 0)
        barrier 1 12 commit 12; end
        ");
        let played =
            play(2, &["checkpoint", "barrier 0 11", "stop", "barrier 1 11", "barrier 1 12", "barrier 0 12"]);
        insta::assert_snapshot!(played, @r"
        checkpoint   ask for 11
        barrier 0 11 (holds 0)
        stop         ask for 12, the last; (holds 0)
        barrier 1 11 commit 11
        barrier 1 12 (holds 1)
        barrier 0 12 commit 12; end
        ");
    }

    #[test]
    fn emissions_are_written_when_all_have_answered_and_do_not_pile_up() {
        let played =
            play(2, &["emission", "ready 0 1", "emission", "ready 1 1", "emission", "ready 1 2", "ended 0"]);
        insta::assert_snapshot!(played, @r"
        emission     ask for emission 1
        ready 0 1
        emission
        ready 1 1    emit
        emission     ask for emission 2
        ready 1 2
        ended 0      emit
        ");
    }

    #[test]
    fn threads_that_have_ended_are_not_waited_for() {
        let played = play(2, &["ended 1", "checkpoint", "barrier 0 11", "emission", "ready 0 1", "ended 0"]);
        insta::assert_snapshot!(played, @r"
        ended 1
        checkpoint   ask for 11
        barrier 0 11 commit 11
        emission     ask for emission 1
        ready 0 1    emit
        ended 0      finish as 12
        ");
    }

    #[test]
    fn an_end_behind_a_barrier_commits_both() {
        let played = play(2, &["checkpoint", "ended 1", "barrier 0 11", "checkpoint", "ended 0"]);
        insta::assert_snapshot!(played, @r"
        checkpoint   ask for 11
        ended 1
        barrier 0 11 commit 11
        checkpoint   ask for 12
        ended 0      finish as 12
        ");
        let played = play(1, &["stop", "ended 0"]);
        insta::assert_snapshot!(played, @r"
        stop         ask for 11, the last
        ended 0      finish as 11
        ");
    }
}
