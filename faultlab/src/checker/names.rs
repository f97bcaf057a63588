//! Texts and records as small numbers.

use std::{
    hash::{BuildHasher as _, RandomState},
    num::NonZeroU32,
};

use hashbrown::HashTable;

/// The number of a text or a record, from 0. An `Option` of it takes four bytes too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Number(NonZeroU32);

impl Number {
    /// # Panics
    /// There are more than four billion.
    pub(super) fn new(index: usize) -> Self {
        let next = u32::try_from(index).ok().and_then(|index| NonZeroU32::MIN.checked_add(index));
        next.map_or_else(|| panic!("a run has less than 2^32 texts and records"), Self)
    }

    pub(super) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    /// `items`, each with its number.
    pub(super) fn of_each<T>(items: &[T]) -> impl DoubleEndedIterator<Item = (Self, &T)> {
        items.iter().enumerate().map(|(index, item)| (Self::new(index), item))
    }
}

/// Texts, each with a number from 0 in the order of their first mention. Millions of them take little
/// more room than their bytes.
#[derive(Debug, Default)]
pub(super) struct Names {
    bytes: String,
    /// Where each ends.
    ends: Vec<usize>,
    numbers: HashTable<Number>,
    hasher: RandomState,
}

impl Names {
    /// The number of `name`, which is the next one if it is new.
    pub(super) fn number(&mut self, name: &str) -> Number {
        if let Some(number) = self.find(name) {
            return number;
        }
        let number = Number::new(self.ends.len());
        self.bytes.push_str(name);
        self.ends.push(self.bytes.len());
        let Self { bytes, ends, numbers, hasher } = self;
        let hash = hasher.hash_one(name);
        numbers.insert_unique(hash, number, |other| hasher.hash_one(text(bytes, ends, *other)));
        number
    }

    /// The number of `name`, if it was mentioned.
    pub(super) fn find(&self, name: &str) -> Option<Number> {
        let Self { bytes, ends, numbers, hasher } = self;
        numbers.find(hasher.hash_one(name), |other| text(bytes, ends, *other) == name).copied()
    }

    /// The text with this number.
    pub(super) fn name(&self, number: Number) -> String {
        text(&self.bytes, &self.ends, number).to_owned()
    }
}

fn text<'a>(bytes: &'a str, ends: &[usize], number: Number) -> &'a str {
    let index = number.index();
    let start = if index == 0 { 0 } else { ends[index - 1] };
    &bytes[start..ends[index]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number_and_a_new_one_gets_the_next() {
        let mut names = Names::default();
        let texts: Vec<String> = (0..1000).map(|number| format!("text {number}")).collect();
        for (expected, text) in Number::of_each(&texts) {
            assert_eq!(names.number(text), expected);
        }
        assert_eq!([names.number("text 7"), names.number("")], [7, 1000].map(Number::new));
        assert_eq!([999, 1000].map(|index| names.name(Number::new(index))), ["text 999", ""]);
        assert_eq!((names.find("text 8"), names.find("text")), (Some(Number::new(8)), None));
    }
}
