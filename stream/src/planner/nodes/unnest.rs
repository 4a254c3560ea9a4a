//! Rows with the elements of a list of theirs: `CROSS JOIN UNNEST(…)`.

use std::{collections::HashSet, fmt, sync::Arc};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::{
    common::{DFSchema, DFSchemaRef, Result, TableReference, internal_err},
    logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore},
};

use super::needed_of;
use crate::{
    error::StreamError,
    operator::{
        step::Step,
        unnest::{Unnest, UnnestColumn},
    },
    planner::{
        attributes::Attributes,
        canonical::{Canonical, Columns, Words},
        node::{Lowering, Stream, StreamingNode, WholeBy},
        physical::Physical,
    },
};

/// Gives each row once for each element. Its schema is the input's, and the [`columns`](Self::columns).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UnnestNode {
    /// The rows.
    pub(crate) input: LogicalPlan,
    /// The list, over the input; while a query is being read, over what stands in front of it.
    pub(crate) list: Expr,
    /// Whether a row without elements is kept.
    pub(crate) keeps_empty: bool,
    /// What comes behind the input's columns.
    pub(crate) columns: Vec<(UnnestColumn, Option<TableReference>, FieldRef)>,
    /// The schema.
    pub(crate) schema: DFSchemaRef,
}

impl UnnestNode {
    /// Over `input`; `columns` come behind its own.
    pub(crate) fn new(
        input: LogicalPlan,
        list: Expr,
        keeps_empty: bool,
        columns: Vec<(UnnestColumn, Option<TableReference>, FieldRef)>,
    ) -> Result<Self> {
        let own = columns.iter().map(|(_, qualifier, field)| (qualifier.clone(), Arc::clone(field)));
        let of_input =
            input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
        let fields = of_input.chain(own).collect();
        let schema = Arc::new(DFSchema::new_with_metadata(fields, input.schema().metadata().clone())?);
        Ok(UnnestNode { input, list, keeps_empty, columns, schema })
    }

    /// What the elements of a list of this type are spread into: a row's fields, a map's key and value, or the element
    /// itself under `name`. `None` for what is no list.
    pub(crate) fn columns_of(list: &DataType, name: &str) -> Option<Vec<(UnnestColumn, FieldRef)>> {
        let named = |index: usize, name: &str, data_type: &DataType| {
            let field: FieldRef = Arc::new(Field::new(name, data_type.clone(), true));
            (UnnestColumn::Member(index), field)
        };
        Some(match list {
            DataType::List(item) => match item.data_type() {
                DataType::Struct(fields) => {
                    let fields = fields.iter().enumerate();
                    fields.map(|(index, field)| named(index, field.name(), field.data_type())).collect()
                }
                element => {
                    vec![(UnnestColumn::Element, Arc::new(Field::new(name, element.clone(), true)))]
                }
            },
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => {
                    let names = ["KEY", "VALUE"].into_iter().enumerate().zip(fields);
                    names.map(|((index, name), field)| named(index, name, field.data_type())).collect()
                }
                _ => return None,
            },
            _ => return None,
        })
    }
}

impl UserDefinedLogicalNodeCore for UnnestNode {
    fn name(&self) -> &str {
        "UnnestRows"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.list.clone()]
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.columns.iter().map(|(.., field)| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnnestRows: {}", self.list)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        match (exprs.pop(), inputs.pop()) {
            (Some(list), Some(input)) => Self::new(input, list, self.keeps_empty, self.columns.clone()),
            _ => internal_err!("an unnested list or its rows got lost"),
        }
    }

    fn necessary_children_exprs(&self, columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![needed_of(self.input.schema(), &self.expressions(), columns)])
    }
}

impl StreamingNode for UnnestNode {
    fn attributes(&self, inputs: &[Attributes]) -> Attributes {
        let mut attributes = inputs.first().cloned().unwrap_or_default();
        attributes.resize(self.schema.fields().len(), None);
        attributes
    }

    fn whole_by(&self, column: usize) -> WholeBy {
        let is_of_input = column < self.input.schema().fields().len();
        if is_of_input { WholeBy::Input(column) } else { WholeBy::Never }
    }

    fn canonical(&self, words: &Words<'_>) -> std::result::Result<Canonical, StreamError> {
        let input = words.of(&self.input)?;
        let list = Columns::new(self.input.schema(), &input.columns).text(&self.list)?;
        let kept = if self.keeps_empty { ", or one of NULL" } else { "" };
        let rows = format!("{} for each of {list}{kept}", input.relation());
        let columns = self.columns.iter().map(|(column, ..)| match column {
            UnnestColumn::Member(index) | UnnestColumn::Input(index) => format!("member {index}"),
            UnnestColumn::Element => "element".to_owned(),
            UnnestColumn::Ordinality => "number".to_owned(),
        });
        Ok(input.made_into(rows, columns))
    }

    fn lower(
        &self,
        graph: &mut dyn Lowering,
        physical: &Physical<'_>,
        knows_starts: bool,
    ) -> std::result::Result<Stream, StreamError> {
        let input = self.input.schema();
        let columns = (0..input.fields().len()).map(UnnestColumn::Input);
        let schema = Arc::clone(self.schema.inner());
        let step = Step::Unnest(Unnest {
            list: physical.expr(&self.list, input)?,
            keeps_empty: self.keeps_empty,
            columns: columns.chain(self.columns.iter().map(|(column, ..)| *column)).collect(),
            schema: Arc::clone(&schema),
        });
        graph.step(physical, &self.input, step, schema, knows_starts)
    }
}
