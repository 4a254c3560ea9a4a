//! What makes a graph run: threads, channels, clocks and checkpoints.
//!
//! ```text
//! compute thread 0 ─ read ─ decode ─ classify ─ local chains ─┐ partial aggregates, progress, barriers
//! compute thread 1 ─ …                                        ├─▶ merge thread ─▶ sink tasks
//!                                                             ┘   (coordinator) ◀──┘ tokens, acks
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`job`] | starts a job and stops it; `open`, `inputs`: what is done before; `status`: what can be asked of it |
//! | `coordinator` | what is done when: barriers, commits, emissions, the end; pure |
//! | `driver`, `commit` | the merge thread: closes windows, and does what was decided |
//! | `worker` | a compute thread: the source partitions that belong to it |
//! | `messages` | what compute threads and merge thread tell each other |
//! | `intake` | a raw batch made into rows |
//! | `partition` | one partition's progress: who is on time, who is late, who was there before |
//! | `deduplicate` | keys already seen |
//! | [`graph`] | the merge stage: operators, watermarks, what goes to which sink |
//! | `sink_task` | drives one sink |
//! | `promises` | what the job has promised, where idle partitions wake up |
//! | [`dead_letters`] | what is set aside, with its bytes |
//! | `checkpoint` | state to files and back |
//! | `known`, `compatible` | what of a job has state; whether it can go on from a checkpoint |
//! | [`clock`] | the one place where time of day comes in |
//!
//! # Epochs
//!
//! At every checkpoint interval the coordinator asks all compute threads for a barrier. Each flushes what it
//! holds and sends the barrier behind it, with its positions; the merge thread waits until it has the barrier of
//! every thread and sets aside what comes after it meanwhile. At that cut the operators' state is taken, the
//! sinks pre-commit, the checkpoint is written (where a state folder is given), the sinks commit, and the
//! sources are told their positions. A restart reads the newest checkpoint, commits its tokens again (sinks
//! ignore a repetition), and goes on behind it.

mod checkpoint;
pub mod clock;
mod commit;
mod compatible;
mod coordinator;
pub mod dead_letters;
mod deduplicate;
mod driver;
pub mod graph;
mod inputs;
mod intake;
pub mod job;
mod known;
mod messages;
mod metadata;
mod open;
mod partition;
mod promises;
mod sink_task;
mod status;
mod worker;
