//! Settings from flags and environment variables: all that is wrong is reported at once.
//!
//! The services declare their flags as plain text with `clap` and parse them here, because `clap`
//! stops at the first value it cannot parse.

use std::{fmt, ops::RangeInclusive, str::FromStr, time::Duration};

use clap::{Parser, error::ErrorKind};
use http::Uri;

use super::exit::Exit;

/// The longest timeout a setting may ask for. A deadline too far away is one no clock can hold.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the command line and the environment.
///
/// # Errors
/// Prints help, version or what is wrong, and returns the code to exit with.
pub fn parse_args<Args: Parser>() -> Result<Args, Exit> {
    Args::try_parse().map_err(|error| {
        // If the terminal is gone, the code still says it.
        let _ = error.print();
        #[allow(clippy::wildcard_enum_match_arm)] // Foreign, and every other kind is a usage error.
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Success,
            _ => Exit::Usage,
        }
    })
}

/// Collects what is wrong with the settings.
#[derive(Debug, Default)]
pub struct Checks {
    problems: Vec<String>,
}

impl Checks {
    /// Parses the value of `flag`. On failure notes the problem and returns `None`.
    pub fn parse<T>(&mut self, flag: &str, value: &str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        value.parse().map_err(|error| self.problem(flag, value, error)).ok()
    }

    /// Parses a duration such as `2s` or `500ms`: longer than zero, at most
    /// [`TIMEOUT_MAX`].
    pub fn duration(&mut self, flag: &str, value: &str) -> Option<Duration> {
        let duration = self.duration_or_zero(flag, value)?;
        if duration.is_zero() {
            self.problem(flag, value, "must be longer than zero");
            return None;
        }
        Some(duration)
    }

    /// Parses a duration such as `2s` or `0s`: at most [`TIMEOUT_MAX`].
    pub fn duration_or_zero(&mut self, flag: &str, value: &str) -> Option<Duration> {
        let is_too_long = |duration: &Duration| *duration > TIMEOUT_MAX;
        // Each part before their sum, which in humantime 2.4.0 may panic: its carry is off by one.
        let mut parts =
            duration_parts(value).filter_map(|part| humantime::parse_duration(part).ok());
        let parsed = match parts.find(is_too_long) {
            Some(part) => Ok(part),
            None => humantime::parse_duration(value),
        };
        match parsed {
            Ok(duration) if is_too_long(&duration) => {
                let longest = humantime::format_duration(TIMEOUT_MAX);
                self.problem(flag, value, format_args!("must be at most {longest}"));
            }
            Ok(duration) => return Some(duration),
            Err(error) => self.problem(flag, value, format_args!("{error}; write 2s or 500ms")),
        }
        None
    }

    /// Parses the URL of a service: `http://host:port` and nothing more.
    pub fn service_url(&mut self, flag: &str, value: &str) -> Option<Uri> {
        match value.parse::<Uri>() {
            Ok(uri) if is_service_url(&uri) => return Some(uri),
            Ok(_) => self.problem(flag, value, "write http://host:port"),
            Err(error) => self.problem(flag, value, format!("{error}; write http://host:port")),
        }
        None
    }

    /// Parses a size such as `64MiB`, `512KiB` or a number of bytes.
    pub fn byte_size(
        &mut self,
        flag: &str,
        value: &str,
        allowed: RangeInclusive<u64>,
    ) -> Option<u64> {
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = value.split_at(digits);
        let unit_bytes = match unit {
            "" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let bytes = number.parse::<u64>().ok().zip(unit_bytes);
        let bytes = bytes.and_then(|(number, unit_bytes)| number.checked_mul(unit_bytes));
        match bytes {
            Some(bytes) if allowed.contains(&bytes) => return Some(bytes),
            Some(_) => {
                let (least, most) = allowed.into_inner();
                self.problem(flag, value, format_args!("must be {least} to {most} bytes"));
            }
            None => self.problem(flag, value, "write 64MiB, 512KiB or a number of bytes"),
        }
        None
    }

    /// Notes a problem with the value of `flag`.
    pub fn problem(&mut self, flag: &str, value: &str, problem: impl fmt::Display) {
        self.problems.push(format!("{flag} {value:?}: {problem}"));
    }

    /// What `build` makes of the values that were parsed, if none is wrong. It returns none for a value
    /// that could not be parsed.
    ///
    /// # Errors
    /// All that is wrong.
    ///
    /// # Panics
    /// If `build` returns none and no problem was noted.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, WrongSettings> {
        if !self.problems.is_empty() {
            return Err(self.wrong());
        }
        let Some(built) = build() else {
            panic!("a setting is missing and no problem was noted");
        };
        Ok(built)
    }

    /// What is wrong, if anything is.
    pub fn wrong(self) -> WrongSettings {
        WrongSettings(self.problems)
    }
}

