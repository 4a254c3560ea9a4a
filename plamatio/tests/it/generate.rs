//! The generator by the binary, and what `--help` shows.

use crate::support::process::{plamatio, run};

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let make = |seed: &str, out: &str| {
        run(plamatio(folder.path(), &["generate", "--events", "50000", "--seed", seed, "--out", out])).ok()
    };
    let summary = make("5", "a.jsonl");
    assert!(summary.stderr.contains("50000 records"), "{}", summary.stderr);
    make("5", "b.jsonl");
    make("6", "c.jsonl");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let first = read("a.jsonl");
    assert_eq!(first.iter().filter(|byte| **byte == b'\n').count(), 50_000);
    assert!(first == read("b.jsonl"), "the same seed gave other bytes");
    assert!(first != read("c.jsonl"), "another seed gave the same bytes");
    // Standard output has the bytes of the file.
    assert!(make("5", "-").stdout == first, "standard output differs from the file");
}

#[test]
fn faults_can_be_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = plamatio(folder.path(), &["generate", "--events", "20000", "--out", "a.jsonl"]);
    command.args([
        "--late",
        "0",
        "--duplicates",
        "0",
        "--malformed",
        "0",
        "--bots",
        "0",
        "--summary",
        "json",
    ]);
    let made = run(command).ok().json();
    for kind in ["late", "duplicates", "malformed", "bots"] {
        assert_eq!(made[kind], 0, "{kind} in {made}");
    }
    assert_eq!(made["on_time"], 20_000);
}

#[test]
fn every_help_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["demo", "run", "sql", "generate", "serve", "migrate"] {
        let help = run(plamatio(folder.path(), &[command, "--help"])).ok().text();
        let example =
            help.split("Example:").nth(1).unwrap_or_else(|| panic!("{command}: no example in\n{help}"));
        assert!(example.contains(&format!("plamatio {command}")), "{command}:\n{help}");
    }
}

#[test]
fn an_unknown_flag_fails_and_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(plamatio(folder.path(), &["generate", "--events", "1", "--out", "-", "--sed", "1"]));
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.stderr.contains("--sed") && ended.stderr.contains("--seed"), "{}", ended.stderr);
}
