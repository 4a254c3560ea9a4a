//! Windows: aggregated, as plain rows, as functions, and grouped once more.

use super::{Generator, Made};
use crate::language::{
    columns::{Column, Exact, Relation, Role, aggregate, expression, predicate},
    script::Kind,
    tree::{From, Function, Item, Query, Select, Window, Windowed},
};

/// Windows over windows over windows, and no deeper.
const DEEPEST: usize = 3;

/// The three window columns in a query's result.
struct Named {
    items: Vec<Item>,
    columns: Vec<Column>,
    bounds: Option<(String, String)>,
}

impl Generator {
    fn window(&mut self, depth: usize) -> Window {
        let unit = *self.random.pick(&[5, 10, 20, 7]) * if depth > 0 { 2 } else { 1 };
        match self.random.below(10) {
            0..=4 => Window::Tumble { size: unit * self.random.between(1, 3) },
            5..=6 => Window::Hop { slide: unit, size: unit * self.random.between(1, 4) },
            7 => Window::Cumulate { step: unit, size: unit * self.random.between(1, 4) },
            _ => Window::Session { gap: *self.random.pick(&[2, 5, 12, 25]) },
        }
    }

    /// What a window table function can go over.
    fn timed(&mut self) -> Option<(Relation, Column)> {
        let input = self.input(|relation| {
            relation.depth < DEEPEST && !relation.times().is_empty() && !has_window_columns(relation)
        })?;
        let time = self.random.pick_any(&input.times())?;
        Some((input, time))
    }

    /// Columns that sessions can be kept by, or that can be grouped by.
    fn keys(&mut self, input: &Relation, most: usize) -> Vec<Column> {
        let few: Vec<Column> = input.of(&[Kind::Text, Kind::Bool, Kind::Int]);
        let few: Vec<Column> = few.into_iter().filter(|column| column.name != "id").collect();
        let text: Vec<Column> = few.iter().filter(|column| column.kind == Kind::Text).cloned().collect();
        if self.random.chance(50) { self.random.some(&text, most) } else { self.random.some(&few, most) }
    }

    fn partition_by(&mut self, window: Window, keys: &[Column]) -> Vec<String> {
        match window {
            Window::Session { .. } => keys.iter().map(|key| key.name.clone()).collect(),
            _ => Vec::new(),
        }
    }

    fn table_function(
        &mut self,
        input: &Relation,
        time: Column,
        window: Window,
        partition_by: Vec<String>,
    ) -> From {
        let takes_offset = !matches!(window, Window::Session { .. });
        let offset = if takes_offset && self.random.chance(12) { self.random.between(-8, 8) } else { 0 };
        let named = self.random.chance(10);
        From::Windowed(Windowed {
            input: input.name.clone(),
            time: time.name,
            window,
            offset,
            partition_by,
            named,
        })
    }

    /// The window columns under `window_…` or other names, not always all of them.
    fn named(&mut self, with_time: bool) -> Named {
        let plain = self.random.chance(45);
        let all = [("window_start", Role::Start), ("window_end", Role::End), ("window_time", Role::Last)];
        let mut named = Named { items: Vec::new(), columns: Vec::new(), bounds: None };
        for (column, role) in all {
            if (role == Role::Last && !with_time) || self.random.chance(12) {
                continue;
            }
            let name = if plain { column.to_owned() } else { self.name("w") };
            named.items.push(Item::new(column, &name));
            named.columns.push(Column::new(name, Kind::Time).with(role));
        }
        let find = |role| named.columns.iter().find(|c| c.role == Some(role)).map(|c| c.name.clone());
        named.bounds = find(Role::Start).zip(find(Role::End));
        named
    }

    /// An expression to group by that is no plain column.
    fn computed_key(&mut self, columns: &[Column]) -> Option<(Item, Column)> {
        let exact: Vec<Column> =
            columns.iter().filter(|c| c.exact == Exact::Sums && c.kind != Kind::Double).cloned().collect();
        let column = self.random.pick_any(&exact)?;
        let (expr, kind) = expression(&mut self.random, &column);
        let name = self.name("x");
        Some((Item::new(expr, &name), Column::new(name, kind)))
    }

