//! The media type of a body.

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use oncelog::excerpt::Quote;

/// JSON.
pub(crate) const JSON: &str = "application/json";
/// JSON, one value a line.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// Why a body cannot be understood. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WrongMediaType {
    #[error("there is no Content-Type; send \"Content-Type: {0}\"")]
    Missing(&'static str),
    #[error("the Content-Type {found} is not taken here; send \"Content-Type: {wanted}\"")]
    Other { found: Quote, wanted: &'static str },
    #[error("the Content-Encoding {0} is not taken; send the body as it is")]
    Encoded(Quote),
}

/// Checks that the body is of the `wanted` type; parameters do not matter.
pub(crate) fn expect(headers: &HeaderMap, wanted: &'static str) -> Result<(), WrongMediaType> {
    let Some(found) = headers.get(CONTENT_TYPE) else {
        return Err(WrongMediaType::Missing(wanted));
    };
    // Most clients send just this.
    let exactly = found.as_bytes() == wanted.as_bytes();
    if !exactly && !essence(found.as_bytes()).eq_ignore_ascii_case(wanted.as_bytes()) {
        return Err(WrongMediaType::Other { found: Quote::of(found), wanted });
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(WrongMediaType::Encoded(Quote::of(encoding)))
        }
        Some(_) | None => Ok(()),
    }
}

fn essence(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(content_type: &str) -> Result<(), WrongMediaType> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        expect(&headers, JSON)
    }

    #[test]
    fn parameters_and_case_do_not_matter() {
        for taken in [
            "application/json",
            "Application/JSON",
            "application/json;charset=utf-8",
            "application/json ; a=b",
        ] {
            assert_eq!(check(taken), Ok(()), "{taken}");
        }
        for refused in [
            "",
            "text/plain",
            "application/jsonx",
            "application/x-www-form-urlencoded",
            "text/plain;application/json",
        ] {
            assert!(check(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_encoded_body_is_refused_as_such() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(expect(&headers, JSON), Err(WrongMediaType::Encoded(Quote::of("gzip"))));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("identity"));
        assert_eq!(expect(&headers, JSON), Ok(()));
        assert_eq!(expect(&HeaderMap::new(), JSON), Err(WrongMediaType::Missing(JSON)));
    }
}
