//! Last touches to what a source decodes: conditions on texts are computed once per distinct value, and columns
//! that nobody looks at are not built.
//!
//! A condition such as `event_type = 'order_completed'` costs a comparison of bytes for each row and each place
//! where it stands. Events have few types, so the decoder computes it once per type and hands over a BOOLEAN
//! column instead (a [`Derived`] column); where all uses of a text are such conditions, the text itself is not
//! made into a column at all. The chains' expressions are rewritten accordingly.
//!
//! ```text
//! before   decode type, session_id, …     count filter (type = 'view')   sum(case when type = 'order' then …)
//! after    decode session_id, …, d0, d1   count filter (d0)              sum(case when d1 then …)
//! ```
//!
//! Only what a row of the merge stage never sees may change, so this pass looks at local chains alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::{
    common::{
        Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::Operator,
    physical_expr::{
        expressions::{
            BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
        },
        utils::collect_columns,
    },
};

use super::{JobPlan, LocalPlan, SourcePlan, Terminal, choose::choose};
use crate::{
    decode::plan::{DecodePlan, Derived},
    error::StreamError,
    operator::{aggregate::Expr, assign::AssignColumn, step::Step},
};

/// While a chain is rewritten, derived column `d` is the column of index `DERIVED + d`.
const DERIVED: usize = 1 << 32;

/// Rewrites the local chains of every source and settles what it decodes.
pub(super) fn derive(plan: &mut JobPlan) -> std::result::Result<(), StreamError> {
    for (index, source) in plan.sources.iter_mut().enumerate() {
        let mut locals: Vec<&mut LocalPlan> =
            plan.locals.iter_mut().filter(|local| local.source == index).collect();
        let mut found = Found { fields: Arc::clone(&source.decode.fields), derived: Vec::new() };
        for local in &mut locals {
            found.conditions(local, &source.schema)?;
        }
        for local in &mut locals {
            prune(local, &source.schema, &found.derived)?;
        }
        settle(source, &mut locals, found.derived)?;
        for local in locals {
            choose_all(local, &source.schema)?;
        }
    }
    Ok(())
}

/// The derived columns found so far.
struct Found {
    fields: SchemaRef,
    derived: Vec<Derived>,
}

impl Found {
    /// Replaces the conditions in a chain.
    fn conditions(&mut self, local: &mut LocalPlan, source: &Schema) -> Result<()> {
        // Which text field of the records each column of the present step is, unchanged.
        let mut texts: Vec<Option<usize>> = (0..source.fields().len())
            .map(|column| {
                let field = self.fields.fields().get(column)?;
                (*field.data_type() == DataType::Utf8 && field.name() == source.field(column).name())
                    .then_some(column)
            })
            .collect();
        for step in &mut local.steps {
            match step {
                Step::Select { indexes } => texts = indexes.iter().map(|index| texts[*index]).collect(),
                Step::Filter { predicate } => *predicate = self.replace(predicate, &texts)?,
                Step::Project { exprs, .. } => {
                    for expr in exprs.iter_mut() {
                        *expr = self.replace(expr, &texts)?;
                    }
                    texts = exprs.iter().map(|expr| texts.get(column_of(expr)?).copied().flatten()).collect();
                }
                // Stands behind sessions, never on the threads that read.
                Step::Unnest { schema, .. } => texts = vec![None; schema.fields().len()],
                Step::Assign(assign) => {
                    let of = |column: &AssignColumn| match column {
                        AssignColumn::Input(index) => texts.get(*index).copied().flatten(),
                        _ => None,
                    };
                    texts = assign.columns.iter().map(of).collect();
                }
            }
        }
        if let Terminal::Window(spec) = &mut local.terminal {
            let mut own = spec.as_ref().clone();
            own.aggregation = own.aggregation.map_exprs(&mut |expr| self.replace(expr, &texts))?;
            *spec = Arc::new(own);
        }
        Ok(())
    }

