//! The stream `facade` over HTTP: post, upload, list, look up.

pub(super) mod list;
pub(super) mod post;
mod receipt;
pub(super) mod record;
pub(super) mod upload;
