//! The `Date` of responses (RFC 9110 6.6.1).

use std::{
    cell::RefCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;
use httpdate::HttpDate;

/// The end of the years that have a date in HTTP: 10000-01-01T00:00:00Z.
const YEAR_10_000: Duration = Duration::from_secs(253_402_300_800);

thread_local! {
    /// The last date and its second since 1970: there are many responses a second.
    static LAST: RefCell<Option<(u64, HeaderValue)>> = const { RefCell::new(None) };
}

/// The time of the wall clock; `None` if there is no date for it, before 1970 and after 9999. Such a clock
/// is wrong, and a server without a clock sends no `Date`.
pub(crate) fn now() -> Option<HeaderValue> {
    at(SystemTime::now())
}

fn at(time: SystemTime) -> Option<HeaderValue> {
    let since_1970 = time.duration_since(UNIX_EPOCH).ok().filter(|time| *time < YEAR_10_000)?;
    let second = since_1970.as_secs();
    LAST.with_borrow_mut(|last| match last {
        // Any other second, later or not: the clock may be set back.
        Some((of, date)) if *of == second => Some(date.clone()),
        _ => {
            let date = HeaderValue::try_from(HttpDate::from(time).to_string()).ok()?;
            *last = Some((second, date.clone()));
            Some(date)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_from_1970_to_9999_has_a_date() {
        let date = |time| at(time).map(|date| date.to_str().unwrap().to_owned());
        let after = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(date(UNIX_EPOCH - Duration::from_nanos(1)), None);
        assert_eq!(date(after(0)).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        let last = after(253_402_300_799) + Duration::from_nanos(999_999_999);
        assert_eq!(date(last).as_deref(), Some("Fri, 31 Dec 9999 23:59:59 GMT"));
        assert_eq!(date(after(253_402_300_800)), None);
    }

    #[test]
    fn a_date_follows_a_clock_that_is_set_back() {
        let date = |seconds| at(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(784_111_776), "Sun, 06 Nov 1994 08:49:36 GMT");
        assert_eq!(date(784_111_776), date(784_111_776));
    }
}
