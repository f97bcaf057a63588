//! What a request may say. Everything is checked here before anything is delivered, so a refused
//! request leaves its key unused.

pub(crate) mod accept;
pub(crate) mod body;
pub(crate) mod content;
pub(crate) mod date;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod json;
pub(crate) mod key;
pub(crate) mod lines;
pub(crate) mod media_type;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod service;
