//! Unions, joins, and conditions on other streams.

use super::{Generator, Made};
use crate::language::{
    columns::{Column, Relation, Role},
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
        if self.random.chance(15) {
            on.remove(self.random.below(2));
        }
        let numbers = |relation: &Relation| relation.of(&[Kind::Int]);
        if self.random.chance(20)
            && let (Some(a), Some(b)) =
                (self.random.pick_any(&numbers(&left)), self.random.pick_any(&numbers(&right)))
        {
            on.push(format!("l.{} {} r.{}", a.name, self.random.pick(&["<", ">=", "<>"]), b.name));
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

    /// `WHERE [NOT] EXISTS (…)` or `IN (…)` on equal windows.
    pub(super) fn exists(&mut self) -> Option<Made> {
        let left = self.input(|relation| relation.bounds.is_some())?;
        let right = self.input(|relation| relation.bounds.is_some() && relation.name != left.name)?;
        let ((start, end), (other_start, other_end)) = (left.bounds.clone()?, right.bounds.clone()?);
        let (l, r) = (&left.name, &right.name);
        let mut on = format!("{r}.{other_start} = {l}.{start} AND {r}.{other_end} = {l}.{end}");
        let text = |relation: &Relation| relation.of(&[Kind::Text]);
        let keys = (self.random.pick_any(&text(&left)), self.random.pick_any(&text(&right)));
        let filter = match keys {
            (Some(a), Some(b)) if self.random.chance(40) => {
                let (a, b) = (a.name, b.name);
                format!("{l}.{a} {}IN (SELECT {r}.{b} FROM {r} WHERE {on})", self.random.pick(&["", "NOT "]))
            }
            keys => {
                if let (Some(a), Some(b)) = keys {
                    on += &format!(" AND {r}.{} = {l}.{}", b.name, a.name);
                }
                format!("{}EXISTS (SELECT 1 FROM {r} WHERE {on})", self.random.pick(&["", "NOT "]))
            }
        };
        let items = left.columns.iter().map(|column| Item::new(&column.name, &column.name)).collect();
        let from = From::Both { read: left.name.clone(), also: right.name.clone() };
        let select = Select { items, from, filter: Some(filter), ..Select::default() };
        let depth = left.depth.max(right.depth);
        Some((Query::Select(Box::new(select)), Relation { name: String::new(), depth, ..left }))
    }

    /// `UNION`, `INTERSECT` or `EXCEPT` of bounds and keys.
    pub(super) fn set(&mut self) -> Option<Made> {
        let left = self.input(|relation| relation.bounds.is_some())?;
        let right = self.input(|relation| relation.bounds.is_some())?;
        let word = *self.random.pick(&["UNION", "INTERSECT", "EXCEPT"]);
        let names = (self.name("w"), self.name("w"));
        let part = |relation: &Relation| {
            let (start, end) = relation.bounds.clone()?;
            let items = vec![Item::new(start, &names.0), Item::new(end, &names.1)];
            let from = From::Named(relation.name.clone());
            Some(Query::Select(Box::new(Select { items, from, ..Select::default() })))
        };
        let query = Query::Set(word, Box::new(part(&left)?), Box::new(part(&right)?));
        let columns = vec![
            Column::new(&names.0, Kind::Time).with(Role::Start),
            Column::new(&names.1, Kind::Time).with(Role::End),
        ];
        let depth = left.depth.max(right.depth);
        Some((query, Relation { name: String::new(), columns, bounds: Some(names), depth }))
    }

    /// Two streams whose rows are near each other in time.
    pub(super) fn interval_join(&mut self) -> Option<Made> {
        let known = |column: &Column| column.role.is_some_and(|role| role != Role::Mixed);
        let has_time = |relation: &Relation| relation.times().iter().any(known);
        let (left, right) = (self.input(has_time)?, self.input(has_time)?);
        let time = |generator: &mut Self, relation: &Relation| {
            let times: Vec<Column> = relation.times().into_iter().filter(known).collect();
            generator.random.pick_any(&times).map(|column| column.name)
        };
        let (a, b) = (format!("l.{}", time(self, &left)?), format!("r.{}", time(self, &right)?));
        let mut on = vec![self.equal(&left, &right, &[Kind::Text])?];
        if self.random.chance(15) {
            on.extend(self.equal(&left, &right, &[Kind::Int, Kind::Bool]));
        }
        if self.random.chance(15) {
            let number = |generator: &mut Self, relation: &Relation| {
                generator.random.pick_any(&relation.of(&[Kind::Int]))
            };
            if let (Some(a), Some(b)) = (number(self, &left), number(self, &right)) {
                on.push(format!("l.{} <= r.{}", a.name, b.name));
            }
        }
        let on_keys = on.len();
        on.extend(self.near(&a, &b));
        let kind = *self.random.pick(&["INNER", "INNER", "LEFT", "RIGHT", "FULL", "LEFT SEMI", "LEFT ANTI"]);
        // Conditions of an inner join may stand behind it.
        let behind =
            if kind == "INNER" && self.random.chance(30) { on.split_off(on_keys) } else { Vec::new() };
        let (left_stays, right_stays) =
            (!matches!(kind, "RIGHT" | "FULL"), matches!(kind, "INNER" | "RIGHT"));
        let mut made = Side::default();
        self.side(&mut made, "l", &left, left_stays);
        if !matches!(kind, "LEFT SEMI" | "LEFT ANTI") {
            self.side(&mut made, "r", &right, right_stays);
        }
        let (mut query, relation) = self.joined(made, kind, (&left, &right), &on, None)?;
        if let (Query::Select(select), false) = (&mut query, behind.is_empty()) {
            select.filter = Some(behind.join(" AND "));
        }
        Some((query, relation))
    }

    /// Two equal columns.
    fn equal(&mut self, left: &Relation, right: &Relation, kinds: &[Kind]) -> Option<String> {
        let a = self.random.pick_any(&left.of(kinds))?;
        let b = self.random.pick_any(&right.of(&[a.kind]))?;
        Some(format!("l.{} = r.{}", a.name, b.name))
    }

    /// Conditions by which two times are near each other.
    fn near(&mut self, a: &str, b: &str) -> Vec<String> {
        let (before, after) = (self.random.between(-3, 10), self.random.between(-3, 10));
        let (least, most) = (seconds(-before), seconds(after));
        match self.random.below(6) {
            0 => vec![format!("{a} = {b}")],
            1 => vec![format!("{b} >= {a} + {least}"), format!("{a} > {b} - {most}")],
            2 => vec![format!("{b} - {least} > {a}"), format!("{b} <= {a} + {most}")],
            3 => vec![format!("{a} BETWEEN {b} - {most} AND {b} - {least}")],
            _ => vec![format!("{b} BETWEEN {a} + {least} AND {a} + {most}")],
        }
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
