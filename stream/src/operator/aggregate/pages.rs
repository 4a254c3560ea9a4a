//! A list that grows without moving.
//!
//! A vector that grows copies what it holds, and keeps room for what may come: with ten million open sessions that
//! is a second's pause and a fifth of the memory. Here the list grows by a page at a time and every element stays
//! where it is.

use std::ops::{Index, IndexMut};

/// Elements of a page.
const PAGE: usize = 1_024;

/// Elements by their number.
#[derive(Debug)]
pub struct Pages<T> {
    pages: Vec<Box<[T]>>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Pages { pages: Vec::new() }
    }
}

impl<T: Clone + Default> Pages<T> {
    /// Makes room for at least `length` elements, new ones as their type makes them.
    pub fn grow(&mut self, length: usize) {
        while self.pages.len() * PAGE < length {
            self.pages.push(vec![T::default(); PAGE].into());
        }
    }
}

impl<T> Pages<T> {
    /// The first `length` elements.
    pub fn iter(&self, length: usize) -> impl Iterator<Item = &T> {
        self.pages.iter().flatten().take(length)
    }

    /// The same, to be changed.
    pub fn iter_mut(&mut self, length: usize) -> impl Iterator<Item = &mut T> {
        self.pages.iter_mut().flatten().take(length)
    }
}

impl<T> Index<usize> for Pages<T> {
    type Output = T;

    #[inline]
    fn index(&self, number: usize) -> &T {
        &self.pages[number / PAGE][number % PAGE]
    }
}

impl<T> IndexMut<usize> for Pages<T> {
    #[inline]
    fn index_mut(&mut self, number: usize) -> &mut T {
        &mut self.pages[number / PAGE][number % PAGE]
    }
}
