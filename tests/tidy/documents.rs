//! Documents that say what is so.

use std::{collections::BTreeSet, path::Path};

use crate::{
    style::tests,
    tree::{file, files, root},
};

/// The invariants of two documents: paragraphs and list items that begin with the word.
fn invariants() -> Vec<String> {
    let text = [file("ARCHITECTURE.md"), file("docs/invariants.md")].join("\n\n");
    let mut invariants: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.trim();
        let begins = line.trim_start_matches("- ").starts_with("**Invariant:**");
        if begins {
            invariants.push(line.to_owned());
        } else if open && !line.is_empty() && !line.starts_with("- ") {
            let last = invariants.last_mut().expect("an open invariant");
            *last = format!("{last} {line}");
        }
        open = begins || (open && !line.is_empty() && !line.starts_with("- "));
    }
    invariants
}

/// The names in backticks after `Test:` or `Tests:`.
fn tests_of(invariant: &str) -> Vec<&str> {
    let Some((_, named)) = invariant.split_once("Test") else { return Vec::new() };
    named.split('`').skip(1).step_by(2).collect()
}

/// The names of all tests.
fn all_tests() -> BTreeSet<String> {
    let names =
        |text: &str| tests(text).into_iter().map(|(_, name)| name.to_owned()).collect::<Vec<_>>();
    files(".rs").into_iter().flat_map(|source| names(&source.text)).collect()
}

#[test]
fn every_fault_of_use_names_tests_that_exist() {
    let exist = all_tests();
    let text = file("docs/reliability/use.md");
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 15, "{rows:#?}");
    for row in rows {
        let named = row.trim_end_matches(" |").rsplit_once(" | ").expect(row).1;
        let named: Vec<_> = named.split('`').skip(1).step_by(2).collect();
        let missing: Vec<_> = named.iter().filter(|test| !exist.contains(**test)).collect();
        assert!(!named.is_empty() && missing.is_empty(), "{missing:?}: {row}");
    }
}

#[test]
fn every_invariant_names_tests_that_exist() {
    let exist = all_tests();
    let invariants = invariants();
    assert!(invariants.len() >= 10, "invariants are missing: {invariants:#?}");
    let mut missing = Vec::new();
    for invariant in &invariants {
        let named = tests_of(invariant);
        if named.is_empty() {
            missing.push(format!("no test is named: {invariant}"));
        }
        let absent = named.iter().filter(|test| !exist.contains(**test));
        missing.extend(absent.map(|test| format!("{test} does not exist: {invariant}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for document in files(".md") {
        let directory = root().join(Path::new(&document.path).parent().unwrap());
        for target in document.text.split("](").skip(1) {
            let target = target.split([')', '#', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(directory.join(target).exists(), "{}: {target}", document.path);
        }
    }
}

/// An exception without a reason is a hole.
#[test]
fn every_exception_of_deny_toml_has_its_reason() {
    let deny = file("deny.toml");
    for line in deny.lines().map(str::trim).filter(|line| line.contains("RUSTSEC-")) {
        if !line.starts_with('#') {
            let reason = line.split_once("reason = \"").expect(line).1;
            assert!(reason.len() > 40, "not a reason: {line}");
        }
    }
}
