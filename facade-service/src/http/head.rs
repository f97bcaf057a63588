//! What a head must say before anything is made of its request: one `Host`, and a framing that every
//! program on the way reads alike.

use std::net::Ipv6Addr;

use axum::extract::Request;
use http::{
    HeaderMap, Uri, Version,
    header::{HOST, TRANSFER_ENCODING},
};
use oncelog::excerpt::Quote;

/// Why nothing is made of a request. Nothing was stored, and nothing more is read from its connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidHead {
    #[error("there is no Host; a request of HTTP/1.1 has one")]
    NoHost,
    #[error("there is more than one Host; send one")]
    ManyHosts,
    #[error("the Host {0} is none; send a name or an address, and a port if you like")]
    Host(Quote),
    #[error("the target of the request names the host {0}, which is none")]
    Target(Quote),
    #[error("the Transfer-Encoding {0} is not known; send the body as it is, or chunked")]
    UnknownCoding(Quote),
    #[error("a body is chunked once; send one Transfer-Encoding that says chunked, and no more")]
    ChunkedTwice,
}

/// Checks the head of `request` (RFC 9112, 3.2 and 6.1).
pub(crate) fn check(request: &Request) -> Result<(), InvalidHead> {
    check_host(request.version(), request.uri(), request.headers())?;
    check_codings(request.headers())
}

fn check_host(version: Version, target: &Uri, headers: &HeaderMap) -> Result<(), InvalidHead> {
    let mut hosts = headers.get_all(HOST).iter();
    match hosts.next() {
        Some(_) if hosts.next().is_some() => return Err(InvalidHead::ManyHosts),
        Some(host) if !is_host(host.as_bytes()) => {
            return Err(InvalidHead::Host(Quote::of(host.as_bytes())));
        }
        Some(_) => {}
        None if version == Version::HTTP_10 => {}
        None => return Err(InvalidHead::NoHost),
    }
    // It takes the place of Host.
    match target.authority() {
        Some(authority) if !is_host(authority.as_str().as_bytes()) => {
            Err(InvalidHead::Target(Quote::of(authority.as_str())))
        }
        Some(_) | None => Ok(()),
    }
}

/// `chunked` is the one transfer coding, and may be there once.
fn check_codings(headers: &HeaderMap) -> Result<(), InvalidHead> {
    if !headers.contains_key(TRANSFER_ENCODING) {
        return Ok(());
    }
    let lines =
        || headers.get_all(TRANSFER_ENCODING).iter().map(|line| line.as_bytes().trim_ascii());
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    if lines().count() == 1 && lines().all(is_chunked) {
        return Ok(());
    }
    let codings = lines().flat_map(|line| line.split(|byte| *byte == b','));
    match codings.map(<[u8]>::trim_ascii).find(|coding| !coding.is_empty() && !is_chunked(coding)) {
        Some(unknown) => Err(InvalidHead::UnknownCoding(Quote::of(unknown))),
        None => Err(InvalidHead::ChunkedTwice),
    }
}

/// Whether `text` is a host and perhaps a port, after RFC 3986 (3.2.2 and 3.2.3). A client that has no
/// host to name sends an empty one (RFC 9112, 3.2).
fn is_host(text: &[u8]) -> bool {
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    // Most are a name and a port.
    let plain = text.iter().position(|byte| !is_plain(*byte)).unwrap_or(text.len());
    match &text[plain..] {
        [] => return true,
        [b':', port @ ..] => return is_port(port),
        _ => {}
    }
    let (host, rest) = match text {
        [b'[', inside @ ..] => {
            let Some(end) = inside.iter().position(|byte| *byte == b']') else { return false };
            let (literal, rest) = inside.split_at(end);
            if !is_ip_literal(literal) {
                return false;
            }
            (&b""[..], &rest[1..])
        }
        _ => text.split_at(text.iter().position(|byte| *byte == b':').unwrap_or(text.len())),
    };
    let port = match rest {
        [] => rest,
        [b':', port @ ..] => port,
        _ => return false,
    };
    is_registered_name(host) && is_port(port)
}

/// What is between the brackets of an IPv6 address, or of one of the future.
fn is_ip_literal(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    if let Some(future) = text.strip_prefix(['v', 'V']) {
        return future.split_once('.').is_some_and(|(version, address)| {
            let is_address = |byte: u8| byte == b':' || is_plain(byte);
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !address.is_empty()
                && address.bytes().all(is_address)
        });
    }
    text.parse::<Ipv6Addr>().is_ok()
}

/// Whether `text` is a name; an IPv4 address is one, and so is no text.
fn is_registered_name(mut text: &[u8]) -> bool {
    loop {
        text = match text {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..] if is_plain(*byte) => rest,
            _ => return false,
        };
    }
}