    /// `SELECT … FROM TABLE(TUMBLE(…)) GROUP BY window_start, window_end, …`.
    pub(super) fn aggregated(&mut self) -> Option<Made> {
        let (input, time) = self.timed()?;
        let window = self.window(input.depth);
        let keys = self.keys(&input, 2);
        let mut partition_by = self.partition_by(window, &keys);
        if !partition_by.is_empty() && self.random.chance(12) {
            partition_by.pop();
        }
        let within = in_window(&input);
        let with_time = self.random.chance(45);
        let mut named = self.named(with_time);
        let mut group_by = vec!["window_start".to_owned(), "window_end".to_owned()];
        if with_time {
            group_by.push("window_time".to_owned());
        }
        if self.random.chance(6) {
            // By one of the bounds alone: windows that share it are one group.
            let only = group_by.remove(self.random.below(2));
            named.items.retain(|item| item.expr != only);
            let names: Vec<String> = named.items.iter().map(|item| item.name.clone()).collect();
            named.columns.retain(|column| names.contains(&column.name));
            named.bounds = None;
        }
        let from = self.table_function(&input, time, window, partition_by);
        let filter = self.condition(35, &within.columns);
        let select = Select { from, filter, group_by, ..Select::default() };
        Some(self.grouped(select, named, keys, &within, input.depth + 1))
    }

    /// Adds keys, aggregates and HAVING to a query that groups by a window.
    fn grouped(
        &mut self,
        mut select: Select,
        named: Named,
        keys: Vec<Column>,
        within: &Relation,
        depth: usize,
    ) -> Made {
        let Named { items, mut columns, bounds } = named;
        select.items = items;
        let keys_start = select.group_by.len();
        for key in keys {
            select.group_by.push(key.name.clone());
            select.items.push(Item::new(&key.name, &key.name));
            columns.push(Column { role: None, ..key });
        }
        if self.random.chance(15)
            && let Some((item, column)) = self.computed_key(&within.columns)
        {
            select.group_by.push(item.expr.clone());
            select.items.push(item);
            columns.push(column);
        }
        let keys_end = select.group_by.len();
        for _ in 0..1 + self.random.below(3) {
            let name = self.name("a");
            let (item, column) = aggregate(&mut self.random, within, &name);
            select.items.push(item);
            columns.push(column);
        }
        if self.random.chance(6) && keys_end > keys_start {
            // Each of the keys alone, and none: in the others' rows they are NULL.
            let keys = select.group_by.split_off(keys_start);
            let sets: Vec<String> = keys.iter().map(|key| format!("({key})")).collect();
            let sets = match self.random.below(3) {
                0 => format!("ROLLUP ({})", keys.join(", ")),
                1 => format!("CUBE ({})", keys.join(", ")),
                _ => format!("GROUPING SETS ({}, ())", sets.join(", ")),
            };
            select.group_by.push(sets);
        }
        if self.random.chance(15) {
            let having = ["COUNT(*) > 1", "COUNT(*) <= 2", "MIN(window_start) < window_end"];
            let having = having
                [self.random.below(if select.group_by.iter().any(|g| g == "window_end") { 3 } else { 2 })];
            let known = within.has("window_start") || !having.contains("window");
            select.having = known.then(|| having.to_owned());
        }
        let relation = Relation { name: String::new(), columns, bounds, depth };
        (Query::Select(Box::new(select)), relation)
    }

    /// `SELECT …, window_start FROM TABLE(TUMBLE(…))`: rows, and the windows that they are in.
    pub(super) fn windowed_rows(&mut self) -> Option<Made> {
        let (input, time) = self.timed()?;
        let window = self.window(input.depth);
        let keys = self.keys(&input, 1);
        let partition_by = self.partition_by(window, &keys);
        let within = in_window(&input);
        let filter = self.condition(40, &within.columns);
        let Named { mut items, mut columns, bounds } = self.named(true);
        for column in self.random.some(&input.columns, input.columns.len()) {
            items.push(Item::new(&column.name, &column.name));
            columns.push(column);
        }
        if items.is_empty() {
            return None;
        }
        let from = self.table_function(&input, time, window, partition_by);
        let relation = Relation { name: String::new(), columns, bounds, depth: input.depth + 1 };
        Some((Query::Select(Box::new(Select { items, from, filter, ..Select::default() })), relation))
    }

