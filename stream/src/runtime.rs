//! What makes a graph run: threads, channels, clocks and checkpoints.
//!
//! ```text
//! compute thread 0 ─ read ─ decode ─ classify ─ local chains ─┐ partial aggregates, progress, barriers
//! compute thread 1 ─ …                                        ├─▶ merge task ─▶ sink tasks
//!                                                             ┘        ▲             │ tokens, acks
//!                                                              coordinator ◀─────────┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`job`] | starts a job and stops it |
//! | `driver` | the merge task: closes windows, carries epochs from barrier to commit |
//! | [`worker`] | a compute thread: the source partitions that belong to it |
//! | [`messages`] | what compute threads and merge task tell each other |
//! | [`intake`] | a raw batch made into rows |
//! | [`partition`] | one partition's progress: who is on time, who is late, who was there before |
//! | [`deduplicate`] | keys already seen |
//! | [`graph`] | the merge stage: operators, watermarks, what goes to which sink |
//! | [`sink_task`] | drives one sink |
//! | [`promises`] | what the job has promised, where idle partitions wake up |
//! | [`dead_letters`] | what is set aside, with its bytes |
//! | [`checkpoint`] | state to files and back |
//! | [`known`], [`compatible`] | what of a job has state; whether it can go on from a checkpoint |
//! | [`clock`] | the one place where time of day comes in |
//!
//! # Epochs
//!
//! At every checkpoint interval the coordinator asks all compute threads for a barrier. Each flushes what it
//! holds and sends the barrier behind it, with its positions; the merge task waits until it has the barrier of
//! every thread and sets aside what comes after it meanwhile. At that cut the operators' state is taken, the
//! sinks pre-commit, the checkpoint is written (where a state folder is given), the sinks commit, and the
//! sources are told their positions. A restart reads the newest checkpoint, commits its tokens again (sinks
//! ignore a repetition), and goes on behind it.

pub mod checkpoint;
pub mod clock;
pub mod compatible;
pub mod dead_letters;
pub mod deduplicate;
mod driver;
pub mod graph;
pub mod intake;
pub mod job;
pub mod known;
pub mod messages;
pub mod partition;
pub mod promises;
pub mod sink_task;
pub mod worker;
