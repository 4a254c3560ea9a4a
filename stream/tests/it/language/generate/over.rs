//! Functions `OVER` a window: ranks, and computations over whole windows.

use super::{Generator, Made};
use crate::language::{
    columns::{Column, Exact, Relation},
    script::Kind,
    tree::{From, Item, Query, Select},
};

impl Generator {
    /// The best of each window, with ties broken by all columns.
    pub(super) fn ranked(&mut self) -> Option<Made> {
        let input = self.input(|relation| relation.bounds.is_some())?;
        let (start, end) = input.bounds.clone()?;
        let columns: Vec<Column> =
            input.columns.iter().filter(|column| column.exact >= Exact::Value).cloned().collect();
        let mut partition_by = vec![start.clone(), end.clone()];
        if self.random.chance(10) {
            partition_by.remove(self.random.below(2));
        }
        let keys: Vec<Column> = columns.iter().filter(|c| c.kind == Kind::Text).cloned().collect();
        if self.random.chance(20)
            && let Some(key) = self.random.pick_any(&keys)
        {
            partition_by.push(key.name);
        }
        let by: Vec<Column> = columns.iter().filter(|c| !partition_by.contains(&c.name)).cloned().collect();
        let direction =
            |generator: &mut Self| *generator.random.pick(&["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]);
        let first = self.random.pick_any(&by)?;
        let mut order = vec![format!("{}{}", first.name, direction(self))];
        let function = *self.random.pick(&["ROW_NUMBER", "ROW_NUMBER", "ROW_NUMBER", "RANK", "DENSE_RANK"]);
        // Equal rows have equal ranks, but a row number must not be left to chance.
        if function == "ROW_NUMBER" || self.random.chance(50) {
            for column in by.iter().filter(|column| column.name != first.name) {
                order.push(format!("{}{}", column.name, direction(self)));
            }
            order.extend(partition_by.iter().all(|name| *name != start).then(|| start.clone()));
            order.extend(partition_by.iter().all(|name| *name != end).then(|| end.clone()));
        }
        let rank = self.name("r");
        let over = format!("PARTITION BY {} ORDER BY {}", partition_by.join(", "), order.join(", "));
        let plain = |column: &Column| Item::new(&column.name, &column.name);
        let mut inner: Vec<Item> = columns.iter().map(plain).collect();
        inner.push(Item::new(format!("{function}() OVER ({over})"), &rank));
        let from = From::Named(input.name.clone());
        let filter = self.condition(15, &input.columns);
        let inner = Query::Select(Box::new(Select { items: inner, from, filter, ..Select::default() }));
        let mut columns = columns;
        columns.push(Column::new(&rank, Kind::Int));
        let limit = match self.random.below(6) {
            0 => None,
            1 => Some(format!("{rank} = 1")),
            2 => Some(format!("{rank} < 4")),
            3 => Some(format!("{rank} BETWEEN 2 AND 3")),
            _ => Some(format!("{rank} <= {}", self.random.between(1, 3))),
        };
        let items = columns.iter().map(plain).collect();
        let select = Select { items, from: From::Query(Box::new(inner)), filter: limit, ..Select::default() };
        let relation = Relation { name: String::new(), columns, bounds: input.bounds, depth: input.depth };
        Some((Query::Select(Box::new(select)), relation))
    }

    /// Sums, neighbours and the like over the rows of a window.
    pub(super) fn computed_over(&mut self) -> Option<Made> {
        let input = self.input(|relation| relation.bounds.is_some())?;
        let (start, end) = input.bounds.clone()?;
        let mut columns: Vec<Column> =
            input.columns.iter().filter(|column| column.exact >= Exact::Value).cloned().collect();
        let mut partition_by = vec![start.clone(), end.clone()];
        let keys: Vec<Column> = columns.iter().filter(|c| c.kind == Kind::Text).cloned().collect();
        if self.random.chance(30)
            && let Some(key) = self.random.pick_any(&keys)
        {
            partition_by.push(key.name);
        }
        // All columns, so that what comes before what is no matter of chance.
        let order: Vec<String> = columns
            .iter()
            .map(|column| format!("{}{}", column.name, self.random.pick(&["", " DESC", " NULLS FIRST"])))
            .collect();
        let order = format!(" ORDER BY {}", order.join(", "));
        let mut items: Vec<Item> = columns.iter().map(|c| Item::new(&c.name, &c.name)).collect();
        let numbers: Vec<Column> =
            columns.iter().filter(|c| c.exact == Exact::Sums && c.kind == Kind::Int).cloned().collect();
        let any = self.random.pick_any(&columns)?;
        for _ in 0..1 + self.random.below(2) {
            let name = self.name("o");
            let number = self.random.pick_any(&numbers);
            let rows = *self.random.pick(&[
                "",
                " ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING",
                " ROWS UNBOUNDED PRECEDING",
            ]);
            let (call, kind, tail) = match (self.random.below(6), number) {
                (0, Some(c)) => (format!("SUM({})", c.name), Kind::Int, String::new()),
                (1, Some(c)) => (format!("SUM({})", c.name), Kind::Int, format!("{order}{rows}")),
                (2, Some(c)) => (format!("MAX({})", c.name), Kind::Int, String::new()),
                (3, _) => (format!("LAG({})", any.name), any.kind, order.clone()),
                (4, _) => (format!("LEAD({}, 2)", any.name), any.kind, order.clone()),
                _ => ("COUNT(*)".to_owned(), Kind::Int, format!("{order}{rows}")),
            };
            items.push(Item::new(
                format!("{call} OVER (PARTITION BY {}{tail})", partition_by.join(", ")),
                &name,
            ));
            columns.push(Column::new(name, kind));
        }
        let filter = self.condition(15, &input.columns);
        let from = From::Named(input.name.clone());
        let select = Select { items, from, filter, ..Select::default() };
        let relation =
            Relation { name: String::new(), columns, bounds: Some((start, end)), depth: input.depth };
        Some((Query::Select(Box::new(select)), relation))
    }
}
