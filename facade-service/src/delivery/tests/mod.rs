//! Delivery on a paused clock, against a logging service that does as it is told. And, in `sockets`,
//! the real client against real servers that fail in every way we know.

mod answers;
mod batching;
mod bulk;
mod cancelling;
mod classifying;
mod honesty;
mod overload;
mod retrying;
mod sockets;
pub(crate) mod support;
