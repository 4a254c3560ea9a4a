//! Columns that nobody looks at are neither decoded nor handed on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::{common::Result, physical_expr::expressions::Column};

use super::{DERIVED, add_columns, map_columns};
use crate::{
    decode::plan::{DecodePlan, Derived},
    operator::{
        aggregate::Expr,
        assign::{Assign, AssignColumn},
        step::Step,
        unnest::{Unnest, UnnestColumn},
    },
    planner::{LocalPlan, SourcePlan, Terminal},
};

/// Leaves out, step by step, what no later step looks at, and gives derived columns their places: behind the
/// other columns of each step. At the source they stay at `DERIVED`, for [`settle`] to place.
pub(super) fn prune(local: &mut LocalPlan, source: &Schema, derived: &[Derived]) -> Result<()> {
    let wanted_of_step = wanted(local, source);
    // Where each wanted column is now.
    let mut places = Places::new();
    for (step, wanted) in local.steps.iter_mut().zip(&wanted_of_step) {
        let next: Places = wanted.iter().copied().zip(0..).collect();
        match step {
            Step::Select { indexes } => {
                *indexes = wanted.iter().map(|c| if *c < DERIVED { indexes[*c] } else { *c }).collect();
                places = next;
            }
            Step::Filter { predicate: expr } | Step::OnTime { time: expr, .. } => {
                *expr = map_columns(expr, &|c| at(&places, c))?;
            }
            Step::Project { exprs, schema } => {
                (*exprs, *schema) = project(exprs, schema, wanted, &places, derived)?;
                places = next;
            }
            Step::Unnest(unnest) => {
                narrow_unnest(unnest, wanted, &places, derived)?;
                places = next;
            }
            Step::Assign(assign) => {
                narrow(assign, wanted, &places, derived)?;
                places = next;
            }
        }
    }
    if let Terminal::Window(spec) = &mut local.terminal {
        let mut own = spec.as_ref().clone();
        own.time = map_columns(&own.time, &|c| at(&places, c))?;
        own.aggregation = own.aggregation.map_exprs(&mut |expr| map_columns(expr, &|c| at(&places, c)))?;
        *spec = Arc::new(own);
    }
    Ok(())
}

/// Where columns of a step's output are, once others are left out.
type Places = BTreeMap<usize, usize>;

/// A column's place; a derived one has none before the first step that hands it on.
fn at(places: &Places, column: usize) -> usize {
    places.get(&column).copied().unwrap_or(column)
}

/// What is wanted of the output of each step, derived columns included.
fn wanted(local: &LocalPlan, source: &Schema) -> Vec<BTreeSet<usize>> {
    let mut wanted: BTreeSet<usize> = BTreeSet::new();
    match &local.terminal {
        Terminal::Window(spec) => {
            add_columns(&spec.time, &mut wanted);
            spec.aggregation.for_each_expr(&mut |expr| add_columns(expr, &mut wanted));
        }
        Terminal::Forward => wanted.extend(0..width(&local.steps, source)),
    }
    let mut wanted_of_step = vec![BTreeSet::new(); local.steps.len()];
    for (step, wanted_here) in local.steps.iter().zip(&mut wanted_of_step).rev() {
        wanted_here.clone_from(&wanted);
        match step {
            Step::Select { .. } => {}
            Step::Filter { predicate: expr } | Step::OnTime { time: expr, .. } => {
                add_columns(expr, &mut wanted);
            }
            Step::Project { exprs, .. } => {
                let own = take_own(&mut wanted);
                own.into_iter().for_each(|column| add_columns(&exprs[column], &mut wanted));
            }
            Step::Unnest(unnest) => {
                for column in take_own(&mut wanted) {
                    if let UnnestColumn::Input(index) = unnest.columns[column] {
                        wanted.insert(index);
                    }
                }
                add_columns(&unnest.list, &mut wanted);
            }
            Step::Assign(assign) => {
                for column in take_own(&mut wanted) {
                    if let AssignColumn::Input(index) = assign.columns[column] {
                        wanted.insert(index);
                    }
                }
                add_columns(&assign.time, &mut wanted);
            }
        }
    }
    wanted_of_step
}

/// Takes out the columns that a step makes, and leaves the derived ones, which pass through.
fn take_own(wanted: &mut BTreeSet<usize>) -> BTreeSet<usize> {
    let derived = wanted.split_off(&DERIVED);
    std::mem::replace(wanted, derived)
}

