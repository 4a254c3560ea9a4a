//! The column `xs` of the source tables: arrays of rows, of whose every part some are NULL. A row's is made of its
//! number alone.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Int64Array, ListArray, StringArray, StructArray},
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Fields},
};

use super::random::Random;

/// As declared.
pub(crate) const DECLARED: &str = "xs ARRAY<ROW<x BIGINT, y STRING>>";

type Element = Option<(Option<i64>, Option<&'static str>)>;

fn elements(id: i64) -> Option<Vec<Element>> {
    let mut random = Random::new(id.unsigned_abs());
    if random.chance(15) {
        return None;
    }
    let element = |random: &mut Random| {
        let x = (!random.chance(20)).then(|| random.between(-2, 4));
        let y = *random.pick(&[Some("a"), Some("b"), Some("ab"), None]);
        (!random.chance(10)).then_some((x, y))
    };
    Some((0..random.below(4)).map(|_| element(&mut random)).collect())
}

/// As it stands in a record.
pub(crate) fn json(id: i64) -> Option<String> {
    let element = |element: Element| {
        let Some((x, y)) = element else { return "null".to_owned() };
        let x = x.map(|x| format!("\"x\":{x}"));
        let y = y.map(|y| format!("\"y\":\"{y}\""));
        format!("{{{}}}", x.into_iter().chain(y).collect::<Vec<_>>().join(","))
    };
    Some(format!("[{}]", elements(id)?.into_iter().map(element).collect::<Vec<_>>().join(",")))
}

/// Its type.
pub(crate) fn data_type() -> DataType {
    DataType::List(item())
}

fn item() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(fields()), true))
}

fn fields() -> Fields {
    vec![Field::new("x", DataType::Int64, true), Field::new("y", DataType::Utf8, true)].into()
}

/// As DataFusion sees it.
pub(crate) fn column(ids: impl Iterator<Item = i64>) -> ArrayRef {
    let lists: Vec<Option<Vec<Element>>> = ids.map(elements).collect();
    let all: Vec<Element> = lists.iter().flatten().flatten().copied().collect();
    let xs: Int64Array = all.iter().map(|element| element.and_then(|(x, _)| x)).collect();
    let ys: StringArray = all.iter().map(|element| element.and_then(|(_, y)| y)).collect();
    let nulls: NullBuffer = all.iter().map(Option::is_some).collect();
    let rows = StructArray::new(fields(), vec![Arc::new(xs), Arc::new(ys)], Some(nulls));
    let lengths = lists.iter().map(|list| list.as_ref().map_or(0, Vec::len));
    let nulls: NullBuffer = lists.iter().map(Option::is_some).collect();
    Arc::new(ListArray::new(item(), OffsetBuffer::from_lengths(lengths), Arc::new(rows), Some(nulls)))
}
