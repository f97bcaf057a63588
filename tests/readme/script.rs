//! The README as a list of steps.

use faultlab::programs::Program;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Run a command; `shown` is what it must print, if the README shows it.
    Command { line: usize, command: String, shown: Option<Vec<String>>, wait: bool },
    /// Stop a service.
    Stop(Program),
    /// Start a service that was stopped.
    Start(Program),
    /// Lines that appear among the log lines of a service.
    Console { line: usize, service: Program, shown: Vec<String> },
}

/// A fenced block.
struct Block<'a> {
    /// Line of its first line, from 1.
    line: usize,
    mark: &'a str,
    lines: Vec<&'a str>,
}

/// What a comment says about the next block.
#[derive(Debug, Default, Clone, Copy)]
struct Hint {
    do_not_wait: bool,
    console: Option<Program>,
}

/// All steps of a document.
pub(crate) fn parse(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut hint = Hint::default();
    // Whether the next block may be the output of the last command.
    let mut follows_commands = false;
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if let Some(mark) = line.strip_prefix("```") {
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let block = Block { line: number + 1, mark, lines: inside.collect() };
            add_block(&mut steps, &block, hint, follows_commands);
            follows_commands = block.mark == "sh";
            hint = Hint::default();
        } else if let Some(comment) = line.trim().strip_prefix("<!-- readme: ") {
            let comment = comment.strip_suffix(" -->").expect("a comment on one line");
            add_comment(&mut steps, &mut hint, comment);
        } else if !line.trim().is_empty() {
            follows_commands = false;
        }
    }
    steps
}

fn add_comment(steps: &mut Vec<Step>, hint: &mut Hint, comment: &str) {
    let service = |name: &str| {
        Program::of_package(name).unwrap_or_else(|| panic!("{name:?} is no service: {comment}"))
    };
    if let Some(name) = comment.strip_prefix("stop ") {
        steps.push(Step::Stop(service(name)));
    } else if let Some(name) = comment.strip_prefix("start ") {
        steps.push(Step::Start(service(name)));
    } else if let Some(name) = comment.strip_prefix("on the console of ") {
        hint.console = Some(service(name));
    } else if comment == "do not wait" {
        hint.do_not_wait = true;
    } else {
        panic!("not understood: {comment}");
    }
}

fn add_block(steps: &mut Vec<Step>, block: &Block<'_>, hint: Hint, follows_commands: bool) {
    let owned = || block.lines.iter().map(|line| (*line).to_owned()).collect();
    match block.mark {
        "sh" => {
            for (line, command) in commands(block) {
                steps.push(Step::Command { line, command, shown: None, wait: !hint.do_not_wait });
            }
        }
        "console" => add_console(steps, block, !hint.do_not_wait),
        _ if hint.console.is_some() => {
            let service = hint.console.expect("checked");
            steps.push(Step::Console { line: block.line, service, shown: owned() });
        }
        "json" | "text" if follows_commands => {
            if let Some(Step::Command { shown, .. }) = steps.last_mut() {
                *shown = Some(owned());
            }
        }
        _ => {}
    }
}

/// The commands of an `sh` block; a backslash at the end of a line continues it.
fn commands(block: &Block<'_>) -> Vec<(usize, String)> {
    let mut commands: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (line, text) in (block.line..).zip(&block.lines) {
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let (part, more) = text.strip_suffix('\\').map_or((*text, false), |part| (part, true));
        match commands.last_mut() {
            Some((_, command)) if continues => command.push_str(part.trim_start()),
            Some(_) | None => commands.push((line, part.to_owned())),
        }
        continues = more;
    }
    commands
}

fn add_console(steps: &mut Vec<Step>, block: &Block<'_>, wait: bool) {
    for (line, text) in (block.line..).zip(&block.lines) {
        if let Some(command) = text.strip_prefix("$ ") {
            let (command, shown) = (command.to_owned(), Some(Vec::new()));
            steps.push(Step::Command { line, command, shown, wait });
        } else if let Some(Step::Command { shown: Some(shown), .. }) = steps.last_mut() {
            shown.push((*text).to_owned());
        }
    }
}

#[test]
fn a_document_becomes_steps() {
    let text = "\
```sh
one \\
  more
two
```
```json
{\"a\":1}
```
Words.
```text
not the output of two
```
<!-- readme: stop logging-service -->
<!-- readme: do not wait -->
```sh
later
```
<!-- readme: on the console of facade-service -->
```text
WARN …
```
<!-- readme: start logging-service -->
```console
$ three
its output
```
";
    let command = |line, command: &str, shown: Option<&str>, wait| Step::Command {
        line,
        command: command.to_owned(),
        shown: shown.map(|shown| vec![shown.to_owned()]),
        wait,
    };
    let shown = vec!["WARN …".to_owned()];
    assert_eq!(
        parse(text),
        [
            command(2, "one more", None, true),
            command(4, "two", Some("{\"a\":1}"), true),
            Step::Stop(Program::Logging),
            command(16, "later", None, false),
            Step::Console { line: 20, service: Program::Facade, shown },
            Step::Start(Program::Logging),
            command(24, "three", Some("its output"), true),
        ]
    );
}
