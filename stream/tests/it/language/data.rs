//! The source tables: their columns, random rows in an order in which none is too late, and both forms of them: JSON
//! lines for the engine, Arrow columns for DataFusion.
//!
//! All numbers are few and short, so that doubles add up exactly in any order, and values meet often.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};

use super::{lists, random::Random};
use crate::text::DAY_US;

/// Noon of the day of all events.
pub(crate) const NOON_US: i64 = DAY_US + 12 * 3_600_000_000;
pub(crate) const SECOND_US: i64 = 1_000_000;

/// The columns of every source table, as declared.
/// But for [the arrays](lists).
pub(crate) const COLUMNS: &str = "ts TIMESTAMP(3), sent TIMESTAMP(3), k STRING, n BIGINT, d DOUBLE, m DECIMAL(10, 2), b BOOLEAN, id BIGINT";

#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Event time, in microseconds; never NULL.
    pub(crate) ts: i64,
    pub(crate) sent: Option<i64>,
    pub(crate) k: Option<&'static str>,
    pub(crate) n: Option<i64>,
    pub(crate) d: Option<f64>,
    /// In hundredths.
    pub(crate) m: Option<i128>,
    pub(crate) b: Option<bool>,
    /// Unique over all tables.
    pub(crate) id: i64,
    /// The file that it is in.
    pub(crate) file: usize,
}

/// A source table.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) delay_s: i64,
    /// How long windows take late rows; none is later.
    pub(crate) lateness_s: i64,
    pub(crate) files: usize,
    /// In the order in which they come.
    pub(crate) rows: Vec<Row>,
}

impl Table {
    pub(crate) fn random(random: &mut Random, number: usize) -> Self {
        let delay_s = *random.pick(&[0, 5, 10, 20]);
        let lateness_s = if random.chance(25) { *random.pick(&[10, 40]) } else { 0 };
        let files = 1 + random.below(4);
        // Times on whole seconds meet windows' bounds; quarters of them lie within.
        let step = *random.pick(&[SECOND_US / 4, SECOND_US, 5 * SECOND_US]);
        let span = *random.pick(&[40, 120, 300]) * SECOND_US / step;
        let count = *random.pick(&[0, 3, 12, 30, 60]);
        let mut arriving: Vec<(i64, Row)> = (0..count)
            .map(|index| {
                let id = 1_000 * i64::try_from(number).unwrap() + index;
                let row = Row { file: random.below(files), ..row(random, step, span, id) };
                (row.ts + random.between(0, delay_s + lateness_s) * SECOND_US, row)
            })
            .collect();
        arriving.sort_by_key(|(at, _)| *at);
        let rows = arriving.into_iter().map(|(_, row)| row).collect();
        Table { name: format!("t{number}"), delay_s, lateness_s, files, rows }
    }

    /// The lines of each file.
    pub(crate) fn lines(&self) -> Vec<Vec<Vec<u8>>> {
        let mut files = vec![Vec::new(); self.files];
        for row in &self.rows {
            files[row.file % self.files].push(json(row).into_bytes());
        }
        files
    }

    /// All rows, as DataFusion sees them.
    pub(crate) fn batch(&self) -> RecordBatch {
        let rows = &self.rows;
        let times = |time: fn(&Row) -> Option<i64>| -> ArrayRef {
            let times: TimestampMicrosecondArray = rows.iter().map(time).collect();
            Arc::new(times.with_timezone("UTC"))
        };
        let money: Decimal128Array = rows.iter().map(|row| row.m).collect();
        let columns: Vec<ArrayRef> = vec![
            times(|row| Some(row.ts)),
            times(|row| row.sent),
            Arc::new(rows.iter().map(|row| row.k).collect::<StringArray>()),
            Arc::new(rows.iter().map(|row| row.n).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|row| row.d).collect::<Float64Array>()),
            Arc::new(money.with_precision_and_scale(10, 2).unwrap()),
            Arc::new(rows.iter().map(|row| row.b).collect::<BooleanArray>()),
            Arc::new(rows.iter().map(|row| Some(row.id)).collect::<Int64Array>()),
            lists::column(rows.iter().map(|row| row.id)),
        ];
        RecordBatch::try_new(schema(), columns).unwrap()
    }
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let columns = [
        ("ts", time.clone()),
        ("sent", time),
        ("k", DataType::Utf8),
        ("n", DataType::Int64),
        ("d", DataType::Float64),
        ("m", DataType::Decimal128(10, 2)),
        ("b", DataType::Boolean),
        ("id", DataType::Int64),
        ("xs", lists::data_type()),
    ];
    Arc::new(Schema::new(columns.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
}

fn row(random: &mut Random, step: i64, span: i64, id: i64) -> Row {
    let ts = NOON_US + random.between(0, span) * step;
    let sent = ts + random.between(-20, 20) * SECOND_US;
    Row {
        ts,
        sent: (!random.chance(20)).then_some(sent),
        k: *random.pick(&[Some("a"), Some("b"), Some("c"), Some("ab"), None]),
        n: (!random.chance(15)).then(|| random.between(-3, 6)),
        // No -0.0: batch DataFusion sorts it below 0.0, so that it is no judge of ORDER BY over both. They have tests of
        // their own (`found.rs`, `tables.rs`).
        d: *random.pick(&[Some(0.0), Some(0.5), Some(0.25), Some(-1.5), Some(3.0), None]),
        m: (!random.chance(20)).then(|| i128::from(random.between(-4, 8)) * 125),
        b: *random.pick(&[Some(true), Some(true), Some(false), None]),
        id,
        file: 0,
    }
}

fn json(row: &Row) -> String {
    let time = |micros: i64| {
        let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
        format!("\"{}\"", time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    };
    let money = |cents: i128| {
        let sign = if cents < 0 { "-" } else { "" };
        format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
    };
    let fields = [
        ("ts", Some(time(row.ts))),
        ("sent", row.sent.map(time)),
        ("k", row.k.map(|k| format!("\"{k}\""))),
        ("n", row.n.map(|n| n.to_string())),
        ("d", row.d.map(|d| format!("{d:?}"))),
        ("m", row.m.map(money)),
        ("b", row.b.map(|b| b.to_string())),
        ("id", Some(row.id.to_string())),
        ("xs", lists::json(row.id)),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}
