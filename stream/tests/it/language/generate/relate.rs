//! Unions, ranks and joins.

use super::{Generator, Made};
use crate::language::{
    columns::{Column, Exact, Relation, Role},
    script::Kind,
    tree::{From, Item, Query, Select, seconds},
};

impl Generator {
    /// `UNION ALL` of two relations, or of one with itself, by columns of the same kinds.
    pub(super) fn union(&mut self) -> Option<Made> {
        let (left, right) = (self.input(|_| true)?, self.input(|_| true)?);
        let (mut firsts, mut seconds, mut columns) = (Vec::new(), Vec::new(), Vec::new());
        let mut bounds = (None, None);
        let is = |name: &str, relation: &Relation, end: bool| match &relation.bounds {
            Some((first, second)) => name == if end { second } else { first },
            None => false,
        };
        for column in &left.columns {
            let same: Vec<&Column> = right.columns.iter().filter(|other| other.kind == column.kind).collect();
            let alike: Vec<&Column> =
                same.iter().filter(|other| other.role == column.role).copied().collect();
            // Unequal time attributes are rarer.
            let from = if alike.is_empty() || self.random.chance(10) { &same } else { &alike };
            let Some(other) = self.random.pick_any(from) else { continue };
            let role = match (column.role, other.role) {
                (Some(a), Some(b)) => Some(if a == b { a } else { Role::Mixed }),
                _ => None,
            };
            let exact = column.exact.min(other.exact);
            let name = self.name("u");
            for (end, bound) in [(false, &mut bounds.0), (true, &mut bounds.1)] {
                if is(&column.name, &left, end) && is(&other.name, &right, end) {
                    *bound = Some(name.clone());
                }
            }
            firsts.push(Item::new(&column.name, &name));
            seconds.push(Item::new(&other.name, &name));
            columns.push(Column { name, kind: column.kind, role, exact });
        }
        if firsts.is_empty() {
            return None;
        }
        let part = |generator: &mut Self, relation: &Relation, items: Vec<Item>| {
            let filter = generator.condition(20, &relation.columns);
            let from = From::Named(relation.name.clone());
            Query::Select(Box::new(Select { items, from, filter, ..Select::default() }))
        };
        let parts = vec![part(self, &left, firsts), part(self, &right, seconds)];
        let depth = left.depth.max(right.depth);
        Some((
            Query::Union(parts),
            Relation { name: String::new(), columns, bounds: bounds.0.zip(bounds.1), depth },
        ))
    }

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

    /// Two relations on equal windows.
    pub(super) fn window_join(&mut self) -> Option<Made> {
        let left = self.input(|relation| relation.bounds.is_some())?;
        let right = self.input(|relation| relation.bounds.is_some())?;
        let ((start, end), (other_start, other_end)) = (left.bounds.clone()?, right.bounds.clone()?);
        let mut on = vec![format!("l.{start} = r.{other_start}"), format!("l.{end} = r.{other_end}")];
        let text = |relation: &Relation| relation.of(&[Kind::Text]);
        if let (Some(a), Some(b)) = (self.random.pick_any(&text(&left)), self.random.pick_any(&text(&right)))
        {
            on.push(format!("l.{} = r.{}", a.name, b.name));
        }
        let kind = *self.random.pick(&["INNER", "INNER", "LEFT", "RIGHT", "FULL", "LEFT SEMI", "LEFT ANTI"]);
        // The sides that a row of the result always has.
        let (left_stays, right_stays) = match kind {
            "INNER" => (true, true),
            "RIGHT" => (false, true),
            "FULL" => (false, false),
            _ => (true, false),
        };
        let mut made = Side::default();
        let first = self.side(&mut made, "l", &left, left_stays);
        let second = match kind {
            "LEFT SEMI" | "LEFT ANTI" => None,
            _ => self.side(&mut made, "r", &right, right_stays),
        };
        self.joined(made, kind, (&left, &right), &on, first.or(second))
    }

    /// Two streams whose rows are near each other in time.
    pub(super) fn interval_join(&mut self) -> Option<Made> {
        let has_event = |relation: &Relation| relation.times().iter().any(|c| c.role == Some(Role::Event));
        let (left, right) = (self.input(has_event)?, self.input(has_event)?);
        let time = |relation: &Relation| {
            relation.times().into_iter().find(|c| c.role == Some(Role::Event)).map(|c| c.name)
        };
        let (a, b) = (time(&left)?, time(&right)?);
        let key = |relation: &Relation| relation.of(&[Kind::Text]).into_iter().next().map(|c| c.name);
        let (before, after) = (self.random.between(0, 10), self.random.between(0, 10));
        let on = vec![
            format!("l.{} = r.{}", key(&left)?, key(&right)?),
            format!("r.{b} BETWEEN l.{a} - {} AND l.{a} + {}", seconds(before), seconds(after)),
        ];
        let kind = *self.random.pick(&["INNER", "INNER", "LEFT"]);
        let mut made = Side::default();
        self.side(&mut made, "l", &left, true);
        self.side(&mut made, "r", &right, kind == "INNER");
        self.joined(made, kind, (&left, &right), &on, None)
    }

    fn joined(
        &mut self,
        made: Side,
        kind: &'static str,
        (left, right): (&Relation, &Relation),
        on: &[String],
        bounds: Option<(String, String)>,
    ) -> Option<Made> {
        let named = |relation: &Relation| Box::new(From::Named(relation.name.clone()));
        let from = From::Join { kind, left: named(left), right: named(right), on: on.join(" AND ") };
        let select = Select { items: made.items, from, ..Select::default() };
        let depth = left.depth.max(right.depth);
        Some((
            Query::Select(Box::new(select)),
            Relation { name: String::new(), columns: made.columns, bounds, depth },
        ))
    }

    /// Puts the columns of one side into a join's result; its window's bounds, if they are never NULL.
    fn side(
        &mut self,
        made: &mut Side,
        prefix: &str,
        side: &Relation,
        stays: bool,
    ) -> Option<(String, String)> {
        let mut bounds = (None, None);
        for column in &side.columns {
            let name = self.name("j");
            if let Some((start, end)) = &side.bounds {
                if *start == column.name {
                    bounds.0 = Some(name.clone());
                }
                if *end == column.name {
                    bounds.1 = Some(name.clone());
                }
            }
            made.items.push(Item::new(format!("{prefix}.{}", column.name), &name));
            let role = column.role.filter(|_| stays);
            made.columns.push(Column { role, ..column.named(name) });
        }
        bounds.0.zip(bounds.1).filter(|_| stays)
    }
}

/// What a join's result has so far.
#[derive(Default)]
struct Side {
    items: Vec<Item>,
    columns: Vec<Column>,
}