    /// `GROUP BY tumble(…)`.
    pub(super) fn function(&mut self) -> Option<Made> {
        let one_time = |relation: &Relation| match relation.times().as_slice() {
            // The engine finds the time by itself; over a window that is the end or the last millisecond.
            [time] => matches!(time.role, Some(Role::Event | Role::End | Role::Last)),
            _ => false,
        };
        let input = self.input(|relation| {
            relation.depth < DEEPEST && one_time(relation) && !has_window_columns(relation)
        })?;
        let time = input.times().pop()?.name;
        let window = match self.window(input.depth) {
            // There is no such function.
            Window::Cumulate { step, .. } => Window::Tumble { size: step },
            window => window,
        };
        let keys = self.keys(&input, 2);
        let bounds = (self.name("w"), self.name("w"));
        let mut columns = vec![
            Column::new(&bounds.0, Kind::Time).with(Role::Start),
            Column::new(&bounds.1, Kind::Time).with(Role::End),
        ];
        columns.extend(keys.iter().map(|key| Column { role: None, ..key.clone() }));
        let mut aggregates = Vec::new();
        for _ in 0..1 + self.random.below(3) {
            let name = self.name("a");
            let (item, column) = aggregate(&mut self.random, &input, &name);
            aggregates.push(item);
            columns.push(column);
        }
        let filter = self.condition(30, &input.columns);
        let relation =
            Relation { name: String::new(), columns, bounds: Some(bounds.clone()), depth: input.depth + 1 };
        let keys = keys.into_iter().map(|key| key.name).collect();
        let older = self.random.chance(40);
        let function = Function { input: input.name, time, window, bounds, keys, aggregates, filter, older };
        Some((Query::Function(Box::new(function)), relation))
    }

    /// `GROUP BY window_start, window_end` over what is in windows already.
    pub(super) fn aggregated_again(&mut self) -> Option<Made> {
        let input = self.input(|relation| relation.bounds.is_some())?;
        let (start, end) = input.bounds.clone()?;
        let keys = self.keys(&input, 1);
        let (first, second) = (self.name("w"), self.name("w"));
        let named = Named {
            items: vec![Item::new(&start, &first), Item::new(&end, &second)],
            columns: vec![
                Column::new(&first, Kind::Time).with(Role::Start),
                Column::new(&second, Kind::Time).with(Role::End),
            ],
            bounds: Some((first, second)),
        };
        let filter = self.condition(25, &input.columns);
        let from = From::Named(input.name.clone());
        let select = Select { from, filter, group_by: vec![start, end], ..Select::default() };
        Some(self.grouped(select, named, keys, &input, input.depth))
    }

    /// `SELECT DISTINCT window_start, window_end, k`.
    pub(super) fn distinct(&mut self) -> Option<Made> {
        let (input, time) = self.timed()?;
        let window = self.window(input.depth);
        let keys = self.keys(&input, 2);
        let partition_by = self.partition_by(window, &keys);
        let filter = predicate(&mut self.random, &in_window(&input).columns);
        let Named { mut items, mut columns, bounds } = self.named(false);
        for key in keys {
            items.push(Item::new(&key.name, &key.name));
            columns.push(Column { role: None, ..key });
        }
        bounds.as_ref()?;
        let from = self.table_function(&input, time, window, partition_by);
        let relation = Relation { name: String::new(), columns, bounds, depth: input.depth + 1 };
        let filter = filter.filter(|_| self.random.chance(30));
        let select = Select { distinct: true, items, from, filter, ..Select::default() };
        Some((Query::Select(Box::new(select)), relation))
    }
}

/// The names that a window table function adds must not be there yet.
fn has_window_columns(relation: &Relation) -> bool {
    ["window_start", "window_end", "window_time"].iter().any(|name| relation.has(name))
}

/// A relation with the three window columns.
fn in_window(input: &Relation) -> Relation {
    let mut within = input.clone();
    for name in ["window_start", "window_end", "window_time"] {
        within.columns.push(Column::new(name, Kind::Time));
    }
    within
}