/// `1h` and `30m` of `1h 30m`: a number begins a part unless it goes on with one.
fn duration_parts(text: &str) -> impl Iterator<Item = &str> {
    let mut last = '0';
    let begins = text.char_indices().filter_map(move |(at, char)| {
        let begins = char.is_ascii_digit() && last.is_alphabetic();
        last = if char.is_whitespace() { last } else { char };
        begins.then_some(at)
    });
    let mut start = 0;
    begins.chain([text.len()]).map(move |end| {
        let part = &text[start..end];
        start = end;
        part
    })
}

fn is_service_url(uri: &Uri) -> bool {
    // The parser takes text in front of an address in brackets, and leaves it out of the host.
    let host_and_port_alone =
        uri.authority().zip(uri.host()).zip(uri.port()).is_some_and(|((authority, host), port)| {
            !host.is_empty() && authority.as_str() == format!("{host}:{}", port.as_str())
        });
    uri.scheme_str() == Some("http")
        && host_and_port_alone
        && matches!(uri.path_and_query().map(http::uri::PathAndQuery::as_str), None | Some("/"))
}

/// Everything that is wrong with the settings. The process ends with [`Exit::Usage`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wrong settings:\n  {}\n--help explains every setting", .0.join("\n  "))]
pub struct WrongSettings(pub Vec<String>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_setting_is_reported_in_one_run() {
        let mut checks = Checks::default();
        assert_eq!(checks.parse::<std::net::SocketAddr>("--listen", "nope"), None);
        assert_eq!(checks.duration("--attempt-timeout", "0s"), None);
        assert_eq!(checks.service_url("--logging-url", "ftp://x"), None);
        let wrong = checks.wrong();
        assert_eq!(wrong.0.len(), 3, "{wrong}");
        assert!(wrong.to_string().contains("--logging-url \"ftp://x\": write http://host:port"));
    }

    #[test]
    fn settings_are_built_of_values_that_are_all_right() {
        let finish = |text| {
            let mut checks = Checks::default();
            let (one, two) = (checks.parse("--one", "1"), checks.parse("--two", text));
            checks.finish(|| Some((one?, two?)))
        };
        assert_eq!(finish("2"), Ok((1, 2)));
        assert_eq!(finish("two").unwrap_err().0.len(), 1);
        let mut checks = Checks::default();
        checks.problem("--one", "1", "must be smaller than --two");
        assert_eq!(checks.finish(|| Some(1)).unwrap_err().0.len(), 1);
    }

    #[test]
    fn a_duration_is_one_that_a_deadline_can_be_made_of() {
        let parse = |value| Checks::default().duration("--timeout", value);
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("24h"), Some(TIMEOUT_MAX));
        for wrong in ["0s", "24h 1ns", "400000000000y", "-1s", "2", ""] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_duration_may_be_zero_where_that_means_not_at_all() {
        let parse = |value| Checks::default().duration_or_zero("--warmup", value);
        assert_eq!(parse("0s"), Some(Duration::ZERO));
        assert_eq!(parse("18446744073709551615s 1000000000ns"), None);
    }

    #[test]
    fn a_duration_whose_parts_run_over_together_is_refused() {
        let parse = |value| Checks::default().duration("--timeout", value);
        let too_long =
            ["18446744073709551615s 1000000000ns", "18446744073709551615s 1000ms", "12h 12h 1ns"];
        assert_eq!(too_long.map(parse), [None; 3]);
        assert_eq!(parse("12h12h"), Some(TIMEOUT_MAX));
        assert_eq!(parse("1 h 30m 5 s"), Some(Duration::from_secs(5405)));
    }

    #[test]
    fn a_size_has_a_binary_unit_or_none() {
        let parse = |value| Checks::default().byte_size("--size", value, 1..=1 << 40);
        let sizes = ["64MiB", "512KiB", "100"].map(parse);
        assert_eq!(sizes, [Some(64 << 20), Some(512 << 10), Some(100)]);
        for wrong in
            ["", "MiB", "1MB", "1.5MiB", "-1", "0", "99999999999999999999", "99999999999GiB"]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_service_url_names_host_and_port_and_nothing_else() {
        let parse = |value| Checks::default().service_url("--url", value).is_some();
        for right in ["http://127.0.0.1:5001", "http://logging:5001/", "http://[::1]:5001"] {
            assert!(parse(right), "{right:?} was refused");
        }
        let one_part_missing = ["127.0.0.1:5001", "http://a", ""];
        let one_too_many =
            ["https://a:1", "http://a:1/x", "http://u:p@a:1", "http://junk[::1]:5001"];
        for wrong in one_part_missing.into_iter().chain(one_too_many) {
            assert!(!parse(wrong), "{wrong:?} was taken");
        }
    }
}
