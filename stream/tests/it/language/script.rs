//! A whole script: tables, views, sinks and how it is run; its two texts.

use std::fmt::Write;

use super::{
    data::{self, Table},
    lists,
    tree::{Dialect, Query},
};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Double,
    Decimal,
    Text,
    Bool,
    Time,
}

impl Kind {
    /// The type of a sink's column.
    fn declared(self) -> &'static str {
        match self {
            Kind::Int => "BIGINT",
            Kind::Double => "DOUBLE",
            Kind::Decimal => "DECIMAL(38, 8)",
            Kind::Text => "STRING",
            Kind::Bool => "BOOLEAN",
            Kind::Time => "TIMESTAMP(3)",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Sink {
    pub(crate) name: String,
    pub(crate) columns: Vec<(String, Kind)>,
    pub(crate) query: Query,
    /// Whether provisional rows are asked for as well.
    pub(crate) updates: bool,
}

/// How a script is run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) parallelism: usize,
    /// Records handed over at a time; `None` for files, which are read whole.
    pub(crate) step: Option<usize>,
    /// How many records of each partition are read before the job is stopped, and started again on its state.
    pub(crate) stops: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) tables: Vec<Table>,
    pub(crate) views: Vec<(String, Query)>,
    pub(crate) sinks: Vec<Sink>,
    /// Whether views are written as `WITH` in front of each query.
    pub(crate) inline: bool,
    pub(crate) run: Run,
}

impl Script {
    /// The streaming script; `connector` gives the options of a table.
    pub(crate) fn streaming(&self, connector: impl Fn(&Table) -> String) -> String {
        let mut text = format!("SET 'parallelism' = '{}';\n", self.run.parallelism);
        if self.run.step.is_some() {
            text += "SET 'checkpoint.interval' = '5 ms';\nSET 'emit.interval' = '2 ms';\n";
        }
        for table in &self.tables {
            let (name, delay) = (&table.name, table.delay_s);
            let columns = format!("{}, {}", data::COLUMNS, lists::DECLARED);
            let late = match table.lateness_s {
                0 => String::new(),
                lateness => format!(", 'allowed-lateness' = '{lateness} s'"),
            };
            writeln!(
                text,
                "CREATE TABLE {name} ({columns}, WATERMARK FOR ts AS ts - INTERVAL '{delay}' SECOND)\n  \
                 WITH ({}, 'idle-timeout' = '0 s'{late});",
                connector(table)
            )
            .unwrap();
        }
        if !self.inline {
            for (name, query) in &self.views {
                writeln!(text, "CREATE VIEW {name} AS\n  {};", query.text(Dialect::Streaming)).unwrap();
            }
        }
        for sink in &self.sinks {
            let columns: Vec<String> =
                sink.columns.iter().map(|(name, kind)| format!("{name} {}", kind.declared())).collect();
            let (name, columns) = (&sink.name, columns.join(", "));
            let emit = if sink.updates { "updates" } else { "final" };
            writeln!(
                text,
                "CREATE TABLE {name} ({columns}) WITH ('connector' = 'collect', 'emit' = '{emit}');"
            )
            .unwrap();
        }
        for sink in &self.sinks {
            let query = self.query(sink, Dialect::Streaming, self.inline);
            writeln!(text, "INSERT INTO {}\n  {query};", sink.name).unwrap();
        }
        text
    }

    /// A sink's query for DataFusion.
    pub(crate) fn batch(&self, sink: &Sink) -> String {
        self.query(sink, Dialect::Batch, true)
    }

    fn query(&self, sink: &Sink, dialect: Dialect, inline: bool) -> String {
        let query = sink.query.text(dialect);
        let views: Vec<String> = self
            .views_of(&sink.query)
            .into_iter()
            .map(|(name, view)| format!("{name} AS (\n  {})", view.text(dialect)))
            .collect();
        if views.is_empty() || !inline { query } else { format!("WITH {}\n  {query}", views.join(", ")) }
    }

    /// The views that a query needs, in the script's order.
    fn views_of(&self, query: &Query) -> Vec<&(String, Query)> {
        let mut names = Vec::new();
        query.reads(&mut names);
        let mut needed = Vec::new();
        for view in self.views.iter().rev() {
            if names.contains(&view.0) {
                view.1.reads(&mut names);
                needed.push(view);
            }
        }
        needed.reverse();
        needed
    }

    /// The same with one sink and what it needs.
    pub(crate) fn only(&self, sink: &Sink) -> Script {
        let views: Vec<(String, Query)> = self.views_of(&sink.query).into_iter().cloned().collect();
        let mut names = Vec::new();
        sink.query.reads(&mut names);
        views.iter().for_each(|(_, query)| query.reads(&mut names));
        let tables = self.tables.iter().filter(|table| names.contains(&table.name)).cloned().collect();
        Script { tables, views, sinks: vec![sink.clone()], ..self.clone() }
    }
}
