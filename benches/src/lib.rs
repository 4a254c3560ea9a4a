//! What the benchmarks share. The programs are `src/bin/throughput.rs` and `src/bin/emission.rs` (`make bench`),
//! `src/bin/latency.rs` (`make bench-latency`) and the criterion benches under `benches/`.
//!
//! | module | what |
//! |---|---|
//! | [`workload`] | the standard workload: in a file, as batches in memory, or made as it is read |
//! | [`limit`] | the same queries by a hand-written program: the practical limit |
//! | [`case`] | one measurement: what is run over which input |
//! | [`measure`] | what a measurement is taken with, and what comes of it |
//! | [`run`] | measurements in processes of their own, in turn |
//! | [`table`] | medians, spread, shares; the printed table |
//! | [`kafka`] | a topic filled with the workload, and the bare consume loop |
//! | [`emission`] | what provisional rows cost, by open sessions |
//! | [`latency`] | from an event to its trace in Redis |
//! | [`borrowed`] | records by `serde_json` |
//! | [`nexmark`] | an auction house's events and queries |
//! | [`shop`] | the shop's own metrics over its own events |
//! | [`machine`] | time on the processor, memory, and what the machine is |

pub mod borrowed;
pub mod case;
pub mod emission;
pub mod kafka;
pub mod latency;
pub mod limit;
pub mod machine;
pub mod measure;
pub mod nexmark;
pub mod run;
pub mod shop;
pub mod table;
pub mod workload;
