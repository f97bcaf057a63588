//! Which part may know what.

use crate::tree::{Source, file, files, product};

/// No place in `sources` outside of `home` mentions one of `words`.
#[track_caller]
fn assert_only_at_home(sources: &[Source], home: &[&str], words: &[&str]) {
    let mut found = Vec::new();
    for source in sources {
        if home.iter().any(|home| source.path.starts_with(home)) {
            continue;
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_delivery_retries() {
    let words = ["backoff::", "backoff;", "retry::Policy", "tower::retry", "ExponentialBuilder"];
    assert_only_at_home(&product(), &["facade-service/src/delivery/"], &words);
}

#[test]
fn only_the_store_knows_that_a_disk_exists() {
    let mut sources = product();
    // The command line reads what a user names and looks after stopped journals; the laboratory
    // keeps what it saw.
    let outside = ["cli/", "faultlab/"];
    sources.retain(|source| !outside.iter().any(|outside| source.path.starts_with(outside)));
    let words = ["std::fs", "fs::", "tokio::fs", "rustix::fs", "File::"];
    // Signals are looked up in `/proc`, where the kernel answers about the process.
    let home = ["logging-service/src/store/", "src/process/signal.rs"];
    assert_only_at_home(&sources, &home, &words);
}

#[test]
fn the_facade_has_nowhere_to_keep_a_message() {
    let manifest = file("facade-service/Cargo.toml");
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap_or_default();
    let stores =
        ["logging-service", "rustix", "tempfile", "dashmap", "crc32c", "fjall", "redb", "sled"];
    for store in stores {
        let found = dependencies.lines().find(|line| line.starts_with(store));
        assert_eq!(found, None, "the facade keeps no state");
    }
}

/// A new failure must break the build where failures become statuses, not inherit a status.
#[test]
fn no_error_inherits_a_status() {
    let maps = |source: &Source| {
        ["StatusCode::", "Status::", "Code::", "fn exit("]
            .iter()
            .any(|mark| source.text.contains(mark))
    };
    let mapping: Vec<Source> = product().into_iter().filter(maps).collect();
    assert!(mapping.len() >= 5, "the rule has lost its subject");
    for source in &mapping {
        let lines: Vec<&str> = source.text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let arm = line.trim_start();
            // Foreign errors without end may have one, with the reason beside it.
            let excused = lines[index.saturating_sub(6)..index]
                .iter()
                .any(|line| line.contains("allow(clippy::wildcard_enum_match_arm)] // "));
            let wildcard = arm.starts_with("_ =>") || arm.starts_with("_ if ");
            assert!(excused || !wildcard, "{}:{}: {arm}", source.path, index + 1);
        }
    }
}

#[test]
fn only_the_edge_and_delivery_speak_http_statuses() {
    // gRPC itself has one status of HTTP: for what is no gRPC.
    let homes = ["facade-service/", "cli/", "src/grpc/one_message.rs"];
    assert_only_at_home(&product(), &homes, &["StatusCode::"]);
}

/// A checker that shares code with what it checks shares its mistakes.
#[test]
fn the_fault_laboratory_knows_nothing_of_the_services() {
    let manifest = file("faultlab/Cargo.toml");
    for product in ["oncelog", "facade-service", "logging-service", "messages-service"] {
        let found = manifest.lines().find(|line| line.starts_with(product));
        assert_eq!(found, None, "faultlab depends on {product}");
    }
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    for manifest in files("Cargo.toml") {
        assert!(manifest.text.contains("[lints]\nworkspace = true"), "{}", manifest.path);
    }
    assert!(file("Cargo.toml").contains("unsafe_code = \"forbid\""));
}
