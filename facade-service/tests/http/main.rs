//! The facade over real sockets, with services behind it that do what a test tells them.

// Helpers of tests are tests, too.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../support/mod.rs"]
mod support;

mod connections;
mod drain;
mod framing;
mod half_close;
mod health;
mod invalid;
mod list;
mod post;
mod record;
mod refusals;
mod short_refusals;
mod slow_readers;
mod unread_uploads;
mod upload;
mod wrong_service;