/// Whether `byte` is unreserved, or a delimiter inside of a part of a URI (RFC 3986, 2.2 and 2.3).
fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// [`is_plain`] of each byte: it is asked for each byte of each `Host`.
const PLAIN: [bool; 256] = {
    let delimiters = b"-._~!$&'()*+,;=";
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < delimiters.len() {
        plain[delimiters[at] as usize] = true;
        at += 1;
    }
    plain
};

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn checked(
        version: Version,
        target: &str,
        headers: &[(&str, &[u8])],
    ) -> Result<(), InvalidHead> {
        let mut request = Request::builder().version(version).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(Body::empty()).unwrap())
    }

    fn host(host: &[u8]) -> Result<(), InvalidHead> {
        checked(Version::HTTP_11, "/facade", &[("host", host)])
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for valid in [
            &b""[..],
            b"localhost",
            b"localhost:5000",
            b"example.com.:80",
            b"127.0.0.1:5000",
            b"[::1]",
            b"[::1]:5000",
            b"[2001:db8::192.0.2.1]",
            b"[v1.a:b]:1",
            b"under_score",
            b"xn--bcher-kva.example",
            b"b%C3%BCcher",
            b"a:",
        ] {
            assert_eq!(host(valid), Ok(()), "{}", valid.escape_ascii());
        }
        for wrong in [
            &b"a b"[..],
            b"a/b",
            b"a?b",
            b"a#b",
            b"a@b",
            b"user:word@a",
            b"http://a",
            b"a:80:80",
            b"a:80a",
            b"a:-1",
            b"a\\b",
            b"a\tb",
            b"a%zz",
            b"a%4",
            b"[::1",
            b"::1",
            b"[::1]a",
            b"[::1%25eth0]",
            b"[]",
            b"[v.a]",
            b"[v1.]",
            b"<a>",
            b"\"a\"",
            b"\xc3\xa4",
        ] {
            let refused = Err(InvalidHead::Host(Quote::of(wrong)));
            assert_eq!(host(wrong), refused, "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn http_1_1_has_one_host_and_http_1_0_may_have_one() {
        let (new, old) = (Version::HTTP_11, Version::HTTP_10);
        let [a, b] = [&b"a"[..], b"b"].map(|host| ("host", host));
        assert_eq!(checked(new, "/facade", &[]), Err(InvalidHead::NoHost));
        assert_eq!(checked(new, "http://a/facade", &[]), Err(InvalidHead::NoHost));
        assert_eq!(checked(old, "/facade", &[]), Ok(()));
        for version in [new, old] {
            assert_eq!(checked(version, "/facade", &[a]), Ok(()));
            assert_eq!(checked(version, "/facade", &[a, a]), Err(InvalidHead::ManyHosts));
            assert_eq!(checked(version, "/facade", &[a, b]), Err(InvalidHead::ManyHosts));
        }
        // The target decides, and Host has to be there all the same.
        assert_eq!(checked(new, "http://b:80/facade", &[a]), Ok(()));
        let user = Err(InvalidHead::Target(Quote::of("u@b")));
        assert_eq!(checked(new, "http://u@b/facade", &[a]), user);
    }

    #[test]
    fn chunked_is_the_one_transfer_coding_and_there_once() {
        let codings = |lines: &[&'static [u8]]| {
            let mut headers = vec![("host", &b"a"[..])];
            headers.extend(lines.iter().map(|line| ("transfer-encoding", *line)));
            checked(Version::HTTP_11, "/facade", &headers)
        };
        assert_eq!(codings(&[b"chunked"]), Ok(()));
        assert_eq!(codings(&[b"Chunked "]), Ok(()));
        for twice in [
            &[&b"chunked, chunked"[..]][..],
            &[b"chunked", b"chunked"],
            &[b", chunked"],
            &[b"chunked,"],
            &[b"", b"chunked"],
            &[b""],
        ] {
            assert_eq!(codings(twice), Err(InvalidHead::ChunkedTwice), "{twice:?}");
        }
        for (unknown, named) in [
            (&[&b"gzip, chunked"[..]][..], "gzip"),
            (&[b"cow, chunked"], "cow"),
            (&[b"gzip", b"chunked"], "gzip"),
            (&[b"chunked", b"identity"], "identity"),
            (&[b"chunked;q=1"], "chunked;q=1"),
            (&[b"xchunked"], "xchunked"),
        ] {
            let refused = Err(InvalidHead::UnknownCoding(Quote::of(named)));
            assert_eq!(codings(unknown), refused, "{unknown:?}");
        }
    }
}
