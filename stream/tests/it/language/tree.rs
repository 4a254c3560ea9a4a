//! Queries as trees, and their two texts.
//!
//! The streaming text spells windows as the engine's users do. The batch text has no window function: it computes
//! each row's windows by arithmetic (`date_bin`, a join with the offsets of overlapping windows, gaps found by
//! `lag`), which is the meaning that the engine's windows must have. Everything else is the same text in both.

/// A window; all in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Tumble { size: i64 },
    Hop { slide: i64, size: i64 },
    Cumulate { step: i64, size: i64 },
    Session { gap: i64 },
}

/// Who reads the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Streaming,
    Batch,
}

/// In front of a double in an expression: `0.0` and `-0.0` are one value, which DataFusion does not always see.
pub(crate) const ONE_ZERO: &str = "¤";

/// `expr AS name`.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) expr: String,
    pub(crate) name: String,
}

impl Item {
    pub(crate) fn new(expr: impl Into<String>, name: impl Into<String>) -> Self {
        Item { expr: expr.into(), name: name.into() }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Query {
    Select(Box<Select>),
    /// `UNION ALL`.
    Union(Vec<Query>),
    /// `UNION`, `INTERSECT`, `EXCEPT`.
    Set(&'static str, Box<Query>, Box<Query>),
    /// `GROUP BY tumble(…)` and its like.
    Function(Box<Function>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Select {
    pub(crate) distinct: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) from: From,
    pub(crate) filter: Option<String>,
    pub(crate) group_by: Vec<String>,
    pub(crate) having: Option<String>,
}

/// A window as a function in `GROUP BY`; its bounds get these two names.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) input: String,
    pub(crate) time: String,
    pub(crate) window: Window,
    pub(crate) bounds: (String, String),
    pub(crate) keys: Vec<String>,
    pub(crate) aggregates: Vec<Item>,
    pub(crate) filter: Option<String>,
    /// As `GROUP BY TUMBLE(time, …)` with `TUMBLE_START`, rather than `tumble(…)` with a struct.
    pub(crate) older: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum From {
    Named(String),
    Query(Box<Query>),
    /// A table or view beside a condition that reads another one.
    Both {
        read: String,
        also: String,
    },
    /// `TABLE(TUMBLE(…))` and its like over a table or view.
    Windowed(Windowed),
    /// `CROSS JOIN UNNEST(xs)`, or `LEFT JOIN` where rows without elements are kept. The fields `x` and `y` of the
    /// elements get these names.
    Unnest {
        input: String,
        names: (String, String),
        keeps_empty: bool,
    },
    /// `l kind JOIN r ON …`.
    Join {
        kind: &'static str,
        left: Box<From>,
        right: Box<From>,
        on: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Windowed {
    pub(crate) input: String,
    pub(crate) time: String,
    pub(crate) window: Window,
    /// Of all but sessions: windows begin so many seconds after those of no offset.
    pub(crate) offset: i64,
    /// Of sessions.
    pub(crate) partition_by: Vec<String>,
    /// Whether arguments have names.
    pub(crate) named: bool,
}

impl Default for From {
    fn default() -> Self {
        From::Named(String::new())
    }
}

impl Query {
    /// As a reader of this dialect wants it.
    pub(crate) fn text(&self, dialect: Dialect) -> String {
        let zero = if dialect == Dialect::Batch { "0.0 + " } else { "" };
        self.shared(dialect).replace(ONE_ZERO, zero)
    }

    fn shared(&self, dialect: Dialect) -> String {
        match self {
            Query::Select(select) => select.text(dialect),
            Query::Union(queries) => {
                queries.iter().map(|query| query.text(dialect)).collect::<Vec<_>>().join("\n  UNION ALL\n  ")
            }
            Query::Set(word, left, right) => {
                format!("{}\n  {word}\n  {}", left.text(dialect), right.text(dialect))
            }
            Query::Function(function) => function.text(dialect),
        }
    }

    /// Adds the names of the tables and views that it reads.
    pub(crate) fn reads(&self, names: &mut Vec<String>) {
        match self {
            Query::Select(select) => select.from.reads(names),
            Query::Union(queries) => queries.iter().for_each(|query| query.reads(names)),
            Query::Set(_, left, right) => {
                left.reads(names);
                right.reads(names);
            }
            Query::Function(function) => names.push(function.input.clone()),
        }
    }
}

fn list(items: &[Item]) -> String {
    let text = |item: &Item| {
        if item.expr == item.name { item.name.clone() } else { format!("{} AS {}", item.expr, item.name) }
    };
    items.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn clause(word: &str, condition: Option<&String>) -> String {
    condition.map(|condition| format!("\n  {word} {condition}")).unwrap_or_default()
}

impl Select {
    fn text(&self, dialect: Dialect) -> String {
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let group_by = (!self.group_by.is_empty()).then(|| self.group_by.join(", "));
        format!(
            "SELECT {distinct}{}\n  FROM {}{}{}{}",
            list(&self.items),
            self.from.text(dialect),
            clause("WHERE", self.filter.as_ref()),
            clause("GROUP BY", group_by.as_ref()),
            clause("HAVING", self.having.as_ref())
        )
    }
}

impl Function {
    fn text(&self, dialect: Dialect) -> String {
        let (start, end) = &self.bounds;
        let filter = clause("WHERE", self.filter.as_ref());
        let keys: String = self.keys.iter().map(|key| format!(", {key}")).collect();
        let aggregates = list(&self.aggregates);
        match dialect {
            Dialect::Streaming if self.older => {
                let time = &self.time;
                let (name, lengths) = match self.window {
                    Window::Hop { slide, size } => ("HOP", format!("{}, {}", seconds(slide), seconds(size))),
                    Window::Session { gap } => ("SESSION", seconds(gap)),
                    Window::Tumble { size } | Window::Cumulate { size, .. } => ("TUMBLE", seconds(size)),
                };
                format!(
                    "SELECT {name}_START({time}, {lengths}) AS {start}, {name}_END({time}, {lengths}) AS {end}{keys}, \
                     {aggregates}\n  FROM {}{filter}\n  GROUP BY {name}({time}, {lengths}){keys}",
                    self.input
                )
            }
            Dialect::Streaming => {
                let names: String = self.aggregates.iter().map(|item| format!(", {}", item.name)).collect();
                let call = match self.window {
                    Window::Tumble { size } => format!("tumble({})", seconds(size)),
                    Window::Hop { slide, size } => format!("hop({}, {})", seconds(slide), seconds(size)),
                    Window::Cumulate { .. } => "cumulate()".to_owned(),
                    Window::Session { gap } => format!("session({})", seconds(gap)),
                };
                format!(
                    "SELECT w['start'] AS {start}, w['end'] AS {end}{keys}{names}\n  \
                     FROM (SELECT {call} AS w{keys}, {aggregates} FROM {}{filter} GROUP BY w{keys})",
                    self.input
                )
            }
            Dialect::Batch => {
                let input = format!("(SELECT * FROM {}{filter})", self.input);
                let windowed = Windowed {
                    input,
                    time: self.time.clone(),
                    window: self.window,
                    offset: 0,
                    partition_by: self.keys.clone(),
                    named: false,
                };
                let windowed = windowed.by_arithmetic();
                format!(
                    "SELECT window_start AS {start}, window_end AS {end}{keys}, {aggregates}\n  \
                     FROM {windowed}\n  GROUP BY window_start, window_end{keys}"
                )
            }
        }
    }
}

impl From {
    fn text(&self, dialect: Dialect) -> String {
        match self {
            From::Named(name) | From::Both { read: name, .. } => name.clone(),
            From::Query(query) => format!("({})", query.text(dialect)),
            From::Windowed(windowed) => match dialect {
                Dialect::Batch => windowed.by_arithmetic(),
                Dialect::Streaming => windowed.table_function(),
            },
            From::Unnest { input, names: (x, y), keeps_empty } => match (dialect, keeps_empty) {
                (Dialect::Streaming, false) => {
                    format!("{input} CROSS JOIN UNNEST({input}.xs) AS e_ ({x}, {y})")
                }
                (Dialect::Streaming, true) => {
                    format!("{input} LEFT JOIN UNNEST({input}.xs) AS e_ ({x}, {y}) ON TRUE")
                }
                (Dialect::Batch, _) => {
                    // A list without elements stands for one of NULL.
                    let kept = if *keeps_empty { "" } else { "WHERE number_ > 0" };
                    format!(
                        "(SELECT *, e_['x'] AS {x}, e_['y'] AS {y} FROM (\
                         SELECT *, UNNEST(CASE WHEN number_ > 0 THEN xs ELSE [NULL] END) AS e_ FROM (\
                         SELECT *, COALESCE(array_length(xs), 0) AS number_ FROM {input}) {kept}))"
                    )
                }
            },
            From::Join { kind, left, right, on } => {
                format!("{} AS l\n  {kind} JOIN {} AS r\n  ON {on}", left.text(dialect), right.text(dialect))
            }
        }
    }

    fn reads(&self, names: &mut Vec<String>) {
        match self {
            From::Named(name) | From::Windowed(Windowed { input: name, .. }) => {
                names.push(name.clone());
            }
            From::Query(query) => query.reads(names),
            From::Unnest { input, .. } => names.push(input.clone()),
            From::Both { read, also } => names.extend([read.clone(), also.clone()]),
            From::Join { left, right, .. } => {
                left.reads(names);
                right.reads(names);
            }
        }
    }
}

pub(crate) fn seconds(length: i64) -> String {
    format!("INTERVAL '{length}' SECOND")
}

impl Windowed {
    fn table_function(&self) -> String {
        let Windowed { input, time, partition_by, .. } = self;
        let (name, lengths) = match self.window {
            Window::Tumble { size } => ("TUMBLE", vec![("SIZE", size)]),
            Window::Hop { slide, size } => ("HOP", vec![("SLIDE", slide), ("SIZE", size)]),
            Window::Cumulate { step, size } => ("CUMULATE", vec![("STEP", step), ("SIZE", size)]),
            Window::Session { gap } => ("SESSION", vec![("GAP", gap)]),
        };
        let by = if partition_by.is_empty() {
            String::new()
        } else {
            format!(" PARTITION BY {}", partition_by.join(", "))
        };
        let mut arguments =
            vec![("DATA", format!("TABLE {input}{by}")), ("TIMECOL", format!("DESCRIPTOR({time})"))];
        arguments.extend(lengths.into_iter().map(|(name, length)| (name, seconds(length))));
        arguments.extend((self.offset != 0).then(|| ("OFFSET", seconds(self.offset))));
        let argument = |(name, value): (&str, String)| {
            if self.named { format!("{name} => {value}") } else { value }
        };
        let arguments: Vec<String> = arguments.into_iter().map(argument).collect();
        format!("TABLE({name}({}))", arguments.join(", "))
    }

    /// The rows of `input`, one for each of its windows, with the three window columns behind its own.
    fn by_arithmetic(&self) -> String {
        let Windowed { input, time, partition_by, .. } = self;
        let bounds = |start: &str, end: &str| {
            format!(
                "{start} AS window_start, {end} AS window_end, {end} - INTERVAL '0.001' SECOND AS window_time"
            )
        };
        // DataFusion bins in nanoseconds; the engine's times are in microseconds.
        let bin = |length: i64| {
            let micros = r#"'Timestamp(Microsecond, Some("UTC"))'"#;
            if self.offset == 0 {
                return format!("arrow_cast(date_bin({}, {time}), {micros})", seconds(length));
            }
            let offset = seconds(self.offset);
            format!("(arrow_cast(date_bin({}, {time} - {offset}), {micros}) + {offset})", seconds(length))
        };
        let offsets = |step: i64, size: i64| {
            let steps: Vec<String> =
                (0..size / step).map(|number| format!("({})", seconds(number * step))).collect();
            format!("(VALUES {}) AS o(offset_)", steps.join(", "))
        };
        match self.window {
            Window::Tumble { size } => {
                let start = bin(size);
                let bounds = bounds(&start, &format!("{start} + {}", seconds(size)));
                format!("(SELECT *, {bounds} FROM {input})")
            }
            Window::Hop { slide, size } => {
                let start = format!("{} - o.offset_", bin(slide));
                let bounds = bounds(&start, &format!("{start} + {}", seconds(size)));
                format!("(SELECT i.*, {bounds} FROM {input} AS i CROSS JOIN {})", offsets(slide, size))
            }
            Window::Cumulate { step, size } => {
                let (start, end) = (bin(size), format!("{} + o.offset_ + {}", bin(size), seconds(step)));
                format!(
                    "(SELECT i.*, {} FROM {input} AS i CROSS JOIN {} WHERE {end} > {time})",
                    bounds(&start, &end),
                    offsets(step, size)
                )
            }
            Window::Session { gap } => {
                let by = |more: &str| {
                    let mut keys = partition_by.to_vec();
                    keys.extend((!more.is_empty()).then(|| more.to_owned()));
                    if keys.is_empty() { String::new() } else { format!("PARTITION BY {}", keys.join(", ")) }
                };
                let whole = by("session_");
                let start = format!("MIN({time}) OVER ({whole})");
                let end = format!("MAX({time}) OVER ({whole}) + {}", seconds(gap));
                format!(
                    "(SELECT *, {}\n    FROM (SELECT *, SUM(CASE WHEN {time} <= last_ + {} THEN 0 ELSE 1 END) OVER ({} ORDER BY {time}) AS session_\n      \
                 FROM (SELECT *, lag({time}) OVER ({} ORDER BY {time}) AS last_ FROM {input})))",
                    bounds(&start, &end),
                    seconds(gap),
                    by(""),
                    by("")
                )
            }
        }
    }
}
