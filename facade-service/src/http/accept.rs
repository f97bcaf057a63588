//! The form a client wants the log in.

use http::{HeaderMap, header::ACCEPT};

use super::media_type::{JSON, NDJSON};

/// A form the log is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Ndjson,
    Text,
}

/// Each form and its media type. The first one is for clients that name none.
const FORMATS: [(Format, &str, &str); 3] = [
    (Format::Json, "application", "json"),
    (Format::Ndjson, "application", "x-ndjson"),
    (Format::Text, "text", "plain"),
];

/// The client takes none of the forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("none of what Accept names can be had; there is {JSON}, {NDJSON} and text/plain")]
pub(crate) struct NotAcceptable;

impl Format {
    /// What goes into `Content-Type`.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON,
            Self::Ndjson => NDJSON,
            Self::Text => "text/plain; charset=utf-8",
        }
    }

    /// The form that `Accept` likes best; of two it likes the same, the earlier one.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, NotAcceptable> {
        if !headers.contains_key(ACCEPT) {
            return Ok(Self::Json);
        }
        let mut best = None;
        for (format, kind, subtype) in FORMATS {
            let quality = quality(headers, kind, subtype);
            if quality > best.map_or(0, |(quality, _)| quality) {
                best = Some((quality, format));
            }
        }
        best.map(|(_, format)| format).ok_or(NotAcceptable)
    }
}

/// How much `Accept` likes a media type, in thousandths. The most specific range decides (RFC 9110).
fn quality(headers: &HeaderMap, kind: &str, subtype: &str) -> u16 {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut decided = (0, 0);
    for range in ranges.flat_map(|value| value.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let Some((range_kind, range_subtype)) = parts.next().and_then(|name| name.split_once('/'))
        else {
            continue;
        };
        let specificity = match (range_kind, range_subtype) {
            ("*", "*") => 1,
            (same, "*") if same.eq_ignore_ascii_case(kind) => 2,
            (same, sub) if same.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype) => {
                3
            }
            _ => continue,
        };
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1000, thousandths);
        decided = decided.max((specificity, weight));
    }
    decided.1
}

fn thousandths(q: &str) -> u16 {
    // What is no number weighs nothing.
    let q: f32 = q.parse().unwrap_or(0.0);
    (q.clamp(0.0, 1.0) * 1000.0) as u16
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn format(accept: &str) -> Result<Format, NotAcceptable> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        Format::from_headers(&headers)
    }

    #[test]
    fn the_best_liked_form_is_given() {
        assert_eq!(Format::from_headers(&HeaderMap::new()), Ok(Format::Json));
        for (accept, expected) in [
            ("*/*", Format::Json),
            ("application/json", Format::Json),
            ("application/*", Format::Json),
            ("application/x-ndjson", Format::Ndjson),
            ("Application/X-NDJSON", Format::Ndjson),
            ("text/plain", Format::Text),
            ("text/*", Format::Text),
            ("text/plain, */*;q=0.1", Format::Text),
            ("application/json;q=0.5, text/plain;q=0.9", Format::Text),
            ("application/json;q=0, */*", Format::Ndjson),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Json),
        ] {
            assert_eq!(format(accept), Ok(expected), "{accept}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_acceptable() {
        for accept in ["text/html", "image/*", "application/json;q=0", "nonsense", "", "*/*;q=x"] {
            assert_eq!(format(accept), Err(NotAcceptable), "{accept}");
        }
    }
}
