//! Functions of arrays in Flink's meaning.
//!
//! All elements that a call sees are put into one pool, and what a function answers is places in that pool; so a function
//! is a few lines, and knows no type. Elements are the same where their values are, also those of several parts, and
//! NULL is the same as NULL. A NULL array gives NULL, and so does NULL for a place or a direction; a NULL element is an
//! element like others. Source: Flink's documentation, "Collection Functions".

mod call;
mod frame;

use datafusion::{common::exec_err, logical_expr::ScalarUDF};

use self::{
    call::Call,
    frame::{
        ArrayFunction, Eval, Picks,
        Role::{Array as A, Element as E, Flag as F, Whole as W},
    },
};

pub(super) fn all() -> Vec<ScalarUDF> {
    let array = |name, roles, f: fn(&Call<'_>) -> Picks| ArrayFunction::new(name, roles, Eval::Array(f));
    let functions = [
        array("array_append", &[A, E], |call| Some(call.array(0).chain([call.element(1)]).collect())),
        array("array_prepend", &[A, E], |call| {
            Some([call.element(1)].into_iter().chain(call.array(0)).collect())
        }),
        array("array_concat", &[A, A], |call| {
            Some((0..call.len()).flat_map(|index| call.array(index)).collect())
        })
        .variadic(),
        array("array_distinct", &[A], |call| Some(call.distinct(call.array(0)))),
        array("array_union", &[A, A], |call| Some(call.distinct(call.array(0).chain(call.array(1))))),
        array("array_except", &[A, A], |call| {
            let other = call.keys(1);
            Some(call.distinct(call.array(0).filter(|at| !other.contains(&call.key(*at)))))
        }),
        array("array_intersect", &[A, A], |call| {
            let other = call.keys(1);
            Some(call.distinct(call.array(0).filter(|at| other.contains(&call.key(*at)))))
        }),
        array("array_remove", &[A, E], |call| {
            let gone = call.key(call.element(1));
            Some(call.array(0).filter(|at| call.key(*at) != gone).collect())
        }),
        array("array_reverse", &[A], |call| Some(call.array(0).rev().collect())),
        array("array_slice", &[A, W, W], slice).optional(1),
        array("array_sort", &[A, F, F], sort).optional(2).ordered(),
        ArrayFunction::new(
            "array_contains",
            &[A, E],
            Eval::Bool(|call| {
                let wanted = call.key(call.element(1));
                Some(call.array(0).any(|at| call.key(at) == wanted))
            }),
        ),
        ArrayFunction::new("array_position", &[A, E], Eval::Int(position)),
        ArrayFunction::new(
            "array_max",
            &[A],
            Eval::Element(|call| Ok(call.values(0).max_by(|a, b| call.key(*a).cmp(&call.key(*b))))),
        )
        .ordered(),
        ArrayFunction::new(
            "array_min",
            &[A],
            Eval::Element(|call| Ok(call.values(0).min_by(|a, b| call.key(*a).cmp(&call.key(*b))))),
        )
        .ordered(),
        ArrayFunction::new(
            "element",
            &[A],
            Eval::Element(|call| match call.array(0) {
                range if range.len() > 1 => {
                    exec_err!("ELEMENT takes an array of one element, not of {}", range.len())
                }
                mut range => Ok(range.next()),
            }),
        ),
    ];
    functions.into_iter().map(ScalarUDF::from).collect()
}

/// From a place to another, both counted from 1, or from the end where negative.
fn slice(call: &Call<'_>) -> Picks {
    let all = call.array(0);
    let length = i64::try_from(all.len()).ok()?;
    let place = |place: i64| match place {
        0 => 1,
        1.. => place,
        _ => length.saturating_add(place).saturating_add(1),
    };
    let from = place(call.whole(1)).max(1);
    let to = if call.len() > 2 { place(call.whole(2)).min(length) } else { length };
    if from > to {
        return Some(Vec::new());
    }
    let (skip, count) = (usize::try_from(from - 1).ok()?, usize::try_from(to - from + 1).ok()?);
    Some(all.skip(skip).take(count).collect())
}

/// In rising order unless told otherwise; NULLs come first in a rising order and last in a falling one, unless told
/// otherwise.
fn sort(call: &Call<'_>) -> Picks {
    let is_rising = call.len() < 2 || call.flag(1);
    let nulls_first = if call.len() > 2 { call.flag(2) } else { is_rising };
    let mut values: Vec<usize> = call.values(0).collect();
    values.sort_by(|a, b| call.key(*a).cmp(&call.key(*b)));
    if !is_rising {
        values.reverse();
    }
    let nulls: Vec<usize> = call.array(0).filter(|at| call.is_null(*at)).collect();
    Some(if nulls_first { [nulls, values].concat() } else { [values, nulls].concat() })
}

/// Counted from 1; 0 where it is not, and NULL for NULL.
fn position(call: &Call<'_>) -> Option<i32> {
    if call.is_null(call.element(1)) {
        return None;
    }
    let wanted = call.key(call.element(1));
    let found = call.array(0).position(|at| call.key(at) == wanted);
    Some(found.and_then(|at| i32::try_from(at + 1).ok()).unwrap_or(0))
}
