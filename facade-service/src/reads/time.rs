//! Times in answers.

use std::time::{Duration, SystemTime};

// The last second with four digits for its year.
const LATEST: Duration = Duration::from_secs(253_402_300_799);

/// `time` after RFC 3339, in UTC, to the nanosecond. Clocks that are far off show the first or the
/// last moment there is a notation for.
pub(super) fn rfc3339(time: SystemTime) -> humantime::Rfc3339Timestamp {
    let since_1970 = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_nanos(SystemTime::UNIX_EPOCH + since_1970.min(LATEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_can_be_shown() {
        let shown = |seconds: i64, nanos| {
            let offset = Duration::new(seconds.unsigned_abs(), nanos);
            let time = if seconds < 0 {
                SystemTime::UNIX_EPOCH - offset
            } else {
                SystemTime::UNIX_EPOCH + offset
            };
            rfc3339(time).to_string()
        };
        assert_eq!(shown(1_700_000_000, 42), "2023-11-14T22:13:20.000000042Z");
        assert_eq!(shown(-5, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(shown(1 << 40, 0), "9999-12-31T23:59:59.000000000Z");
    }
}
