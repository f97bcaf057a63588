//! When a record was stored: which times a record can hold, and how a time is written. The wall clock may
//! show any time at all.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// `time`, or the nearest one that a record can hold: whole nanoseconds since 1970 in 64 bits, which are the
/// years 1677 to 2262. A receipt holds it too, so that both say the same for ever.
pub fn recordable(time: SystemTime) -> SystemTime {
    let (before, after) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (Duration::ZERO, after),
        Err(error) => (error.duration(), Duration::ZERO),
    };
    UNIX_EPOCH - before.min(Duration::from_nanos(i64::MIN.unsigned_abs()))
        + after.min(Duration::from_nanos(i64::MAX.unsigned_abs()))
}

/// `time` in UTC after RFC 3339, to the nanosecond. Outside of the years 0000 to 9999, which it has names
/// for, it is the first or the last of them.
pub fn rfc3339(time: SystemTime) -> Rfc3339 {
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(error) => {
            let before = error.duration();
            let seconds = i64::try_from(before.as_secs()).map_or(i64::MIN, |seconds| -seconds);
            match before.subsec_nanos() {
                0 => (seconds, 0),
                nanos => (seconds.saturating_sub(1), 1_000_000_000 - nanos),
            }
        }
    };
    if seconds < FIRST_SECOND {
        Rfc3339 { seconds: FIRST_SECOND, nanos: 0 }
    } else if seconds > LAST_SECOND {
        Rfc3339 { seconds: LAST_SECOND, nanos: 999_999_999 }
    } else {
        Rfc3339 { seconds, nanos }
    }
}

/// 0000-01-01T00:00:00Z.
const FIRST_SECOND: i64 = -62_167_219_200;

/// 9999-12-31T23:59:59Z.
const LAST_SECOND: i64 = 253_402_300_799;

/// A time as text, such as `2023-11-14T22:13:20.000000042Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339 {
    /// Since 1970, of the years 0000 to 9999.
    seconds: i64,
    nanos: u32,
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = calendar(self.seconds.div_euclid(SECONDS_PER_DAY));
        let second = self.seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let nanos = self.nanos;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
    }
}

/// Year, month and day of the day that is `days` after 1970-01-01, in the Gregorian calendar. Years are
/// counted from March, so that the day of a leap year is the last one.
const fn calendar(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    const DAYS_TO_1970: i64 = 719_468;

    let days = days + DAYS_TO_1970;
    let cycle = days.div_euclid(DAYS_PER_400_YEARS);
    let day_of_cycle = days.rem_euclid(DAYS_PER_400_YEARS);
    let leap_days = day_of_cycle / 1_460 - day_of_cycle / 36_524 + day_of_cycle / 146_096;
    let year_of_cycle = (day_of_cycle - leap_days) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // Months of 31, 30, 31, 30, 31 days repeat from March on: 153 days for five of them.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let begins_in_next_year = month <= 2;
    (cycle * 400 + year_of_cycle + begins_in_next_year as i64, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(seconds: i64, nanos: u32) -> SystemTime {
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let whole = if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance };
        whole + Duration::from_nanos(nanos.into())
    }

    #[test]
    fn any_time_can_be_written() {
        let written = |seconds, nanos| rfc3339(unix(seconds, nanos)).to_string();
        assert_eq!(written(1_700_000_000, 42), "2023-11-14T22:13:20.000000042Z");
        assert_eq!(written(951_827_696, 0), "2000-02-29T12:34:56.000000000Z");
        assert_eq!(written(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(written(-1, 500_000_000), "1969-12-31T23:59:59.500000000Z");
        assert_eq!(written(-2_208_988_800, 0), "1900-01-01T00:00:00.000000000Z");
        assert_eq!(written(FIRST_SECOND, 0), "0000-01-01T00:00:00.000000000Z");
        assert_eq!(written(FIRST_SECOND - 1, 7), "0000-01-01T00:00:00.000000000Z");
        assert_eq!(written(LAST_SECOND, 999_999_999), "9999-12-31T23:59:59.999999999Z");
        for seconds in [LAST_SECOND + 1, 1 << 45, i64::MAX] {
            assert_eq!(written(seconds, 7), "9999-12-31T23:59:59.999999999Z");
        }
        assert_eq!(written(i64::MIN, 0), "0000-01-01T00:00:00.000000000Z");
    }

    #[test]
    fn the_written_form_is_that_of_a_library_from_1970_on() {
        let mut seconds = 0;
        while seconds < LAST_SECOND {
            let time = unix(seconds, 5);
            let expected = humantime::format_rfc3339_nanos(time).to_string();
            assert_eq!(rfc3339(time).to_string(), expected);
            // About four days, and not the same time of day.
            seconds += 345_707;
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut last = calendar(FIRST_SECOND / SECONDS_PER_DAY);
        assert_eq!(last, (0, 1, 1));
        for days in FIRST_SECOND / SECONDS_PER_DAY + 1..=0 {
            let (year, month, day) = calendar(days);
            let is_next = match (year - last.0, month - last.1) {
                (0, 0) => day == last.2 + 1,
                (0, 1) => day == 1 && last.2 >= 28,
                (1, -11) => day == 1 && last.2 == 31,
                _ => false,
            };
            assert!(is_next && day <= 31, "{days}: {last:?}, {year} {month} {day}");
            last = (year, month, day);
        }
        assert_eq!(last, (1970, 1, 1));
    }

    #[test]
    fn a_time_that_no_record_can_hold_becomes_the_nearest() {
        for time in [unix(0, 0), unix(1_700_000_000, 1), unix(-2_208_988_800, 9)] {
            assert_eq!(recordable(time), time);
        }
        let written = |time| rfc3339(recordable(time)).to_string();
        assert_eq!(written(unix(1 << 45, 0)), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(written(unix(-(1 << 45), 0)), "1677-09-21T00:12:43.145224192Z");
    }
}
