//! Short files, each of which is compiled. Clippy holds the length of functions.

use std::path::Path;

use crate::tree::{Source, file, files, root};

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
fn a_main_only_wires() {
    for service in ["facade-service", "logging-service", "messages-service", "cli"] {
        let main = file(&format!("{service}/src/main.rs"));
        assert!(main.lines().count() <= MAIN_LINES_MAX, "{service} does more than wire");
        let functions = main.matches("fn ").count();
        assert!(functions <= 3, "{service}: {functions} functions belong into its library");
        assert!(root().join(service).join("src/lib.rs").is_file(), "{service} is no library");
    }
}

/// A file in no module tree looks like code and is not.
#[test]
fn every_source_file_is_in_a_module_tree() {
    let sources = files(".rs");
    for source in &sources {
        let path = Path::new(&source.path);
        // What a `mod.rs` or `x.rs` is the module of.
        let module = if path.ends_with("mod.rs") { path.parent().unwrap() } else { path };
        let (folder, name) = (module.parent().unwrap(), module.file_stem().unwrap());
        let declaration = format!("mod {};", name.to_str().unwrap());
        let declares = |other: &&Source| {
            let other_path = Path::new(&other.path);
            let is_near = other_path.parent() == Some(folder)
                || other_path.with_extension("") == folder
                || (other_path.starts_with(folder) && other.text.contains("#[path"));
            is_near && other.text.lines().any(|line| line.ends_with(&declaration))
        };
        let is_declared = is_crate_root(path) || sources.iter().any(|other| declares(&other));
        assert!(is_declared, "no module tree has {}", source.path);
    }
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
