//! Which part of the log a client wants: `?after=<sequence>&limit=<n>`.

use oncelog::excerpt::Quote;

/// A part of the log, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Page {
    /// Only records with a greater sequence.
    pub(crate) after: Option<u64>,
    /// At most this many; never zero.
    pub(crate) limit: Option<u64>,
}

/// Why the query names no part of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPage {
    #[error("the query parameter {0} is not known; there is after and limit")]
    Unknown(Quote),
    #[error("the query parameter {0:?} is there twice")]
    Twice(&'static str),
    #[error("after is the sequence of a record, or 0; {0} is neither")]
    After(Quote),
    #[error("limit is a number of records, at least 1; {0} is not")]
    Limit(Quote),
}

impl Page {
    /// Whether the client asked for a part.
    pub(crate) fn is_part(&self) -> bool {
        self.after.is_some() || self.limit.is_some()
    }

    /// Reads the query of a request.
    pub(crate) fn from_query(query: Option<&str>) -> Result<Self, InvalidPage> {
        let mut page = Self::default();
        for parameter in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let (known, field, min, invalid): (_, _, _, fn(Quote) -> InvalidPage) = match name {
                "after" => ("after", &mut page.after, 0, InvalidPage::After),
                "limit" => ("limit", &mut page.limit, 1, InvalidPage::Limit),
                unknown => return Err(InvalidPage::Unknown(Quote::of(unknown))),
            };
            let number = number(value).filter(|number| *number >= min);
            let number = number.ok_or_else(|| invalid(Quote::of(value)))?;
            if field.replace(number).is_some() {
                return Err(InvalidPage::Twice(known));
            }
        }
        Ok(page)
    }
}

// u64::from_str takes a leading plus, which in a query means a space.
fn number(value: &str) -> Option<u64> {
    if value.starts_with('+') { None } else { value.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_named_by_where_it_starts_and_how_long_it_is() {
        let page = |query| Page::from_query(Some(query));
        assert_eq!(Page::from_query(None), Ok(Page::default()));
        assert_eq!(page(""), Ok(Page::default()));
        assert_eq!(page("after=0"), Ok(Page { after: Some(0), limit: None }));
        assert_eq!(page("limit=5&after=7"), Ok(Page { after: Some(7), limit: Some(5) }));
        assert!(page("after=0").is_ok_and(|page| page.is_part()));
    }

    #[test]
    fn a_query_that_is_not_understood_is_refused() {
        for query in [
            "limit=0",
            "limit=-1",
            "limit=",
            "limit",
            "limit=ten",
            "after=+1",
            "after=1.5",
            "after= 1",
            "after=18446744073709551616",
            "offset=1",
            "after=1&after=1",
            "Limit=1",
            "limit=%31",
        ] {
            assert!(Page::from_query(Some(query)).is_err(), "{query}");
        }
    }
}
