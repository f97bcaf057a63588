//! What flags and environment variables may say.

use std::time::Duration;

use http::Uri;
use oncelog::process::settings::{Checks, Setting, TIMEOUT_MAX, TIMEOUTS};

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    duration(text);
    size(text);
    url(text);
}

fn checks<T>(check: impl FnOnce(&mut Checks) -> Option<T>) -> Option<T> {
    let mut checks = Checks::default();
    let value = check(&mut checks);
    let problems = checks.wrong().0.len();
    assert_eq!(problems, usize::from(value.is_none()), "a wrong value without its problem");
    value
}

fn given(text: &str) -> Setting {
    Setting::new("--flag", text)
}

fn duration(text: &str) {
    let parse = |text: &str| checks(|checks| checks.duration(&given(text), TIMEOUTS));
    let Some(duration) = parse(text) else { return };
    assert!(duration > Duration::ZERO && duration <= TIMEOUT_MAX, "{duration:?}");
    let written = humantime::format_duration(duration).to_string();
    assert_eq!(parse(&written), Some(duration), "{written}");
}

fn size(text: &str) {
    const ALLOWED: std::ops::RangeInclusive<u64> = 1..=1 << 40;
    let found = checks(|checks| checks.byte_size(&given(text), ALLOWED));
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("", 0)];
    let (digits, shift) = units
        .into_iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)))
        .unwrap_or((text, 0));
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // Counted without any bound, so that nothing can run over.
    let expected = is_number.then(|| {
        let plain = digits.trim_start_matches('0');
        if plain.len() > 20 { u128::MAX } else { plain.parse::<u128>().unwrap_or(0) << shift }
    });
    let expected = expected.and_then(|bytes| u64::try_from(bytes).ok());
    assert_eq!(found, expected.filter(|bytes| ALLOWED.contains(bytes)), "{text:?}");
}

fn url(text: &str) {
    let Some(uri) = checks(|checks| checks.service_url(&given(text))) else { return };
    let (host, port) = (uri.host().unwrap(), uri.port_u16().unwrap());
    let again: Uri = format!("http://{host}:{port}").parse().unwrap();
    assert_eq!((again.host(), again.port_u16()), (Some(host), Some(port)));
}