    /// Replaces the largest conditions over one text each.
    fn replace(&mut self, expr: &Expr, texts: &[Option<usize>]) -> Result<Expr> {
        let replaced = Arc::clone(expr).transform_down(|expr| {
            let Some(text) = condition_on(&expr, texts) else { return Ok(Transformed::no(expr)) };
            let alone = map_columns(&expr, &|_| 0)?;
            let known =
                self.derived.iter().position(|d| d.column == text && d.expr.as_ref() == alone.as_ref());
            let number = known.unwrap_or_else(|| {
                let number = self.derived.len();
                let field = Arc::new(Field::new(format!("{alone}"), DataType::Boolean, true));
                self.derived.push(Derived { column: text, expr: alone, field });
                number
            });
            let column: Expr = Arc::new(Column::new("condition", DERIVED + number));
            Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
        })?;
        Ok(replaced.data)
    }
}

/// The one text field that a condition is on, if it is a condition on one.
fn condition_on(expr: &Expr, texts: &[Option<usize>]) -> Option<usize> {
    let mut fields = BTreeSet::new();
    is_condition(expr, &mut |column| {
        let text = texts.get(column).copied().flatten();
        fields.extend(text);
        text.is_some()
    })
    .then_some(())?;
    match (fields.len(), fields.first()) {
        (1, Some(text)) => Some(*text),
        _ => None,
    }
}

/// Whether an expression is a BOOLEAN one that can be computed ahead of its turn: it cannot fail, and depends on
/// nothing but columns that `takes` accepts.
pub(super) fn is_condition(expr: &Expr, takes: &mut dyn FnMut(usize) -> bool) -> bool {
    let mut value = |expr: &Expr| match expr.downcast_ref::<Column>() {
        Some(column) => takes(column.index()),
        None => expr.downcast_ref::<Literal>().is_some(),
    };
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        return match binary.op() {
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => value(binary.left()) && value(binary.right()),
            Operator::And | Operator::Or => {
                is_condition(binary.left(), takes) && is_condition(binary.right(), takes)
            }
            _ => false,
        };
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        return value(list.expr()) && list.list().iter().all(|expr| expr.downcast_ref::<Literal>().is_some());
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        return value(like.expr()) && value(like.pattern());
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return is_condition(not.arg(), takes);
    }
    if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
        return value(null.arg());
    }
    expr.downcast_ref::<IsNotNullExpr>().is_some_and(|null| value(null.arg()))
}

/// See [`choose`](super::choose).
fn choose_all(local: &mut LocalPlan, source: &SchemaRef) -> Result<()> {
    let mut schema = Arc::clone(source);
    for step in &mut local.steps {
        match step {
            Step::Select { indexes } => schema = Arc::new(schema.project(indexes)?),
            Step::Filter { predicate } => *predicate = choose(predicate, &schema)?,
            Step::Project { exprs, schema: projected } => {
                for expr in exprs {
                    *expr = choose(expr, &schema)?;
                }
                schema = Arc::clone(projected);
            }
            Step::Assign(assign) => schema = Arc::clone(&assign.schema),
            Step::Unnest { schema: unnested, .. } => schema = Arc::clone(unnested),
        }
    }
    if let Terminal::Window(spec) = &mut local.terminal {
        let mut own = spec.as_ref().clone();
        own.aggregation = own.aggregation.map_exprs(&mut |expr| choose(expr, &schema))?;
        *spec = Arc::new(own);
    }
    Ok(())
}

fn column_of(expr: &Expr) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

fn map_columns(expr: &Expr, to: &dyn Fn(usize) -> usize) -> Result<Expr> {
    let mapped = Arc::clone(expr).transform_up(|expr| match expr.downcast_ref::<Column>() {
        None => Ok(Transformed::no(expr)),
        Some(column) => {
            let column: Expr = Arc::new(Column::new(column.name(), to(column.index())));
            Ok(Transformed::yes(column))
        }
    })?;
    Ok(mapped.data)
}

fn add_columns(expr: &Expr, columns: &mut BTreeSet<usize>) {
    columns.extend(collect_columns(expr).iter().map(Column::index));
}

