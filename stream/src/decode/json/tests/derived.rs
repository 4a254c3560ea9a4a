//! BOOLEAN columns from texts.

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Field, Schema},
};
use datafusion::{
    common::ScalarValue,
    logical_expr::Operator,
    physical_expr::{
        PhysicalExpr,
        expressions::{BinaryExpr, CastExpr, Column, IsNullExpr, Literal},
    },
};

use super::*;
use crate::decode::plan::Derived;

fn text() -> Arc<dyn PhysicalExpr> {
    Arc::new(Column::new("id", 0))
}

fn compare(left: Arc<dyn PhysicalExpr>, operator: Operator, right: ScalarValue) -> Arc<dyn PhysicalExpr> {
    Arc::new(BinaryExpr::new(left, operator, Arc::new(Literal::new(right))))
}

fn derived(expr: Arc<dyn PhysicalExpr>, name: &str) -> Derived {
    Derived { column: 0, expr, field: Arc::new(Field::new(name, DataType::Boolean, true)) }
}

/// Over the field `id`: what is true, false and NULL for some of its values.
pub(super) fn of_ids() -> Vec<Derived> {
    let is = |value: &str| compare(text(), Operator::Eq, ScalarValue::from(value));
    vec![
        derived(is("purchase"), "is_purchase"),
        derived(compare(text(), Operator::Gt, ScalarValue::from("b")), "is_large"),
        derived(Arc::new(IsNullExpr::new(text())), "is_absent"),
    ]
}

fn plan(columns: Vec<usize>) -> DecodePlan {
    let fields = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("n", DataType::Int64, true),
    ]));
    DecodePlan { fields, columns, derived: of_ids() }
}

fn records(values: impl Iterator<Item = usize>) -> Vec<String> {
    let record = |value: usize| match value % 7 {
        0 => r#"{"n":1}"#.to_owned(),
        1 => format!(r#"{{"n":1,"id":"a long value of more than 32 bytes, number {value}"}}"#),
        2 => format!(r#"{{"id":"{value}","n":"not a number"}}"#),
        _ => format!(r#"{{"id":"{value}","n":2}}"#),
    };
    values.map(record).collect()
}

#[test]
fn few_values_and_too_many_give_the_same_columns() {
    // The third batch has the value too many in its midst; from then on the texts are kept.
    let batches = [records(0..60), records((0..250).rev()), records(0..500), records(400..900), Vec::new()];
    let batches: Vec<RawBatch> = batches.iter().map(|records| raw(records)).collect();
    for columns in [vec![], vec![0], vec![1, 0]] {
        check(&plan(columns), &batches);
    }
}

#[test]
fn exactly_as_many_values_as_there_are_codes() {
    for values in [254, 255, 256, 257] {
        let all: Vec<String> = (0..values).map(|value| format!(r#"{{"id":"{value}"}}"#)).collect();
        check(&plan(vec![]), &[raw(&all), raw(&["{}"]), raw(&all), raw(&all[values / 2..])]);
    }
}

#[test]
fn values_too_long_to_remember() {
    let long = "x".repeat(5_000);
    let records = [r#"{"id":"purchase"}"#.to_owned(), "{}".to_owned(), format!(r#"{{"id":"{long}"}}"#)];
    check(&plan(vec![1]), &[raw(&records[..2]), raw(&records), raw(&records)]);
}

#[test]
fn an_expression_that_fails_is_an_error_unless_its_record_is_refused() {
    let number = Arc::new(CastExpr::new(text(), DataType::Int64, None));
    let expr = compare(number, Operator::Gt, ScalarValue::from(5_i64));
    let plan = DecodePlan { derived: vec![derived(expr, "above_five")], ..plan(vec![1]) };
    let mut decoder = JsonDecoder::new("t", plan.clone()).unwrap();
    let good = [r#"{"id":"7"}"#, r#"{"id":"3"}"#, r#"{"n":1}"#];
    let refused = [good[0], r#"{"id":"abc","n":"x"}"#, good[1]];
    let decoded = decoder.decode(&raw(&refused)).unwrap();
    assert_eq!((decoded.batch.num_rows(), decoded.rejects.len()), (2, 1));
    let error = decoder.decode(&raw(&[good[0], r#"{"id":"abc"}"#])).unwrap_err();
    assert!(error.to_string().contains("abc"), "{error}");
    let decoded = decoder.decode(&raw(&good)).unwrap();
    let column = decoded.batch.column(1).as_boolean();
    assert_eq!(column.iter().collect::<Vec<_>>(), [Some(true), Some(false), None]);
    assert_eq!(column.null_count(), 1);
}

#[test]
fn values_that_differ_in_their_midst_are_told_apart() {
    let value = |middle: char| format!("0123456789abcdef-{middle}-0123456789abcdef");
    let wanted = value('b');
    let mut plan = plan(vec![]);
    plan.derived = vec![derived(compare(text(), Operator::Eq, ScalarValue::from(wanted.as_str())), "is_b")];
    let records: Vec<String> = "abcabc".chars().map(|c| format!(r#"{{"id":"{}"}}"#, value(c))).collect();
    check(&plan, &[raw(&records)]);
}
