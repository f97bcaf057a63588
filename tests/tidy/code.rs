//! What can be told from a source file that rustfmt has laid out.

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From 1.
    pub(crate) line: usize,
    /// From the line with its name to the one with its closing brace.
    pub(crate) lines: usize,
    pub(crate) is_test: bool,
}

/// All functions of a source file.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        // rustfmt closes a body on a line of its own with the indentation of its head.
        let indent = &line[..line.len() - line.trim_start().len()];
        let length = if line.ends_with(';') || line.ends_with('}') {
            Some(1)
        } else {
            let closes = |line: &&str| {
                line.strip_prefix(indent).is_some_and(|rest| rest == "}" || rest == "};")
            };
            lines[index..].iter().position(closes).map(|length| length + 1)
        };
        let Some(lines_of_it) = length else { continue };
        let attributes = lines[..index].iter().rev().map(|line| line.trim());
        let mut attributes =
            attributes.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        let is_test = attributes.any(|line| {
            line == "#[test]" || line.starts_with("#[tokio::test") || line.starts_with("#[test(")
        });
        let (line, lines) = (index + 1, lines_of_it);
        functions.push(Function { name: name.to_owned(), line, lines, is_test });
    }
    functions
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    loop {
        if let Some(named) = rest.strip_prefix("fn ") {
            let end = named.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            return (end > 0).then(|| &named[..end]);
        }
        let (word, after) = rest.split_once(' ')?;
        let before_fn = ["pub", "const", "async", "extern"].contains(&word)
            || word.starts_with("pub(")
            || word.starts_with('"');
        rest = before_fn.then_some(after)?;
    }
}

/// The modules a file declares in files of their own: each with its `#[path]`, if it has one, or the
/// module around it.
pub(crate) fn modules(text: &str) -> Vec<(String, Option<String>)> {
    let mut modules = Vec::new();
    let (mut path, mut folder): (Option<String>, Option<String>) = (None, None);
    for line in text.lines() {
        if let Some(attribute) = line.trim().strip_prefix("#[path = \"") {
            path = attribute.strip_suffix("\"]").map(str::to_owned);
        } else if let Some(name) = module_name(line.trim()) {
            let in_folder = folder.as_ref().map(|folder| format!("{folder}/{name}.rs"));
            modules.push((name.to_owned(), path.take().or(in_folder)));
        } else if line.ends_with('{') && path.is_some() {
            folder = path.take();
        } else if line == "}" {
            folder = None;
        }
    }
    modules
}

fn module_name(line: &str) -> Option<&str> {
    let declaration = line.strip_suffix(';')?;
    let (before, name) = declaration.rsplit_once("mod ")?;
    let is_visibility = before.is_empty() || before.starts_with("pub");
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_visibility && is_name).then_some(name)
}

#[test]
fn functions_are_found_with_their_length() {
    let text = "
impl A {
    #[test]
    // why
    pub(crate) async fn is_a_long_one(
        self,
    ) -> u8 {
        7
    }

    const fn short() {}
    fn declared();
}
fn last() {
}
";
    let found = functions(text);
    let short: Vec<_> = found.iter().map(|f| (&*f.name, f.line, f.lines, f.is_test)).collect();
    assert_eq!(
        short,
        [
            ("is_a_long_one", 5, 5, true),
            ("short", 11, 1, false),
            ("declared", 12, 1, false),
            ("last", 14, 2, false)
        ]
    );
}

#[test]
fn modules_are_found_with_their_path() {
    let text = "mod a;\npub(crate) mod b;\n#[path = \"../x.rs\"]\nmod c;\nmod d {\n}\nuse mod_e;\n\
                #[path = \"../f\"]\nmod f {\n    mod g;\n}\nmod h;\n";
    let path = |name: &str, path: Option<&str>| (name.to_owned(), path.map(str::to_owned));
    assert_eq!(
        modules(text),
        [
            path("a", None),
            path("b", None),
            path("c", Some("../x.rs")),
            path("g", Some("../f/g.rs")),
            path("h", None)
        ]
    );
}
