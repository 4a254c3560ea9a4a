//! What the generator knows of a relation's columns, and the expressions that it makes of them.

use super::{
    data::NOON_US,
    random::Random,
    script::Kind,
    tree::{Item, ONE_ZERO, seconds},
};

/// What a time column is to windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Event,
    Start,
    End,
    /// The last millisecond.
    Last,
    /// Different ones in the parts of a union.
    Mixed,
}

/// How far a value may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exact {
    /// Differs in its last digits with the order of additions.
    Not,
    /// The same however it was computed, but its sums are not.
    Value,
    Sums,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) role: Option<Role>,
    pub(crate) exact: Exact,
}

impl Column {
    pub(crate) fn new(name: impl Into<String>, kind: Kind) -> Self {
        Column { name: name.into(), kind, role: None, exact: Exact::Sums }
    }

    pub(crate) fn with(self, role: Role) -> Self {
        Column { role: Some(role), ..self }
    }

    pub(crate) fn named(&self, name: impl Into<String>) -> Self {
        Column { name: name.into(), ..self.clone() }
    }
}

/// A table, a view or a query's result.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    /// The names of the start and the end of the window that its rows are in.
    pub(crate) bounds: Option<(String, String)>,
    /// Windows over windows.
    pub(crate) depth: usize,
}

impl Relation {
    pub(crate) fn source(name: &str) -> Self {
        let columns = vec![
            Column::new("ts", Kind::Time).with(Role::Event),
            Column::new("sent", Kind::Time),
            Column::new("k", Kind::Text),
            Column::new("n", Kind::Int),
            Column::new("d", Kind::Double),
            Column::new("m", Kind::Decimal),
            Column::new("b", Kind::Bool),
            Column::new("id", Kind::Int),
        ];
        Relation { name: name.to_owned(), columns, bounds: None, depth: 0 }
    }

    /// Columns that a window can go over.
    pub(crate) fn times(&self) -> Vec<Column> {
        self.columns.iter().filter(|column| column.role.is_some()).cloned().collect()
    }

    pub(crate) fn of(&self, kinds: &[Kind]) -> Vec<Column> {
        self.columns
            .iter()
            .filter(|column| kinds.contains(&column.kind) && column.exact >= Exact::Value)
            .cloned()
            .collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }
}

/// A time of the day of the events, as a literal.
pub(crate) fn instant(random: &mut Random) -> String {
    let time = NOON_US + random.between(-2, 30) * 10_000_000;
    let time = chrono::DateTime::from_timestamp_micros(time).unwrap();
    format!("TIMESTAMP '{}'", time.format("%Y-%m-%d %H:%M:%S"))
}

/// A condition on some of the columns.
pub(crate) fn predicate(random: &mut Random, columns: &[Column]) -> Option<String> {
    let exact: Vec<Column> = columns.iter().filter(|column| column.exact >= Exact::Value).cloned().collect();
    let first = simple(random, &exact)?;
    Some(match random.below(12) {
        0 => format!("{first} AND {}", simple(random, &exact)?),
        1 => format!("({first} OR {})", simple(random, &exact)?),
        2 => format!("NOT ({first})"),
        _ => first,
    })
}

fn simple(random: &mut Random, columns: &[Column]) -> Option<String> {
    let column = random.pick_any(columns)?;
    let name = &column.name;
    if random.chance(8) {
        return Some(format!("{name} IS {}NULL", random.pick(&["", "NOT "])));
    }
    let compare = *random.pick(&["=", "<>", "<", "<=", ">", ">="]);
    Some(match column.kind {
        Kind::Int => match random.below(5) {
            0 => format!("{name} % 3 = 0"),
            1 => format!("{name} BETWEEN 0 AND 3"),
            2 => format!("{name} IN (1, 2, 5)"),
            _ => format!("{name} {compare} {}", random.between(-1, 5)),
        },
        Kind::Double => format!("{name} {compare} {}", random.pick(&["0.25", "0.0", "-0.5", "1.0"])),
        Kind::Decimal => format!("{name} {compare} {}", random.pick(&["1.25", "0", "3.5"])),
        Kind::Text => {
            let condition =
                *random.pick(&["= 'a'", "<> 'b'", "IN ('a', 'c')", "LIKE 'a%'", "> 'a'", "NOT IN ('b')"]);
            format!("{name} {condition}")
        }
        Kind::Bool => match random.below(3) {
            0 => name.clone(),
            1 => format!("NOT {name}"),
            _ => format!("{name} IS NOT TRUE"),
        },
        Kind::Time => {
            let others: Vec<&Column> =
                columns.iter().filter(|other| other.kind == Kind::Time && other.name != *name).collect();
            match random.pick_any(&others) {
                Some(other) if random.chance(50) => format!("{name} {compare} {}", other.name),
                _ => format!("{name} {compare} {}", instant(random)),
            }
        }
    })
}

