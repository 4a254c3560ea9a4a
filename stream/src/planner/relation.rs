//! Plans in words, node by node.

use datafusion::{
    common::{DFSchema, JoinType},
    logical_expr::{Join, LogicalPlan, TableScan, Union, utils::split_conjunction},
};

use super::{
    canonical::{Canonical, Columns, Words, column_text, cut, declared, name_text, of_rows},
    nodes::{self, whole::port_of},
    physical::Physical,
};
use crate::error::StreamError;

/// Puts plans into words.
pub(super) fn words<'a>(physical: &'a Physical<'a>) -> Words<'a> {
    Words { physical, of }
}

/// A plan in words; `ports` is what placeholders stand for.
fn of(physical: &Physical<'_>, plan: &LogicalPlan, ports: &[Canonical]) -> Result<Canonical, StreamError> {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => of(physical, &alias.input, ports),
        LogicalPlan::TableScan(scan) => match port_of(scan) {
            Some((port, columns)) if port < ports.len() => {
                let input = ports[port].clone();
                let columns = columns.iter().filter_map(|column| input.columns.get(*column).cloned());
                Ok(Canonical { columns: columns.collect(), ..input })
            }
            _ => table(physical, scan),
        },
        LogicalPlan::Projection(projection) => {
            let input = of(physical, &projection.input, ports)?;
            let columns = Columns::new(projection.input.schema(), &input.columns);
            let texts = projection.expr.iter().map(|expr| columns.text(expr)).collect::<Result<_, _>>()?;
            Ok(Canonical { columns: texts, ..input })
        }
        LogicalPlan::Filter(filter) => {
            let mut input = of(physical, &filter.input, ports)?;
            let columns = Columns::new(filter.input.schema(), &input.columns);
            let conditions = split_conjunction(&filter.predicate).into_iter();
            let conditions: Vec<String> =
                conditions.map(|condition| columns.text(condition)).collect::<Result<_, _>>()?;
            input.conditions.extend(conditions);
            Ok(input)
        }
        LogicalPlan::Union(all) => union(physical, all, ports),
        LogicalPlan::Window(window) => {
            let input = of(physical, &window.input, ports)?;
            let columns = Columns::new(window.input.schema(), &input.columns);
            let functions = window.window_expr.iter().map(|expr| columns.text(expr));
            let functions = functions.collect::<Result<Vec<_>, _>>()?;
            Ok(input.computed(functions))
        }
        LogicalPlan::Join(join) => self::join(physical, join, ports),
        LogicalPlan::Extension(extension) => match nodes::streaming(extension.node.as_ref()) {
            Some(node) => node.canonical(&words(physical)),
            None => other(physical, plan, ports),
        },
        plan => other(physical, plan, ports),
    }
}

fn table(physical: &Physical<'_>, scan: &TableScan) -> Result<Canonical, StreamError> {
    let name = scan.table_name.table();
    let table = physical.catalog.table(name);
    let table = table.ok_or_else(|| StreamError::internal(format!("table {name} got lost")))?;
    let read = || scan.projected_schema.fields().iter().map(|field| field.name().as_str());
    let columns: Vec<String> = read().map(|column| column_text(table, column)).collect();
    let texts = Columns::new(&scan.projected_schema, &columns);
    let filters = scan.filters.iter().flat_map(split_conjunction);
    let conditions = filters.map(|filter| texts.text(filter)).collect::<Result<_, _>>()?;
    Ok(Canonical { rows: name_text(name), conditions, tables: declared(table, read())?, columns })
}

/// In whatever order the inputs stand.
fn union(physical: &Physical<'_>, union: &Union, ports: &[Canonical]) -> Result<Canonical, StreamError> {
    let inputs = union.inputs.iter().map(|input| of(physical, input, ports));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let branch = |input: &Canonical| format!("{} from {}", input.columns.join(", "), input.relation());
    let mut branches: Vec<String> = inputs.iter().map(branch).collect();
    branches.sort_unstable();
    let rows = cut(format!("all of ({})", branches.join(") and (")));
    Ok(Canonical {
        columns: of_rows(&rows, 0..union.schema.fields().len()),
        rows,
        tables: inputs.into_iter().flat_map(|input| input.tables).collect(),
        ..Canonical::default()
    })
}

fn join(physical: &Physical<'_>, join: &Join, ports: &[Canonical]) -> Result<Canonical, StreamError> {
    let (left, right) = (of(physical, &join.left, ports)?, of(physical, &join.right, ports)?);
    let of_left = Columns::new(join.left.schema(), &left.columns);
    let of_right = Columns::new(join.right.schema(), &right.columns);
    let mut on = Vec::new();
    for (one, other) in &join.on {
        on.push(format!("{} = {}", of_left.text(one)?, of_right.text(other)?));
    }
    on.sort_unstable();
    // A table that is joined with itself: which side a column is of must show.
    let side = |name: &str, columns: &[String]| -> Vec<String> {
        columns.iter().map(|column| format!("{name} {column}")).collect()
    };
    let sides = [side("left", &left.columns), side("right", &right.columns)].concat();
    if let Some(filter) = &join.filter {
        let schema: DFSchema = join.left.schema().join(join.right.schema())?;
        on.push(Columns::new(&schema, &sides).text(filter)?);
    }
    let aware = if join.null_aware { ", aware of nulls" } else { "" };
    let rows = cut(format!(
        "{} join of ({}) and ({}) on {} ({:?}{aware})",
        join.join_type,
        left.relation(),
        right.relation(),
        on.join(" and "),
        join.null_equality
    ));
    let columns = match join.join_type {
        JoinType::LeftSemi | JoinType::LeftAnti => left.columns,
        JoinType::RightSemi | JoinType::RightAnti => right.columns,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => of_rows(&rows, sides),
        JoinType::LeftMark | JoinType::RightMark => of_rows(&rows, 0..join.schema.fields().len()),
    };
    let tables = left.tables.into_iter().chain(right.tables).collect();
    Ok(Canonical { rows, columns, tables, ..Canonical::default() })
}

/// What is not known here is told as DataFusion shows it, with what its names are: another name is another text, but no
/// other plan has the same one.
fn other(physical: &Physical<'_>, plan: &LogicalPlan, ports: &[Canonical]) -> Result<Canonical, StreamError> {
    let mut rows = plan.display().to_string();
    let mut tables = std::collections::BTreeSet::new();
    for input in plan.inputs() {
        let of_input = of(physical, input, ports)?;
        let names = input.schema().columns().into_iter().zip(&of_input.columns);
        let names: Vec<String> = names.map(|(name, text)| format!("{name} is {text}")).collect();
        rows.push_str(&format!(" of ({}, where {})", of_input.relation(), names.join(", ")));
        tables.extend(of_input.tables);
    }
    let rows = cut(rows);
    let columns = of_rows(&rows, 0..plan.schema().fields().len());
    Ok(Canonical { rows, columns, tables, ..Canonical::default() })
}
