//! `print`, `blackhole`, and what all connectors have in common.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use plamatio_sinks::{Extras, SharedWriter, registry};
use stream::sink::EmitMode;

use crate::support::{self, Picture, window_rows, window_table};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn print_marks_provisional_and_final_rows() {
    let buffer = Buffer::default();
    let extras = Extras { output: SharedWriter::new(buffer.clone()), ..Extras::default() };
    let table = window_table("t", &[("connector", "print"), ("prefix", "top>")]);
    let mut sink = support::open_with(&table, extras).await.unwrap();
    let mut picture = Picture::default();
    sink.write(picture.rows(&[(60_000, "a", 1)], 1, 1, false)).await.unwrap();
    sink.write(picture.rows(&[(60_000, "a", 1), (60_000, "b", 2)], 1, 2, false)).await.unwrap();
    sink.write(picture.rows(&[(60_000, "a", 1), (60_000, "b", 3)], 1, 3, true)).await.unwrap();
    sink.close().await.unwrap();
    let row = |name: &str, n: i64| {
        let times = r#""window_start":"1970-01-01T00:00:00.000Z","window_end":"1970-01-01T00:01:00.000Z""#;
        format!(r#"{{{times},"name":"{name}","n":{n}}}"#)
    };
    let lines = [("~", "a", 1), ("~", "b", 2), ("-", "b", 2), ("=", "a", 1), ("=", "b", 3)];
    let expected: String =
        lines.iter().map(|(marker, name, n)| format!("top> {marker} {}\n", row(name, *n))).collect();
    assert_eq!(String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap(), expected);
}

#[tokio::test]
async fn blackhole_takes_everything() {
    let table = window_table("t", &[("connector", "blackhole"), ("emit", "updates")]);
    let mut sink = support::open(&table).await.unwrap();
    sink.write(support::rows(window_rows(&[(60_000, "a", 1)]), 1, 1, false)).await.unwrap();
    support::commit(sink.as_mut(), 1, window_rows(&[(60_000, "a", 2)])).await;
}

#[test]
fn the_registry_has_every_connector() {
    let registry = registry(Extras::default());
    let names: Vec<_> = registry.names().collect();
    assert_eq!(names, ["blackhole", "delta", "filesystem", "kafka", "print", "redis"]);
    let emits = names.iter().map(|name| registry.get(name).unwrap().default_emit());
    use EmitMode::{Final, Updates};
    assert_eq!(emits.collect::<Vec<_>>(), [Final, Final, Final, Final, Updates, Updates]);
}

#[test]
fn a_misspelt_option_is_named() {
    let registry = registry(Extras::default());
    for connector in registry.names() {
        let table = window_table(
            "t",
            &[
                ("connector", connector),
                ("emit", "final"),
                ("url", "memory://"),
                ("path", "x"),
                ("topic", "x"),
                ("properties.bootstrap.servers", "x:1"),
                ("zzz", "1"),
            ],
        );
        // Options of the other connectors are unknown too; the first of them in order is reported.
        let error = registry.get(connector).unwrap().validate(&table).unwrap_err().to_string();
        assert!(error.contains("unknown option"), "{connector}: {error}");
        assert!(error.contains("connector") && error.contains("emit"), "{connector}: {error}");
    }
}
