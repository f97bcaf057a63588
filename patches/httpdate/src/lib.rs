//! HTTP dates (RFC 9110 5.6.7), in the place of the crate `httpdate`.
//!
//! Hyper writes a date whenever it polls a connection, also where no `Date` header is wanted, and the
//! published crate panics for a clock before 1970 or after 9999: such a clock would end every connection.
//! Here such a time is written as the nearest date there is. Only what hyper calls is here
//! (docs/adr/0022).

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

/// 9999-12-31T23:59:59Z, the last second with four digits for its year.
const LAST_SECOND: u64 = 253_402_300_799;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A second from 1970 to 9999. Its text has 29 characters, as `Sun, 06 Nov 1994 08:49:37 GMT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpDate {
    seconds_since_1970: u64,
}

impl From<SystemTime> for HttpDate {
    fn from(time: SystemTime) -> Self {
        let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { seconds_since_1970: since_1970.as_secs().min(LAST_SECOND) }
    }
}

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = self.seconds_since_1970 / SECONDS_PER_DAY;
        let second = self.seconds_since_1970 % SECONDS_PER_DAY;
        let (year, month, day) = calendar(days);
        let weekday = WEEKDAYS[(days % 7) as usize];
        let month = MONTHS[month];
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
    }
}

/// Year, month from 0 and day from 1 of the day that is `days` after 1970-01-01, in the Gregorian
/// calendar. Years are counted from March, so that the day of a leap year is the last one.
const fn calendar(days: u64) -> (u64, usize, u64) {
    const DAYS_PER_400_YEARS: u64 = 146_097;
    // From 0000-03-01 to 1970-01-01.
    const DAYS_TO_1970: u64 = 719_468;

    let days = days + DAYS_TO_1970;
    let cycle = days / DAYS_PER_400_YEARS;
    let day_of_cycle = days % DAYS_PER_400_YEARS;
    let leap_days = day_of_cycle / 1_460 - day_of_cycle / 36_524 + day_of_cycle / 146_096;
    let year_of_cycle = (day_of_cycle - leap_days) / 365;
    let day_of_year =
        day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // Months of 31, 30, 31, 30, 31 days repeat from March on: 153 days for five of them.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = ((month_from_march + 2) % 12) as usize;
    let begins_in_next_year = month < 2;
    (cycle * 400 + year_of_cycle + begins_in_next_year as u64, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after_1970(seconds: u64) -> String {
        HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
    }

    #[test]
    fn a_second_is_written_in_the_preferred_form() {
        assert_eq!(after_1970(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(after_1970(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(after_1970(951_827_696), "Tue, 29 Feb 2000 12:34:56 GMT");
        assert_eq!(after_1970(1 << 31), "Tue, 19 Jan 2038 03:14:08 GMT");
        assert_eq!(after_1970(4_107_542_400), "Mon, 01 Mar 2100 00:00:00 GMT");
        assert_eq!(after_1970(LAST_SECOND), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn any_other_time_is_the_nearest_second() {
        let before = |time: Duration| HttpDate::from(UNIX_EPOCH - time).to_string();
        for time in [Duration::from_nanos(1), Duration::from_secs(1 << 40)] {
            assert_eq!(before(time), after_1970(0));
        }
        for seconds in [LAST_SECOND + 1, 1 << 45] {
            assert_eq!(after_1970(seconds), after_1970(LAST_SECOND));
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut last = (1970, 0, 0);
        for days in 0..=LAST_SECOND / SECONDS_PER_DAY {
            let (year, month, day) = calendar(days);
            let is_next = match (year - last.0, month) {
                (0, month) if month == last.1 => day == last.2 + 1,
                (0, month) => month == last.1 + 1 && day == 1 && last.2 >= 28,
                (1, 0) => last.1 == 11 && last.2 == 31 && day == 1,
                _ => false,
            };
            assert!(is_next && day <= 31, "{days}: {last:?}, {year} {month} {day}");
            last = (year, month, day);
        }
        assert_eq!(last, (9999, 11, 31));
    }
}
