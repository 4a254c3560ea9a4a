//! Tests of the crate's public face: one binary.

// The lint's exception for tests does not reach their helper functions.
#![allow(clippy::unwrap_used)]

mod arrival;
mod clocked;
mod golden;
mod payloads;
mod shoppers;
mod validation;

use events::{Generated, Generator, GeneratorConfig, Summary};

/// Records of a generator and its summary.
fn generate(config: GeneratorConfig) -> (Vec<Generated>, Summary) {
    let mut generator = Generator::new(config).unwrap();
    let records: Vec<_> = generator.by_ref().collect();
    (records, generator.summary())
}

/// The default settings with a limit.
fn some(events: u64) -> GeneratorConfig {
    GeneratorConfig { events: Some(events), ..GeneratorConfig::default() }
}
