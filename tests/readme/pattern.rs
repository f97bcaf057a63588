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

/// Whether a log line holds what `pattern` shows. Delays are random, so any delay will do.
pub(crate) fn is_on_line(pattern: &str, line: &str) -> bool {
    let any_delay = match pattern.split_once("delay=") {
        Some((before, after)) => {
            let unit = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            format!("…{before}delay=…{unit}…")
        }
        None => format!("…{pattern}…"),
    };
    matches(&any_delay, line)
}

#[test]
fn a_log_line_may_have_more_and_another_delay() {
    let line = "2026-01-01T00:00:00Z  WARN retrying attempt=2 delay=7ms error=gone messages=1";
    assert!(is_on_line("WARN retrying attempt=2 delay=93ms error=gone", line));
    assert!(is_on_line("attempt=…", line));
    assert!(!is_on_line("WARN retrying attempt=3 delay=93ms error=gone", line));
    assert!(!is_on_line("WARN retrying attempt=2 delay=93ms error=lost", line));
}

#[test]
fn dots_stand_for_anything_within_a_line() {
    assert!(matches("a…c", "abbc") && matches("…", "") && matches("a…b…c", "aXbYbZc"));
    assert!(matches("same", "same") && matches("…end", "the end") && matches("…x…", "axb"));
    assert!(!matches("same", "same ") && !matches("a…c", "abd") && !matches("a…a", "a"));
    assert!(!matches("a…b…c", "acb") && !matches("a…", "ba"));
}
