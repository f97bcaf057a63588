//! Texts as small numbers.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

/// Texts, each with a number from 0 in the order of their first mention. Millions of them take little
/// more room than their bytes.
#[derive(Debug, Default)]
pub(super) struct Names {
    bytes: String,
    /// Where each ends.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Names {
    /// The number of `name`, which is the next one if it is new.
    pub(super) fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.find(name) {
            return number;
        }
        // More than this would not fit into memory either.
        let number = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.bytes.push_str(name);
        self.ends.push(self.bytes.len());
        let Self { bytes, ends, numbers, hasher } = self;
        let hash = hasher.hash_one(name);
        numbers.insert_unique(hash, number, |other| hasher.hash_one(text(bytes, ends, *other)));
        number
    }

    /// The number of `name`, if it was mentioned.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let Self { bytes, ends, numbers, hasher } = self;
        numbers.find(hasher.hash_one(name), |other| text(bytes, ends, *other) == name).copied()
    }

    /// The text with this number.
    pub(super) fn name(&self, number: u32) -> String {
        text(&self.bytes, &self.ends, number).to_owned()
    }
}

fn text<'a>(bytes: &'a str, ends: &[usize], number: u32) -> &'a str {
    let at = number as usize;
    let start = if at == 0 { 0 } else { ends[at - 1] };
    &bytes[start..ends[at]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number_and_a_new_one_gets_the_next() {
        let mut names = Names::default();
        let texts: Vec<String> = (0..1000).map(|number| format!("text {number}")).collect();
        for (expected, text) in (0..).zip(&texts) {
            assert_eq!(names.number(text), expected);
        }
        assert_eq!((names.number("text 7"), names.number("")), (7, 1000));
        assert_eq!((names.name(999), names.name(1000)), ("text 999".to_owned(), String::new()));
        assert_eq!((names.find("text 8"), names.find("text")), (Some(8), None));
    }
}