/// An expression of one column, with its kind.
pub(crate) fn expression(random: &mut Random, column: &Column) -> (String, Kind) {
    let name = &column.name;
    match column.kind {
        Kind::Int => match random.below(4) {
            0 => (format!("{name} + 1"), Kind::Int),
            1 => (format!("abs({name}) % 3"), Kind::Int),
            2 => (
                format!("CASE WHEN {name} > 2 THEN 'big' WHEN {name} <= 0 THEN 'low' ELSE 'mid' END"),
                Kind::Text,
            ),
            _ => (format!("coalesce({name}, 0)"), Kind::Int),
        },
        Kind::Double => (format!("{name} * 2"), Kind::Double),
        Kind::Decimal => (format!("{name} + 1.5"), Kind::Decimal),
        Kind::Text => match random.below(3) {
            0 => (format!("upper({name})"), Kind::Text),
            1 => (format!("coalesce({name}, 'none')"), Kind::Text),
            _ => (format!("{name} = 'a'"), Kind::Bool),
        },
        Kind::Bool => (format!("CASE WHEN {name} THEN 1 ELSE 0 END"), Kind::Int),
        Kind::Time => match random.below(3) {
            0 => (format!("date_trunc('minute', {name})"), Kind::Time),
            1 => (format!("{name} + {}", seconds(7)), Kind::Time),
            _ => (format!("CAST(date_part('second', {name}) AS BIGINT)"), Kind::Int),
        },
    }
}

/// A random aggregate over a relation's columns; `rows` has those that a row is told from others by.
pub(crate) fn aggregate(random: &mut Random, relation: &Relation, name: &str) -> (Item, Column) {
    use Kind::{Bool, Decimal, Double, Int, Text, Time};
    let all = [Int, Double, Decimal, Text, Bool, Time];
    let sums: Vec<Column> =
        relation.of(&[Int, Double, Decimal]).into_iter().filter(|c| c.exact == Exact::Sums).collect();
    let filter = |random: &mut Random| match predicate(random, &relation.columns) {
        Some(condition) if random.chance(25) => format!(" FILTER (WHERE {condition})"),
        _ => String::new(),
    };
    let made = |expr: String, kind: Kind, exact: Exact| {
        (Item::new(expr, name), Column { exact, ..Column::new(name, kind) })
    };
    for _ in 0..4 {
        let choice = random.below(15);
        let number = random.pick_any(&sums);
        let ordered = random.pick_any(&relation.of(&[Int, Double, Decimal, Text, Time]));
        let any = random.pick_any(&relation.of(&all));
        let text = random.pick_any(&relation.of(&[Text]));
        let flag = random.pick_any(&relation.of(&[Bool]));
        // Of a number, or of what is computed of one.
        let number = number.map(|column| match (column.kind, random.below(8)) {
            (Kind::Int, 0) => column.named(format!("{} * 2", column.name)),
            (Kind::Int, 1) => column.named(format!("CASE WHEN {0} > 0 THEN {0} END", column.name)),
            _ => column,
        });
        let filter = filter(random);
        let order = *random.pick(&["", " DESC"]);
        return match (choice, number, ordered, any, text, flag) {
            (0..=1, ..) => made(format!("COUNT(*){filter}"), Int, Exact::Sums),
            (2, _, _, Some(c), ..) => made(format!("COUNT({}){filter}", c.name), Int, Exact::Sums),
            (3..=4, Some(c), ..) => made(format!("SUM({}){filter}", c.name), c.kind, Exact::Sums),
            (5, _, Some(c), ..) => made(format!("MIN({}){filter}", c.name), c.kind, c.exact),
            (6, _, Some(c), ..) => made(format!("MAX({}){filter}", c.name), c.kind, c.exact),
            (7, Some(c), ..) => {
                let kind = if c.kind == Decimal { Decimal } else { Double };
                made(format!("AVG({}){filter}", c.name), kind, Exact::Value)
            }
            (8, _, _, Some(c), ..) => {
                let zero = if c.kind == Double { ONE_ZERO } else { "" };
                made(format!("COUNT(DISTINCT {zero}{}){filter}", c.name), Int, Exact::Sums)
            }
            (9, Some(c), ..) if c.kind == Int => {
                made(format!("SUM(DISTINCT {}){filter}", c.name), Int, Exact::Sums)
            }
            (10, Some(c), ..) if c.kind != Decimal => {
                let function = random.pick(&["STDDEV", "VAR_POP"]);
                made(format!("{function}({}){filter}", c.name), Double, Exact::Not)
            }
            (11, _, _, _, _, Some(c)) => {
                let function = random.pick(&["BOOL_AND", "BOOL_OR"]);
                made(format!("{function}({}){filter}", c.name), Bool, Exact::Sums)
            }
            (12, _, Some(by), Some(c), ..) => {
                let function = random.pick(&["FIRST_VALUE", "LAST_VALUE"]);
                let (by, of) = (&by.name, &c.name);
                // The value itself breaks the ties.
                let ties = if by == of { String::new() } else { format!(", {of}") };
                made(format!("{function}({of} ORDER BY {by}{order}{ties}){filter}"), c.kind, c.exact)
            }
            (13, _, Some(c), ..) if c.kind != Double => {
                let of = &c.name;
                made(
                    format!("array_to_string(ARRAY_AGG({of} ORDER BY {of}{order}){filter}, ',')"),
                    Text,
                    Exact::Sums,
                )
            }
            (14, _, _, _, Some(c), _) => {
                let of = &c.name;
                made(format!("STRING_AGG({of}, ',' ORDER BY {of}{order}){filter}"), Text, Exact::Sums)
            }
            _ => continue,
        };
    }
    made("COUNT(*)".to_owned(), Int, Exact::Sums)
}
