//! Random scripts: one to three tables, a few views each over what there is already, and sinks of the last of them.
//!
//! | module | what it makes |
//! |---|---|
//! | [`windows`] | windows over event time and over other windows, rows in windows, re-aggregation |
//! | [`over`] | functions `OVER` a window |
//! | [`relate`] | unions, joins, conditions on other streams |
//! | [`unnest`] | rows of arrays |

#[path = "generate/over.rs"]
mod over;
#[path = "generate/relate.rs"]
mod relate;
#[path = "generate/unnest.rs"]
mod unnest;
#[path = "generate/windows.rs"]
mod windows;

use super::{
    columns::{Column, Exact, Relation, Role, expression, instant, predicate},
    data::Table,
    random::Random,
    script::{Kind, Run, Script, Sink},
    tree::{From, Item, Query, Select, seconds},
};

/// The script of a seed.
pub(crate) fn script(seed: u64) -> Script {
    let mut random = Random::new(seed);
    let tables: Vec<Table> =
        (0..1 + random.below(3)).map(|number| Table::random(&mut random, number)).collect();
    let sources: Vec<Relation> = tables.iter().map(|table| Relation::source(&table.name)).collect();
    let mut generator = Generator { random, known: sources, views: Vec::new(), names: 0 };
    let steps = 1 + generator.random.below(4);
    let mut sinks = Vec::new();
    for step in 0..steps {
        let (query, relation) = generator.step();
        let is_last = step + 1 == steps;
        // A view that is read twice is computed once; a query that is written out is seen by no other.
        if !is_last || generator.random.chance(40) {
            let name = generator.view(query, relation);
            if is_last || generator.random.chance(20) {
                let sink = generator.sink(&name, sinks.len());
                sinks.push(sink);
            }
        } else {
            sinks.push(sink_of(&format!("out{}", sinks.len()), query, &relation, false));
        }
    }
    let run = run(&mut generator.random);
    for sink in &mut sinks {
        sink.updates = generator.random.chance(30);
    }
    let inline = generator.random.chance(30);
    Script { tables, views: generator.views, sinks, inline, run }
}

fn run(random: &mut Random) -> Run {
    let parallelism = 1 + random.below(4);
    if random.chance(60) {
        return Run { parallelism, step: None, stops: Vec::new() };
    }
    let mut stops: Vec<usize> = (0..random.below(3)).map(|_| random.below(20)).collect();
    stops.sort_unstable();
    Run { parallelism, step: Some(1 + random.below(20)), stops }
}

fn sink_of(name: &str, query: Query, relation: &Relation, updates: bool) -> Sink {
    let columns = relation.columns.iter().map(|column| (column.name.clone(), column.kind)).collect();
    Sink { name: name.to_owned(), columns, query, updates }
}

pub(super) struct Generator {
    random: Random,
    /// Tables and views so far.
    known: Vec<Relation>,
    views: Vec<(String, Query)>,
    names: usize,
}

/// A step's result: the query and what it gives.
type Made = (Query, Relation);

impl Generator {
    fn step(&mut self) -> Made {
        for _ in 0..20 {
            let made = match self.random.below(100) {
                0..=3 => self.filtered(),
                4..=5 => self.unnested(),
                6..=38 => self.aggregated(),
                39..=46 => self.windowed_rows(),
                47..=56 => self.function(),
                57..=64 => self.union(),
                65..=70 => self.ranked(),
                71..=75 => self.computed_over(),
                76..=83 => self.aggregated_again(),
                84..=86 => self.distinct(),
                87..=91 => self.window_join(),
                92..=93 => self.exists(),
                94 => self.set(),
                _ => self.interval_join(),
            };
            if let Some(made) = made {
                return made;
            }
        }
        self.filtered().unwrap()
    }

    fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}{}", self.names)
    }

    fn view(&mut self, query: Query, relation: Relation) -> String {
        let name = self.name("v");
        self.views.push((name.clone(), query));
        self.known.push(Relation { name: name.clone(), ..relation });
        name
    }

    fn sink(&mut self, view: &str, number: usize) -> Sink {
        let relation = self.known.iter().find(|known| known.name == view).unwrap().clone();
        let items = relation.columns.iter().map(|column| Item::new(&column.name, &column.name)).collect();
        let select = Select { items, from: From::Named(view.to_owned()), ..Select::default() };
        sink_of(&format!("out{number}"), Query::Select(Box::new(select)), &relation, false)
    }

    /// A table or view, of those that `fits`; what came last is the likeliest.
    fn input(&mut self, fits: impl Fn(&Relation) -> bool) -> Option<Relation> {
        let fitting: Vec<&Relation> = self.known.iter().filter(|relation| fits(relation)).collect();
        let last = fitting.last()?;
        if self.random.chance(65) {
            Some((*last).clone())
        } else {
            Some((*self.random.pick(&fitting)).clone())
        }
    }

    fn condition(&mut self, percent: usize, columns: &[Column]) -> Option<String> {
        if self.random.chance(percent) { predicate(&mut self.random, columns) } else { None }
    }

    /// Rows of a relation, fewer and with other columns.
    fn filtered(&mut self) -> Option<Made> {
        let input = self.input(|_| true)?;
        let filter = self.condition(70, &input.columns);
        let (mut items, mut columns) = (Vec::new(), Vec::new());
        for column in &input.columns {
            if column.role.is_none() && self.random.chance(20) {
                continue;
            }
            if column.role == Some(Role::Event) && self.random.chance(12) {
                // What is known of a time that is computed of a time is little, or nothing.
                let (name, c) = (self.name("x"), &column.name);
                let by = seconds(self.random.between(1, 30));
                let expr = match self.random.below(6) {
                    0 => format!("{c} + {by}"),
                    1 => format!("{c} - {by}"),
                    2 => format!("date_trunc('minute', {c})"),
                    3 => format!("CAST({c} AS TIMESTAMP)"),
                    4 => format!("greatest({c}, {})", instant(&mut self.random)),
                    _ => {
                        format!("CASE WHEN {c} > {} THEN {c} ELSE {c} - {by} END", instant(&mut self.random))
                    }
                };
                items.push(Item::new(expr, &name));
                columns.push(Column::new(name, Kind::Time).with(Role::Mixed));
            } else if column.exact == Exact::Sums && column.role.is_none() && self.random.chance(15) {
                let (expr, kind) = expression(&mut self.random, column);
                let name = self.name("x");
                items.push(Item::new(expr, &name));
                columns.push(Column::new(name, kind));
            } else if self.random.chance(15) {
                let name = self.name("c");
                items.push(Item::new(&column.name, &name));
                columns.push(column.named(name));
            } else {
                items.push(Item::new(&column.name, &column.name));
                columns.push(column.clone());
            }
        }
        if items.is_empty() {
            return None;
        }
        let renamed = |name: &String| Some(items.iter().find(|item| item.expr == *name)?.name.clone());
        let bounds = input.bounds.as_ref().and_then(|(start, end)| Some((renamed(start)?, renamed(end)?)));
        let select = Select { items, from: From::Named(input.name.clone()), filter, ..Select::default() };
        let relation = Relation { name: String::new(), columns, bounds, depth: input.depth };
        Some((Query::Select(Box::new(select)), relation))
    }
}
