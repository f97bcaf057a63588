//! The value of a flag, as it was given.

use std::{
    ffi::{OsStr, OsString},
    fmt,
};

use clap::{
    Arg, Command,
    builder::{TypedValueParser, ValueParserFactory},
    parser::ValueSource,
};

/// Characters of a value that are shown.
const SHOWN_CHARS_MAX: usize = 100;

/// A value, and what it was given by: a flag or a variable. It may be any bytes, so that everything that is
/// wrong with it is told by [`Checks`](super::Checks). Shown as name and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    name: String,
    value: OsString,
    default: Option<String>,
}

impl Setting {
    /// `value`, given by `name`.
    pub fn new(name: impl Into<String>, value: impl Into<OsString>) -> Self {
        Self { name: name.into(), value: value.into(), default: None }
    }

    /// What was given.
    pub fn value(&self) -> &OsStr {
        &self.value
    }

    /// One of several values that are given together.
    #[must_use]
    pub fn part(&self, value: &str) -> Self {
        Self { value: value.into(), ..self.clone() }
    }

    /// The value that it has by default.
    pub(super) fn default(&self) -> Option<&str> {
        self.default.as_deref()
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.name)?;
        match self.value.to_str().map(|text| text.char_indices().nth(SHOWN_CHARS_MAX)) {
            Some(Some((end, _))) => {
                write!(
                    f,
                    "{:?}…",
                    self.value.to_str().and_then(|text| text.get(..end)).unwrap_or("")
                )
            }
            Some(None) | None => write!(f, "{:?}", self.value),
        }
    }
}

impl ValueParserFactory for Setting {
    type Parser = SettingParser;

    fn value_parser() -> SettingParser {
        SettingParser
    }
}

/// Takes any value, and notes what it was given by.
#[derive(Debug, Clone, Copy)]
pub struct SettingParser;

impl TypedValueParser for SettingParser {
    type Value = Setting;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Setting, clap::Error> {
        self.parse_ref_(command, arg, value, ValueSource::CommandLine)
    }

    fn parse_ref_(
        &self,
        _: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<Setting, clap::Error> {
        let default = arg.and_then(|arg| arg.get_default_values().first());
        Ok(Setting {
            name: arg.map_or_else(String::new, |arg| name(arg, source)),
            value: value.to_owned(),
            default: default.and_then(|default| default.to_str()).map(str::to_owned),
        })
    }
}

/// What a person wrote to give `arg` its value, or could write.
fn name(arg: &Arg, source: ValueSource) -> String {
    match (arg.get_env(), arg.get_long(), arg.get_value_names()) {
        (Some(variable), _, _) if source == ValueSource::EnvVariable => {
            variable.to_string_lossy().into_owned()
        }
        (_, Some(flag), _) => format!("--{flag}"),
        (_, None, Some([value, ..])) => value.to_string(),
        (_, None, _) => arg.get_id().as_str().to_uppercase(),
    }
}

/// Parses what turns a flag without a value on or off in a variable: off are `0`, `false`, `f`, `no`, `n` and
/// `off`, in any case; everything else is on.
#[derive(Debug, Clone, Copy)]
pub struct Switch;

impl TypedValueParser for Switch {
    type Value = bool;

    fn parse_ref(&self, _: &Command, _: Option<&Arg>, value: &OsStr) -> Result<bool, clap::Error> {
        const OFF: [&str; 7] = ["", "0", "false", "f", "no", "n", "off"];
        Ok(!OFF.iter().any(|off| value.eq_ignore_ascii_case(off)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_shows_its_name_and_the_beginning_of_its_value() {
        let shown = |value: &str| Setting::new("--flag", value).to_string();
        assert_eq!(shown("a\n"), r#"--flag "a\n""#);
        let whole = "é".repeat(SHOWN_CHARS_MAX);
        assert_eq!(shown(&whole), format!("--flag {whole:?}"));
        assert_eq!(shown(&format!("{whole}é")), format!("--flag {whole:?}…"));
    }

    #[test]
    fn a_switch_is_off_by_few_words_only() {
        let parse =
            |value: &str| Switch.parse_ref(&Command::new(""), None, value.as_ref()).unwrap();
        assert_eq!(["0", "False", "NO", "off", ""].map(parse), [false; 5]);
        assert_eq!(["1", "true", "yes", "on", "x"].map(parse), [true; 5]);
    }
}
