//! What can be told from a source file that rustfmt has laid out.

/// The tests of a source file: the line of each, from 1, and its name.
pub(crate) fn tests(text: &str) -> Vec<(usize, &str)> {
    let mut tests = Vec::new();
    let mut is_test = false;
    for (number, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if is_test && let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split('(').next().filter(|name| !name.starts_with('$'));
            tests.extend(name.map(|name| (number, name)));
            is_test = false;
        }
    }
    tests
}

#[test]
fn tests_are_found_with_their_names() {
    let text = "#[test]\n// why\nfn one() {}\nfn two() {}\n    #[tokio::test(flavor = \"x\")]\n    \
                #[allow(dead_code)]\n    async fn three() {\n    }\n";
    assert_eq!(tests(text), [(3, "one"), (7, "three")]);
}
