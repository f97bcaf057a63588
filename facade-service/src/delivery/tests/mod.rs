//! Delivery on a paused clock, against a logging service that does as it is told. And, in `sockets`,
//! the real client against real servers that fail in every way we know.

mod answers;
mod batching;
mod classifying;
mod groups;
mod honesty;
mod leaving;
mod overload;
mod retrying;
mod sockets;
mod support;
