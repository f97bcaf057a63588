//! `GET /facade` and `GET /facade/<uuid>`.

use axum::body::Body;
use http::{Method, Request, Uri};

use super::{read_request, with_fixture};

/// A line with a path and a query, header lines, an empty line.
pub(crate) fn get(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let Ok(uri) = Uri::try_from(&input[..end]) else { return };
    // Its host is for the edge to judge.
    let Some(target) = uri.into_parts().path_and_query else { return };
    let uri = Uri::from(target);
    let uses_accept = uri.path() == "/facade";
    let page_is_right = is_page(uri.query().unwrap_or_default());
    let rest = input.get(end + 1..).unwrap_or_default();
    with_fixture(|fixture| {
        let head = Request::builder().method(Method::GET).uri(uri.clone());
        let (head, _) = read_request(rest, head);
        let request = head.body(Body::empty()).unwrap();
        let headers = request.headers().clone();
        let answer = fixture.ask(request);
        // A request that is understood fails: there is no upstream.
        let is_understood = answer.status == 503;
        if !is_understood && answer.status != 200 {
            answer.is_refusal();
        }
        if answer.status == 200 {
            assert_eq!(uri.path(), "/healthz", "{}", answer.body.escape_ascii());
        }
        if uses_accept {
            let accepts = headers.get_all("accept").iter().any(|value| {
                let value = value.as_bytes().to_ascii_lowercase();
                [&b"*/*"[..], b"application/", b"text/"]
                    .iter()
                    .any(|range| value.windows(range.len()).any(|window| window == *range))
            });
            let may_be_shown = accepts || !headers.contains_key("accept");
            match answer.status {
                503 => assert!(page_is_right && may_be_shown, "{uri}"),
                400 => assert!(!page_is_right, "{uri}"),
                406 => assert!(page_is_right && headers.contains_key("accept")),
                other => panic!("{other}: {}", answer.body.escape_ascii()),
            }
        }
        if let Some(id) = uri.path().strip_prefix("/facade/") {
            let plain = uuid::Uuid::try_parse(id).is_ok_and(|uuid| !uuid.is_nil());
            assert!(!plain || is_understood, "{uri}: {}", answer.status);
        }
        assert!(fixture.stored().is_empty());
    });
}

/// `after` and `limit`, once each at the most.
fn is_page(query: &str) -> bool {
    let parameters: Vec<_> = query.split('&').filter(|part| !part.is_empty()).collect();
    let count = |name: &str| {
        let of_name = |part: &&&str| part.split('=').next() == Some(name);
        parameters.iter().filter(of_name).count()
    };
    let is_number = |text: &str, least: u64| {
        text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u64>().is_ok_and(|number| number >= least)
    };
    count("after") <= 1
        && count("limit") <= 1
        && parameters.iter().all(|part| match part.split_once('=') {
            Some(("after", value)) => is_number(value, 0),
            Some(("limit", value)) => is_number(value, 1),
            Some(_) | None => false,
        })
}
