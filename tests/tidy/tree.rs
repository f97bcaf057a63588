//! The files of the workspace.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Directories with files that are not ours or not kept.
const SKIPPED: [&str; 3] = ["target", ".git", "data"];

/// A text file: its path from the root, and what is in it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files whose name ends with `ending`, by path.
pub(crate) fn files(ending: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(root(), ending, &mut paths);
    paths.sort();
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")),
        path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
    };
    let files: Vec<Source> = paths.into_iter().map(read).collect();
    assert!(!files.is_empty(), "no file ends with {ending}");
    files
}

/// The file at `path` from the root.
pub(crate) fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The sources of programs and libraries, without their tests.
pub(crate) fn product() -> Vec<Source> {
    let mut sources = files(".rs");
    sources.retain(|source| {
        let parts: Vec<&str> = source.path.split('/').collect();
        parts.contains(&"src") && !parts.contains(&"tests") && parts[0] != "benches"
    });
    for source in &mut sources {
        source.text = without_tests(&source.text);
    }
    sources
}

fn without_tests(text: &str) -> String {
    let Some(start) = text.find("\n#[cfg(test)]\nmod ") else { return text.to_owned() };
    let module = &text[start..];
    let declaration = module.find(";\n").filter(|end| !module[..*end].contains('{'));
    let end = declaration.or_else(|| module.find("\n}\n").map(|end| end + 1));
    format!("{}{}", &text[..start], &module[end.expect("the end of the tests") + 1..])
}

fn collect(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
        let skipped = SKIPPED.contains(&name.as_str()) || (name.starts_with('.') && path.is_dir());
        if path.is_dir() && !skipped {
            collect(&path, ending, found);
        } else if path.is_file() && name.ends_with(ending) {
            found.push(path);
        }
    }
}
