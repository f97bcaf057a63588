use super::*;

const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";

/// What may be read of `text` that comes in pieces, and why no more.
fn follow(text: &str, piece_bytes: usize) -> (String, Option<FramingError>) {
    let mut framing = Framing::new(32 * 1024);
    let mut read = String::new();
    for piece in text.as_bytes().chunks(piece_bytes) {
        let good = framing.follow(piece);
        read.push_str(std::str::from_utf8(&piece[..good]).unwrap());
        assert!(good == piece.len() || framing.broken().is_some());
    }
    (read, framing.broken())
}

/// Checks that all of `good` may be read, and nothing of what follows, because of `error`.
fn assert_broken(good: &str, rest: &str, error: FramingError) {
    for piece_bytes in [1, 2, 7, usize::MAX] {
        let followed = follow(&format!("{good}{rest}"), piece_bytes);
        assert_eq!(followed, (good.to_owned(), Some(error)), "{rest:?} in {piece_bytes}");
    }
}

#[test]
fn requests_are_followed_however_they_arrive() {
    let requests = [
        "\r\n\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\nhost: a\n\n",
        "POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length:\t2 \r\ncontent-length: 2\r\n\r\n\n\n",
        "POST / HTTP/1.1\r\nconnection: x\r\ntransfer-encoding:chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nTRANSFER-ENCODING: chunked\r\n\r\n3\r\na\nb\r\n000A;x=\"y\"\r\n0\r\n\r\n\n\r\n12\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1 ;x\r\n0\r\n0\r\nA: b\r\nc:\r\n\r\n",
    ];
    let all = requests.concat().repeat(3);
    for piece_bytes in 1..=all.len() {
        assert_eq!(follow(&all, piece_bytes), (all.clone(), None), "{piece_bytes}");
    }
}

#[test]
fn two_lengths_end_what_is_read_behind_their_head() {
    let (te, cl) = ("Transfer-Encoding: chunked\r\n", "Content-Length: 3\r\n");
    for lengths in [format!("{te}{cl}"), format!("{cl}{te}"), format!("{cl}x: y\r\n{te}{te}")] {
        let head = format!("POST / HTTP/1.1\r\n{lengths}\r\n");
        assert_broken(&head, "0\r\n\r\nGET", FramingError::TwoLengths);
    }
}

#[test]
fn a_chunk_is_its_size_and_its_data_in_strict_lines() {
    for size in [
        "\n",
        "",
        "x",
        "+3",
        "-3",
        "0x3",
        "3_0",
        "3 ",
        "3\t",
        " 3",
        "3 x",
        "3x",
        "\u{b}3",
        "3\r",
        "3;a\rb",
        "3;a\0",
        "10000000000000000",
        "3,3",
        ";a",
    ] {
        if size != "\n" {
            assert_broken(
                &format!("{CHUNKED}{size}\r"),
                "\nabc\r\n0\r\n\r\n",
                FramingError::ChunkSize,
            );
        }
    }
    for size in ["3", "3;a", "3;a=\"b\""] {
        assert_broken(&format!("{CHUNKED}{size}"), "\nabc\r\n0\r\n\r\n", FramingError::ChunkSize);
    }
    for end in ["", "d\r", "\r\r", "XX"] {
        assert_broken(&format!("{CHUNKED}3\r\nabc{end}"), "\n0\r\n\r\n", FramingError::ChunkEnd);
    }
}

#[test]
fn a_trailer_section_is_fields_in_strict_lines() {
    let next = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for trailers in [
        "",
        "A: b",
        "A: b\r\nB: c",
        " A: b\r",
        "A : b\r",
        "A\r",
        ": b\r",
        "A: b\rB: c\r",
        "A: b\0\r",
        "A: b\r\n folded\r",
        "\r\r",
        "GET / HTTP/1.1\r",
    ] {
        let good = format!("{CHUNKED}0\r\n{trailers}");
        assert_broken(&good, &format!("\n\n{next}"), FramingError::Trailer);
    }
    let no_token = format!("{CHUNKED}0\r\nA: b\r\nContent-Length: 9\r\nx-\u{fc}: y\r\n");
    assert_eq!(follow(&no_token, 7).1, Some(FramingError::Trailer));
}

#[test]
fn a_line_takes_bounded_memory() {
    let head = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(70_000));
    let (read, error) = follow(&head, 8 * 1024);
    assert_eq!(error, Some(FramingError::LineTooLong));
    assert_eq!(read.len(), 64 * 1024);
    let mut framing = Framing::new(8 * 1024);
    framing.follow(b"GET / HTTP/1.1\r\nx");
    framing.follow(b": y\r\n\r\n");
    assert_eq!(framing.partial.capacity(), 0, "a connection that waits keeps a line");
}
