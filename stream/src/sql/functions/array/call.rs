//! The arguments of one row, as places in the pool of all elements.

use std::{collections::HashSet, ops::Range};

use arrow::{
    array::{Array, ArrayRef, AsArray, ListArray},
    datatypes::Int64Type,
    row::{Row as Key, Rows},
};

/// One row's arguments; elements are places in the pool.
pub(super) struct Call<'a> {
    pub(super) arguments: &'a [Argument],
    pub(super) pool: &'a dyn Array,
    pub(super) keys: &'a Rows,
    pub(super) row: usize,
}

pub(super) enum Argument {
    /// Where each row's elements are in the pool, and whether the array is there.
    Array(ListArray, usize),
    /// Where the argument's column begins in the pool.
    Element(usize),
    Whole(ArrayRef),
    Flag(ArrayRef),
}

impl<'a> Call<'a> {
    pub(super) fn len(&self) -> usize {
        self.arguments.len()
    }

    pub(super) fn array(&self, index: usize) -> Range<usize> {
        match self.arguments.get(index) {
            Some(Argument::Array(list, base)) => {
                let offsets = list.value_offsets();
                let place = |at: usize| usize::try_from(offsets[at]).unwrap_or(0) + base;
                place(self.row)..place(self.row + 1)
            }
            _ => 0..0,
        }
    }

    pub(super) fn element(&self, index: usize) -> usize {
        match self.arguments.get(index) {
            Some(Argument::Element(base)) => base + self.row,
            _ => 0,
        }
    }

    pub(super) fn whole(&self, index: usize) -> i64 {
        match self.arguments.get(index) {
            Some(Argument::Whole(array)) => {
                array.as_primitive_opt::<Int64Type>().map_or(0, |array| array.value(self.row))
            }
            _ => 0,
        }
    }

    pub(super) fn flag(&self, index: usize) -> bool {
        match self.arguments.get(index) {
            Some(Argument::Flag(array)) => array.as_boolean_opt().is_some_and(|array| array.value(self.row)),
            _ => false,
        }
    }

    pub(super) fn is_null(&self, at: usize) -> bool {
        self.pool.is_null(at)
    }

    pub(super) fn key(&self, at: usize) -> Key<'a> {
        self.keys.row(at)
    }

    pub(super) fn keys(&self, index: usize) -> HashSet<Key<'a>> {
        self.array(index).map(|at| self.key(at)).collect()
    }

    /// The elements that are not NULL.
    pub(super) fn values(&self, index: usize) -> impl Iterator<Item = usize> {
        self.array(index).filter(|at| !self.is_null(*at))
    }

    pub(super) fn distinct(&self, elements: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut seen = HashSet::new();
        elements.filter(|at| seen.insert(self.key(*at))).collect()
    }

    /// Whether an array, a place or a direction is NULL.
    pub(super) fn lacks_an_argument(&self) -> bool {
        self.arguments.iter().any(|argument| match argument {
            Argument::Array(list, _) => list.is_null(self.row),
            Argument::Whole(array) | Argument::Flag(array) => array.is_null(self.row),
            Argument::Element(_) => false,
        })
    }
}
