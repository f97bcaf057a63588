//! Output as a document shows it: `…` stands for anything within a line.

/// Whether `line` is what `pattern` shows.
pub(crate) fn matches(pattern: &str, line: &str) -> bool {
    let parts: Vec<&str> = pattern.split('…').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return pattern == line };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn dots_stand_for_anything_within_a_line() {
    assert!(matches("a…c", "abbc") && matches("…", "") && matches("a…b…c", "aXbYbZc"));
    assert!(matches("same", "same") && matches("…end", "the end") && matches("…x…", "axb"));
    assert!(!matches("same", "same ") && !matches("a…c", "abd") && !matches("a…a", "a"));
    assert!(!matches("a…b…c", "acb") && !matches("a…", "ba"));
}