/// A projection to the wanted columns.
fn project(
    exprs: &[Expr],
    schema: &Schema,
    wanted: &BTreeSet<usize>,
    places: &Places,
    derived: &[Derived],
) -> Result<(Vec<Expr>, SchemaRef)> {
    let mut kept = Vec::with_capacity(wanted.len());
    let mut fields = Vec::with_capacity(wanted.len());
    for &column in wanted {
        if column < DERIVED {
            kept.push(map_columns(&exprs[column], &|c| at(places, c))?);
            fields.push(Arc::clone(&schema.fields()[column]));
        } else {
            let field = &derived[column - DERIVED].field;
            kept.push(Arc::new(Column::new(field.name(), at(places, column))) as Expr);
            fields.push(Arc::clone(field));
        }
    }
    Ok((kept, Arc::new(Schema::new(fields))))
}

/// Makes an assignment to windows hand on only the wanted columns.
fn narrow(assign: &mut Assign, wanted: &BTreeSet<usize>, places: &Places, derived: &[Derived]) -> Result<()> {
    let mut kept = Vec::with_capacity(wanted.len());
    let mut fields = Vec::with_capacity(wanted.len());
    for &column in wanted {
        if column < DERIVED {
            kept.push(match assign.columns[column] {
                AssignColumn::Input(index) => AssignColumn::Input(at(places, index)),
                of_window => of_window,
            });
            fields.push(Arc::clone(&assign.schema.fields()[column]));
        } else {
            kept.push(AssignColumn::Input(at(places, column)));
            fields.push(Arc::clone(&derived[column - DERIVED].field));
        }
    }
    assign.time = map_columns(&assign.time, &|c| at(places, c))?;
    (assign.columns, assign.schema) = (kept, Arc::new(Schema::new(fields)));
    Ok(())
}

/// Makes an unnesting hand on only the wanted columns.
fn narrow_unnest(
    unnest: &mut Unnest,
    wanted: &BTreeSet<usize>,
    places: &Places,
    derived: &[Derived],
) -> Result<()> {
    let mut kept = Vec::with_capacity(wanted.len());
    let mut fields = Vec::with_capacity(wanted.len());
    for &column in wanted {
        if column < DERIVED {
            kept.push(match unnest.columns[column] {
                UnnestColumn::Input(index) => UnnestColumn::Input(at(places, index)),
                of_element => of_element,
            });
            fields.push(Arc::clone(&unnest.schema.fields()[column]));
        } else {
            kept.push(UnnestColumn::Input(at(places, column)));
            fields.push(Arc::clone(&derived[column - DERIVED].field));
        }
    }
    unnest.list = map_columns(&unnest.list, &|c| at(places, c))?;
    (unnest.columns, unnest.schema) = (kept, Arc::new(Schema::new(fields)));
    Ok(())
}

fn width(steps: &[Step], source: &Schema) -> usize {
    steps.iter().fold(source.fields().len(), |width, step| match step {
        Step::Select { indexes } => indexes.len(),
        Step::Filter { .. } | Step::OnTime { .. } => width,
        Step::Project { exprs, .. } => exprs.len(),
        Step::Assign(assign) => assign.columns.len(),
        Step::Unnest(unnest) => unnest.columns.len(),
    })
}

/// Decodes only the columns that are used, and puts the derived ones behind all others.
pub(super) fn settle(
    source: &mut SourcePlan,
    locals: &mut [&mut LocalPlan],
    derived: Vec<Derived>,
) -> Result<()> {
    let decoded = source.decode.fields.fields().len();
    let mut used: BTreeSet<usize> = source.deduplicate_columns.iter().copied().collect();
    used.extend(source.time_column);
    for step in locals.iter().flat_map(|local| &local.steps) {
        if let Step::Select { indexes } = step {
            used.extend(indexes.iter().copied().filter(|index| *index < DERIVED));
        }
    }
    for (expr, _) in &source.generated {
        add_columns(expr, &mut used);
    }
    // Generated columns are kept as they are: those that nobody wants were never planned.
    used.extend(decoded..source.schema.fields().len());
    let places: BTreeMap<usize, usize> = used.iter().copied().zip(0..).collect();
    let columns: Vec<usize> = used.iter().copied().filter(|column| *column < decoded).collect();
    let place = |column: usize| {
        if column >= DERIVED {
            used.len() + column - DERIVED
        } else {
            places.get(&column).copied().unwrap_or(column)
        }
    };
    for step in locals.iter_mut().flat_map(|local| &mut local.steps) {
        if let Step::Select { indexes } = step {
            indexes.iter_mut().for_each(|index| *index = place(*index));
        }
    }
    for (expr, _) in &mut source.generated {
        *expr = map_columns(expr, &place)?;
    }
    source.time_column = source.time_column.map(place);
    source.deduplicate_columns.iter_mut().for_each(|column| *column = place(*column));
    let fields = used.iter().map(|column| Arc::clone(&source.schema.fields()[*column]));
    source.schema = Arc::new(Schema::new(
        fields.chain(derived.iter().map(|derived| Arc::clone(&derived.field))).collect::<Vec<_>>(),
    ));
    source.decode = DecodePlan { fields: Arc::clone(&source.decode.fields), columns, derived };
    Ok(())
}
