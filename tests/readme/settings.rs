//! The table of docs/settings.md and `--help` say the same.

use std::{collections::BTreeSet, process::Command};

use faultlab::programs::Program;

use crate::document;

/// A row: service, flag, variable and, if the table names it, default.
type Setting = (Program, String, String, Option<String>);

fn table() -> Vec<Setting> {
    let text = document("docs/settings.md");
    let mut service = None;
    let mut settings = Vec::new();
    for row in text.lines().filter(|line| line.starts_with('|') && line.contains("`--")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, flag, variable, default] = cells[..] else { continue };
        service = Program::of_package(name).or(service);
        let code = |cell: &str| cell.split('`').nth(1).map(str::to_owned);
        let (flag, variable) = (code(flag).expect("a flag"), code(variable).expect("a variable"));
        settings.push((service.expect("a service"), flag, variable, code(default)));
    }
    settings
}

fn help(program: Program) -> String {
    let output =
        Command::new(program.path().expect("the program")).arg("--help").output().expect("help");
    // It is wrapped to the width of a terminal.
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_table_of_settings_says_what_help_says() {
    let table = table();
    for (program, flag, variable, default) in &table {
        let help = help(*program);
        assert!(help.contains(flag.as_str()), "{program:?} has no {flag}: {help}");
        assert!(help.contains(&format!("[env: {variable}=")), "{variable}: {help}");
        if let Some(default) = default {
            assert!(help.contains(&format!("[default: {default}]")), "{flag} {default}: {help}");
        }
    }
    for program in [Program::Facade, Program::Logging, Program::Messages] {
        let told: BTreeSet<&str> =
            table.iter().filter(|row| row.0 == program).map(|row| row.1.as_str()).collect();
        let help = help(program);
        let flags = help.split_whitespace().filter(|word| word.starts_with("--"));
        let flags = flags.filter(|flag| !["--help", "--version"].contains(flag));
        let flags: BTreeSet<&str> = flags.map(|flag| flag.trim_end_matches(',')).collect();
        assert_eq!(told, flags, "{program:?}");
    }
}