/// Leaves out, step by step, what no later step looks at, and gives derived columns their places: behind the
/// other columns of each step. At the source they stay at `DERIVED`, for [`settle`] to place.
fn prune(local: &mut LocalPlan, source: &Schema, derived: &[Derived]) -> Result<()> {
    // Backwards: what is wanted of the output of each step, derived columns included.
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
            Step::Select { .. } | Step::Unnest { .. } => {}
            Step::Filter { predicate } => add_columns(predicate, &mut wanted),
            Step::Project { exprs, .. } => {
                wanted = wanted_here.iter().copied().filter(|column| *column >= DERIVED).collect();
                for column in wanted_here.iter().filter(|column| **column < DERIVED) {
                    add_columns(&exprs[*column], &mut wanted);
                }
            }
            Step::Assign(assign) => {
                wanted = wanted_here.iter().copied().filter(|column| *column >= DERIVED).collect();
                for column in wanted_here.iter().filter(|column| **column < DERIVED) {
                    if let AssignColumn::Input(index) = assign.columns[*column] {
                        wanted.insert(index);
                    }
                }
                add_columns(&assign.time, &mut wanted);
            }
        }
    }
    // Forwards: where each wanted column is now.
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (step, wanted) in local.steps.iter_mut().zip(&wanted_of_step) {
        let next: BTreeMap<usize, usize> = wanted.iter().copied().zip(0..).collect();
        match step {
            Step::Select { indexes } => {
                *indexes = wanted.iter().map(|c| if *c < DERIVED { indexes[*c] } else { *c }).collect();
                places = next;
            }
            Step::Filter { predicate } => {
                *predicate =
                    map_columns(predicate, &|column| places.get(&column).copied().unwrap_or(column))?;
            }
            Step::Project { exprs, schema } => {
                let mut kept = Vec::with_capacity(wanted.len());
                let mut fields = Vec::with_capacity(wanted.len());
                for &column in wanted {
                    let place = |column| places.get(&column).copied().unwrap_or(column);
                    if column < DERIVED {
                        kept.push(map_columns(&exprs[column], &place)?);
                        fields.push(Arc::clone(&schema.fields()[column]));
                    } else {
                        let field = &derived[column - DERIVED].field;
                        kept.push(Arc::new(Column::new(field.name(), place(column))) as Expr);
                        fields.push(Arc::clone(field));
                    }
                }
                (*exprs, *schema) = (kept, Arc::new(Schema::new(fields)));
                places = next;
            }
            Step::Unnest { .. } => {}
            Step::Assign(assign) => {
                let place = |column: usize| places.get(&column).copied().unwrap_or(column);
                let mut kept = Vec::with_capacity(wanted.len());
                let mut fields = Vec::with_capacity(wanted.len());
                for &column in wanted {
                    if column < DERIVED {
                        kept.push(match assign.columns[column] {
                            AssignColumn::Input(index) => AssignColumn::Input(place(index)),
                            of_window => of_window,
                        });
                        fields.push(Arc::clone(&assign.schema.fields()[column]));
                    } else {
                        kept.push(AssignColumn::Input(place(column)));
                        fields.push(Arc::clone(&derived[column - DERIVED].field));
                    }
                }
                assign.time = map_columns(&assign.time, &place)?;
                (assign.columns, assign.schema) = (kept, Arc::new(Schema::new(fields)));
                places = next;
            }
        }
    }
    if let Terminal::Window(spec) = &mut local.terminal {
        let place = |column| places.get(&column).copied().unwrap_or(column);
        let mut own = spec.as_ref().clone();
        own.time = map_columns(&own.time, &place)?;
        own.aggregation = own.aggregation.map_exprs(&mut |expr| map_columns(expr, &place))?;
        *spec = Arc::new(own);
    }
    Ok(())
}

fn width(steps: &[Step], source: &Schema) -> usize {
    steps.iter().fold(source.fields().len(), |width, step| match step {
        Step::Select { indexes } => indexes.len(),
        Step::Filter { .. } => width,
        Step::Project { exprs, .. } => exprs.len(),
        Step::Assign(assign) => assign.columns.len(),
        Step::Unnest { schema, .. } => schema.fields().len(),
    })
}

/// Decodes only the columns that are used, and puts the derived ones behind all others.
fn settle(source: &mut SourcePlan, locals: &mut [&mut LocalPlan], derived: Vec<Derived>) -> Result<()> {
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
