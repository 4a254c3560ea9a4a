//! What the benchmarks share. The programs are `src/bin/throughput.rs` (end to end, `make bench`) and the
//! criterion benches under `benches/`.
//!
//! | module | what |
//! |---|---|
//! | [`traffic`] | generated events: files of JSON lines by partition, batches in memory |
//! | [`kafka`] | a topic filled with the same events, and the bare consume loop |
//! | [`case`] | one measurement: what is run over which input |
//! | [`machine`] | time on the processor, memory, and what the machine is |
//! | [`table`] | medians, spread, shares; the printed table |
//!
//! Left out: peers (Flink and others), latency, Nexmark.

pub mod case;
pub mod kafka;
pub mod machine;
pub mod table;
pub mod traffic;
