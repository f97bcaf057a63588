//! What settings mean, and what is wrong with them.

use std::{
    fmt,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use http::Uri;

use super::Setting;

/// The longest timeout a setting may ask for. A deadline too far away is one no clock can hold.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What a timeout may be.
pub const TIMEOUTS: RangeInclusive<Duration> = Duration::from_nanos(1)..=TIMEOUT_MAX;

/// Collects what is wrong with settings.
#[derive(Debug, Default)]
pub struct Checks {
    problems: Vec<String>,
}

impl Checks {
    /// Parses a value. On failure notes the problem and returns `None`. The error of the type says what to
    /// write.
    pub fn parse<T>(&mut self, setting: &Setting) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.text(setting)?;
        text.parse().map_err(|error| self.problem(setting, error)).ok()
    }

    /// As [`Checks::parse`], of a setting that may be left out.
    pub fn parse_optional<T>(&mut self, setting: Option<&Setting>) -> Option<Option<T>>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        match setting {
            Some(setting) => self.parse(setting).map(Some),
            None => Some(None),
        }
    }

    /// The value as text.
    pub fn text<'s>(&mut self, setting: &'s Setting) -> Option<&'s str> {
        let text = setting.value().to_str();
        if text.is_none() {
            self.problem(setting, "is not text; write it in UTF-8");
        }
        text
    }

    /// The value as the name of a file or directory, which may be any bytes.
    pub fn path(&mut self, setting: &Setting) -> Option<PathBuf> {
        if setting.value().is_empty() {
            self.problem(setting, "write the name of a file or directory");
            return None;
        }
        Some(Path::new(setting.value()).to_owned())
    }

    /// Parses a whole number.
    pub fn number<T>(&mut self, setting: &Setting, allowed: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let number = self.text(setting)?.parse().ok().filter(|number| allowed.contains(number));
        if number.is_none() {
            let (least, most) = allowed.into_inner();
            self.problem(setting, format_args!("write a whole number from {least} to {most}"));
        }
        number
    }

    /// Parses an address to listen on. A name is none: it may have several addresses, or others tomorrow.
    pub fn listen(&mut self, setting: &Setting) -> Option<SocketAddr> {
        let text = self.text(setting)?;
        let address = text.parse().ok();
        if address.is_none() {
            let port = |text: &str| text.rsplit(':').next()?.parse::<u16>().ok();
            let port = port(text).or_else(|| port(setting.default()?)).unwrap_or(0);
            self.problem(
                setting,
                format_args!(
                    "write an IP address and a port: 127.0.0.1:{port} for this machine alone, \
                     0.0.0.0:{port} or [::]:{port} for the network"
                ),
            );
        }
        address
    }

    /// Parses a duration such as `2s` or `500ms`.
    pub fn duration(
        &mut self,
        setting: &Setting,
        allowed: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let text = self.text(setting)?;
        let (least, most) = allowed.into_inner();
        // Each part before their sum, which in humantime 2.4.0 may panic: its carry is off by one.
        let mut parts =
            duration_parts(text).filter_map(|part| humantime::parse_duration(part).ok());
        let parsed = match parts.find(|part| *part > most) {
            Some(part) => Ok(part),
            None => humantime::parse_duration(text),
        };
        match parsed {
            Ok(duration) if duration > most => {
                let longest = humantime::format_duration(most);
                self.problem(setting, format_args!("must be at most {longest}"));
            }
            Ok(duration) if duration < least => {
                self.problem(setting, "must be longer than zero; write 2s or 500ms");
            }
            Ok(duration) => return Some(duration),
            Err(_) if text.starts_with('-') => {
                self.problem(setting, "must not be negative; write 2s or 500ms");
            }
            Err(error) => self.problem(setting, format_args!("{error}; write 2s or 500ms")),
        }
        None
    }

    /// Parses the URL of a service: `http://host:port` and nothing more.
    pub fn service_url(&mut self, setting: &Setting) -> Option<Uri> {
        match self.text(setting)?.parse::<Uri>() {
            Ok(uri) if is_service_url(&uri) => return Some(uri),
            Ok(_) => self.problem(setting, "write http://host:port"),
            Err(error) => self.problem(setting, format_args!("{error}; write http://host:port")),
        }
        None
    }

    /// Parses a size such as `64MiB`, `512KiB` or a number of bytes.
    pub fn byte_size(&mut self, setting: &Setting, allowed: RangeInclusive<u64>) -> Option<u64> {
        let value = self.text(setting)?;
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
                self.problem(setting, format_args!("must be {least} to {most} bytes"));
            }
            None => self.problem(setting, "write 64MiB, 512KiB or a number of bytes"),
        }
        None
    }

    /// Notes a problem with a value.
    pub fn problem(&mut self, setting: &Setting, problem: impl fmt::Display) {
        self.problems.push(format!("{setting}: {problem}"));
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

/// Everything that is wrong with the settings. The process ends with [`Exit::Usage`](crate::process::exit::Exit::Usage).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("wrong settings:\n  {}\n--help explains every setting", .0.join("\n  "))]
pub struct WrongSettings(pub Vec<String>);

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

    use super::*;

    fn given(value: &str) -> Setting {
        Setting::new("--flag", value)
    }

    /// What is wrong with `value`, without its name.
    fn problem<T>(value: &str, check: impl FnOnce(&mut Checks, &Setting) -> Option<T>) -> String {
        let (mut checks, setting) = (Checks::default(), given(value));
        assert!(check(&mut checks, &setting).is_none(), "{value:?} was taken");
        let wrong = checks.wrong().0;
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        wrong[0].strip_prefix(&format!("--flag {value:?}: ")).unwrap().to_owned()
    }

    #[test]
    fn every_wrong_setting_is_reported_in_one_run() {
        let mut checks = Checks::default();
        assert_eq!(checks.listen(&Setting::new("--listen", "nope")), None);
        assert_eq!(checks.duration(&Setting::new("ATTEMPT_TIMEOUT", "0s"), TIMEOUTS), None);
        assert_eq!(checks.service_url(&Setting::new("--logging-url", "ftp://x")), None);
        let wrong = checks.wrong();
        assert_eq!(wrong.0.len(), 3, "{wrong}");
        assert!(wrong.to_string().contains("--logging-url \"ftp://x\": write http://host:port"));
        assert!(wrong.to_string().contains("ATTEMPT_TIMEOUT \"0s\": must be longer"), "{wrong}");
    }

    #[test]
    fn settings_are_built_of_values_that_are_all_right() {
        let finish = |text| {
            let mut checks = Checks::default();
            let (one, two) = (checks.parse(&given("1")), checks.parse(&given(text)));
            checks.finish(|| Some((one?, two?)))
        };
        assert_eq!(finish("2"), Ok((1, 2)));
        assert_eq!(finish("two").unwrap_err().0.len(), 1);
        let mut checks = Checks::default();
        checks.problem(&given("1"), "must be smaller than --two");
        assert_eq!(checks.finish(|| Some(1)).unwrap_err().0.len(), 1);
    }

    #[test]
    fn a_duration_is_one_that_a_deadline_can_be_made_of() {
        let parse = |value| Checks::default().duration(&given(value), TIMEOUTS);
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("24h"), Some(TIMEOUT_MAX));
        for wrong in ["0s", "24h 1ns", "400000000000y", "-1s", "2", "", "soon"] {
            let problem = problem(wrong, |checks, setting| checks.duration(setting, TIMEOUTS));
            assert!(problem.contains("write 2s") || problem.contains("at most 1day"), "{problem}");
        }
    }

    #[test]
    fn a_duration_may_be_zero_where_that_means_not_at_all() {
        let allowed = Duration::ZERO..=Duration::from_secs(3600);
        let parse = |value| Checks::default().duration(&given(value), allowed.clone());
        assert_eq!(parse("0s"), Some(Duration::ZERO));
        assert_eq!(parse("61m"), None);
        assert_eq!(parse("18446744073709551615s 1000000000ns"), None);
    }

    #[test]
    fn a_duration_whose_parts_run_over_together_is_refused() {
        let parse = |value| Checks::default().duration(&given(value), TIMEOUTS);
        let too_long =
            ["18446744073709551615s 1000000000ns", "18446744073709551615s 1000ms", "12h 12h 1ns"];
        assert_eq!(too_long.map(parse), [None; 3]);
        assert_eq!(parse("12h12h"), Some(TIMEOUT_MAX));
        assert_eq!(parse("1 h 30m 5 s"), Some(Duration::from_secs(5405)));
    }

    #[test]
    fn a_size_has_a_binary_unit_or_none() {
        let parse = |value| Checks::default().byte_size(&given(value), 1..=1 << 40);
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
        let parse = |value| Checks::default().service_url(&given(value)).is_some();
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

    #[test]
    fn an_address_that_is_none_is_answered_with_those_to_write() {
        let listen = |value| Checks::default().listen(&given(value));
        assert_eq!(listen("127.0.0.1:0"), Some(([127, 0, 0, 1], 0).into()));
        assert!(listen("[::1]:5000").is_some());
        for (wrong, expected) in
            [("localhost:5000", "127.0.0.1:5000 "), (":80", "0.0.0.0:80 "), ("81", "[::]:81 ")]
        {
            let problem = problem(wrong, Checks::listen);
            assert!(problem.contains(expected), "{wrong}: {problem}");
        }
    }

    #[test]
    fn a_number_out_of_its_range_is_answered_with_the_range() {
        let number = |value| Checks::default().number(&given(value), 1..=9);
        assert_eq!(["1", "9"].map(number), [Some(1), Some(9)]);
        for wrong in ["0", "10", "-1", "1.5", "", "one", "99999999999999999999"] {
            let problem = problem(wrong, |checks, setting| checks.number(setting, 1..=9));
            assert_eq!(problem, "write a whole number from 1 to 9");
        }
    }

    #[test]
    fn a_value_that_is_no_text_is_one_problem_among_the_others() {
        let mut checks = Checks::default();
        let setting = Setting::new("LOGGING_URL", OsStr::from_bytes(b"http://\xff:1"));
        assert_eq!(checks.service_url(&setting), None);
        assert_eq!(checks.listen(&given("")), None);
        let wrong = checks.wrong().0;
        assert_eq!(wrong[0], r#"LOGGING_URL "http://\xFF:1": is not text; write it in UTF-8"#);
        assert_eq!(wrong.len(), 2);
        assert!(Checks::default().path(&setting).is_some(), "a file may have such a name");
    }
}
