//! The framing of a request: exactly one message of the gRPC protocol, within the limit on its size.

use http::{HeaderMap, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body::Body as _;
use tonic::{
    Code, Status,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
};

use crate::{limits::GRPC_MESSAGE_BYTES_MAX, wire::surely_not_stored};

/// A flag and a length.
const PREFIX_BYTES: usize = 5;

const ENCODING: &str = "grpc-encoding";
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Why a request is no call of a method that takes one message. The method has not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRequest {
    #[error("the content type is not application/grpc or application/grpc+proto")]
    ContentType,
    #[error("compressed requests are not taken; send it without grpc-encoding")]
    Encoding,
    #[error("the request has no message; send one")]
    Nothing,
    #[error("the request goes on behind its message; send one message in each call")]
    Several,
    #[error("the request ended inside of its message")]
    Incomplete,
    #[error(
        "a message of {0} bytes is over the limit of {GRPC_MESSAGE_BYTES_MAX}; send less in one call"
    )]
    TooLarge(usize),
    #[error("the message is marked as compressed, and the call has no grpc-encoding")]
    Compressed,
    #[error("{0} is no flag of a message; the flag of one that is not compressed is 0")]
    Flag(u8),
}

impl InvalidRequest {
    /// What the client is told, with the trailer that nothing was stored. The codes are those that the
    /// documentation of gRPC gives to these cases.
    pub(super) fn status(self) -> Status {
        let code = match self {
            Self::Encoding | Self::Nothing | Self::Several => Code::Unimplemented,
            Self::TooLarge(_) => Code::ResourceExhausted,
            Self::ContentType | Self::Incomplete | Self::Compressed | Self::Flag(_) => {
                Code::Internal
            }
        };
        let mut metadata = MetadataMap::new();
        if self == Self::Encoding {
            metadata.insert(ACCEPT_ENCODING, MetadataValue::from_static("identity"));
        }
        surely_not_stored(Status::with_metadata(code, self.to_string(), metadata))
    }

    /// The response to a request that is refused by its head.
    pub(super) fn response(self) -> Response<Body> {
        let mut response = self.status().into_http();
        if self == Self::ContentType {
            // For clients that speak HTTP and no gRPC.
            *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        response
    }
}

/// Checks what is known of a request before its body arrives.
///
/// # Errors
/// [`InvalidRequest`].
pub(super) fn check_head(request: &Request<Body>) -> Result<(), InvalidRequest> {
    let headers = request.headers();
    if !is_grpc(headers) {
        Err(InvalidRequest::ContentType)
    } else if headers.get(ENCODING).is_some_and(|encoding| encoding != "identity") {
        Err(InvalidRequest::Encoding)
    } else if request.body().is_end_stream() {
        Err(InvalidRequest::Nothing)
    } else {
        Ok(())
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"]
        .iter()
        .any(|grpc| media_type.eq_ignore_ascii_case(grpc))
}

/// Follows the bytes of a request through its one message.
#[derive(Debug)]
pub(super) enum OneMessage {
    /// So many bytes of the prefix are there.
    Prefix([u8; PREFIX_BYTES], usize),
    /// So many bytes of the message are missing.
    Content(usize),
}

impl Default for OneMessage {
    /// Nothing has arrived.
    fn default() -> Self {
        Self::Prefix([0; PREFIX_BYTES], 0)
    }
}

impl OneMessage {
    /// Follows the next bytes.
    ///
    /// # Errors
    /// [`InvalidRequest`], as soon as it is certain.
    pub(super) fn received(&mut self, mut bytes: &[u8]) -> Result<(), InvalidRequest> {
        if let Self::Prefix(prefix, len) = self {
            let (taken, rest) = bytes.split_at(bytes.len().min(PREFIX_BYTES - *len));
            prefix[*len..][..taken.len()].copy_from_slice(taken);
            *len += taken.len();
            if *len < PREFIX_BYTES {
                return Ok(());
            }
            *self = Self::Content(content_bytes(*prefix)?);
            bytes = rest;
        }
        if let Self::Content(missing) = self {
            *missing = missing.checked_sub(bytes.len()).ok_or(InvalidRequest::Several)?;
        }
        Ok(())
    }

    /// Whether the request may end here.
    ///
    /// # Errors
    /// [`InvalidRequest`].
    pub(super) fn ended(&self) -> Result<(), InvalidRequest> {
        match self {
            Self::Content(0) => Ok(()),
            Self::Prefix(_, 0) => Err(InvalidRequest::Nothing),
            Self::Prefix(..) | Self::Content(_) => Err(InvalidRequest::Incomplete),
        }
    }
}

fn content_bytes([flag, len @ ..]: [u8; PREFIX_BYTES]) -> Result<usize, InvalidRequest> {
    let len = u32::from_be_bytes(len) as usize;
    match flag {
        0 if len > GRPC_MESSAGE_BYTES_MAX => Err(InvalidRequest::TooLarge(len)),
        0 => Ok(len),
        1 => Err(InvalidRequest::Compressed),
        flag => Err(InvalidRequest::Flag(flag)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(), InvalidRequest> {
        let mut message = OneMessage::default();
        pieces.into_iter().try_for_each(|piece| message.received(piece))?;
        message.ended()
    }

    proptest! {
        #[test]
        fn one_message_is_taken_in_any_pieces_and_nothing_else(
            len in 0_usize..20,
            missing in 0_usize..30,
            more in 0_usize..7,
            piece in 1_usize..10,
        ) {
            let mut request = vec![0, 0, 0, 0, len as u8];
            request.extend(vec![1; len]);
            prop_assert_eq!(judge(request.chunks(piece)), Ok(()));
            let cut = &request[..request.len().saturating_sub(missing + 1)];
            let expected = if cut.is_empty() { InvalidRequest::Nothing } else { InvalidRequest::Incomplete };
            prop_assert_eq!(judge(cut.chunks(piece)), Err(expected));
            request.extend(vec![0; more + 1]);
            prop_assert_eq!(judge(request.chunks(piece)), Err(InvalidRequest::Several));
        }
    }

    #[test]
    fn the_limit_itself_is_taken_and_one_byte_more_is_not() {
        let prefix = |len: usize| {
            content_bytes(
                [[0].as_slice(), &(len as u32).to_be_bytes()].concat().try_into().unwrap(),
            )
        };
        assert_eq!(prefix(GRPC_MESSAGE_BYTES_MAX), Ok(GRPC_MESSAGE_BYTES_MAX));
        let over = GRPC_MESSAGE_BYTES_MAX + 1;
        assert_eq!(prefix(over), Err(InvalidRequest::TooLarge(over)));
    }
}
