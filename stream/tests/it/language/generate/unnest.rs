//! Rows of the arrays of a source table.

use super::{Generator, Made};
use crate::language::{
    columns::{Column, Relation},
    script::Kind,
    tree::{From, Item, Query, Select},
};

impl Generator {
    /// The columns of a table beside those of the elements of `xs`. Only tables, `t0` and on, have that column.
    pub(super) fn unnested(&mut self) -> Option<Made> {
        let input = self.known.iter().find(|relation| relation.name.starts_with('t'))?.clone();
        let (x, y) = (self.name("x"), self.name("y"));
        let from = From::Unnest {
            input: input.name.clone(),
            names: (x.clone(), y.clone()),
            keeps_empty: self.random.chance(40),
        };
        let mut columns = input.columns.clone();
        columns.retain(|column| column.role.is_some() || !self.random.chance(30));
        columns.push(Column::new(x, Kind::Int));
        columns.push(Column::new(y, Kind::Text));
        let filter = self.condition(30, &columns);
        let items = columns.iter().map(|column| Item::new(&column.name, &column.name)).collect();
        let select = Select { items, from, filter, ..Select::default() };
        let relation = Relation { columns, name: String::new(), ..input };
        Some((Query::Select(Box::new(select)), relation))
    }
}
