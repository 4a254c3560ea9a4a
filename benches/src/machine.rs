//! What a process has used, and what it runs on. From Linux' `/proc`; elsewhere unknown.

use std::{fs::File, path::Path};

use serde::{Deserialize, Serialize};

/// `/proc` counts processor time in these, on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds that all threads of this process, ended ones too, have spent on processors so far.
pub fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name and may hold spaces; utime and stime are the 14th and 15th.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// The most memory that this process has held at once, in bytes, file cache not counted.
pub fn peak_bytes() -> Option<u64> {
    kilobytes("VmHWM:")
}

/// The memory that this process holds now, in bytes, file cache not counted.
pub fn resident_bytes() -> Option<u64> {
    kilobytes("VmRSS:")
}

fn kilobytes(name: &str) -> Option<u64> {
    let kilobytes: u64 = status(name)?.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Reads a file, or the files of a folder, so that they are in the page cache: a system with memory to spare may still
/// have dropped some of their pages, and then a measurement would be one of the disk.
pub fn cache(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return std::fs::read_dir(path)?.try_for_each(|entry| cache(&entry?.path()));
    }
    std::io::copy(&mut File::open(path)?, &mut std::io::sink()).map(|_| ())
}

/// The processors that this process may run on, by number.
pub fn processors() -> Vec<usize> {
    let listed = || {
        let mut all = Vec::new();
        for range in status("Cpus_allowed_list:")?.trim().split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            all.extend(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?);
        }
        Some(all)
    };
    listed().unwrap_or_default()
}

fn status(name: &str) -> Option<String> {
    value("/proc/self/status", name)
}

fn value(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

/// The machine, for the record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's model.
    pub processor: String,
    /// Processors that may be used.
    pub processors: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Operating system.
    pub system: String,
    /// Runnable threads over the last minute when the run began: what else the machine was doing.
    pub load: Option<f64>,
}

impl Machine {
    /// This machine, now.
    pub fn look() -> Self {
        let model = value("/proc/cpuinfo", "model name").unwrap_or_default();
        let memory = value("/proc/meminfo", "MemTotal:").unwrap_or_default();
        let memory: u64 = memory.split_whitespace().next().and_then(|kb| kb.parse().ok()).unwrap_or_default();
        let system =
            value("/etc/os-release", "PRETTY_NAME=").unwrap_or_else(|| std::env::consts::OS.to_owned());
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        Machine {
            processor: model.trim_start_matches(':').trim().to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: memory / 1024,
            system: system.trim_matches('"').to_owned(),
            load: load.and_then(|load| load.split_whitespace().next()?.parse().ok()),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_its_own_use() {
        let before = cpu_seconds().unwrap();
        let mut sum = 0_u64;
        while cpu_seconds().unwrap() < before + 0.03 {
            sum = std::hint::black_box((0..1_000_000).fold(sum, u64::wrapping_add));
        }
        assert!(resident_bytes().unwrap() > 100_000);
        assert!(peak_bytes().unwrap() >= 100_000);
        assert!(!processors().is_empty());
    }
}
