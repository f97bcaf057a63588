//! Files and functions that fit into a head, and no file that nobody compiles.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use crate::{
    code::{functions, modules},
    tree::{file, files, root},
};

const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 400;
const MAIN_LINES_MAX: usize = 60;

#[test]
fn no_file_has_more_than_400_lines() {
    for source in files(".rs") {
        let lines = source.text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", source.path);
    }
}

#[test]
fn no_function_has_more_than_70_lines() {
    for source in files(".rs") {
        for function in functions(&source.text) {
            let (path, line, lines) = (&source.path, function.line, function.lines);
            assert!(lines <= FUNCTION_LINES_MAX, "{path}:{line}: {} has {lines}", function.name);
        }
    }
}

#[test]
fn a_main_only_wires() {
    for service in ["facade-service", "logging-service", "messages-service", "cli"] {
        let main = file(&format!("{service}/src/main.rs"));
        assert!(main.lines().count() <= MAIN_LINES_MAX, "{service} does more than wire");
        let called: Vec<_> = functions(&main).into_iter().map(|function| function.name).collect();
        assert!(called.len() <= 3, "{service}: {called:?} belong into its library");
        assert!(root().join(service).join("src/lib.rs").is_file(), "{service} is no library");
    }
}

/// A file in no module tree looks like code and is not.
#[test]
fn every_source_file_is_in_a_module_tree() {
    let all: BTreeSet<PathBuf> =
        files(".rs").into_iter().map(|source| PathBuf::from(source.path)).collect();
    let mut reached = BTreeSet::new();
    for path in &all {
        if is_crate_root(path) {
            reach(path, true, &all, &mut reached);
        }
    }
    let orphans: Vec<_> = all.difference(&reached).collect();
    assert!(orphans.is_empty(), "no module tree has {orphans:?}");
}

fn is_crate_root(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    let parent = path.parent().and_then(Path::file_name).and_then(|parent| parent.to_str());
    let target = |directory: &str| {
        let grandparent = path.parent().and_then(Path::parent).and_then(Path::file_name);
        parent == Some(directory)
            || (name == "main.rs" && grandparent.is_some_and(|parent| parent == directory))
    };
    name == "build.rs"
        || (parent == Some("src") && ["lib.rs", "main.rs"].contains(&name))
        || ["tests", "benches", "examples"].into_iter().any(target)
            && !path.components().any(|part| part.as_os_str() == "src")
}

fn reach(path: &Path, is_root: bool, all: &BTreeSet<PathBuf>, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(path.to_path_buf()) {
        return;
    }
    let directory = path.parent().unwrap();
    let owns_directory = is_root || path.file_name().unwrap() == "mod.rs";
    let home = if owns_directory { directory.to_path_buf() } else { path.with_extension("") };
    for (name, given) in modules(&file(path.to_str().unwrap())) {
        let candidates = match given {
            Some(given) => vec![clean(&directory.join(given))],
            None => vec![home.join(format!("{name}.rs")), home.join(&name).join("mod.rs")],
        };
        let found = candidates.iter().find(|candidate| all.contains(*candidate));
        let found = found.unwrap_or_else(|| panic!("{}: no file for {name}", path.display()));
        reach(found, false, all, reached);
    }
}

/// Without `..`.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            clean.pop();
        } else {
            clean.push(part);
        }
    }
    clean
}
