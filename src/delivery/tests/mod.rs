//! Delivery on a paused clock, against a logging service that does as it is told.

mod answers;
mod batching;
mod classifying;
mod honesty;
mod leaving;
mod retrying;
mod support;
