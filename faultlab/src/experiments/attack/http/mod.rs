//! Abuse of the facade's port.

mod bodies;
mod heads;
mod idlers;
mod readers;
mod texts;

pub use self::idlers::IDLE;
use super::abuse::{Attack, Port};

/// All of it.
pub const ATTACKS: &[Attack] = &[
    heads::SILENT,
    heads::SLOW,
    heads::MANY_LINES,
    heads::LONG_LINE,
    bodies::SLOW,
    bodies::STOPPED,
    bodies::HUGE,
    bodies::ENDLESS,
    bodies::UPLOAD,
    texts::LIMIT,
    texts::OVER_LIMIT,
    texts::NESTED,
    texts::ESCAPES,
    readers::STOPPED,
    readers::SLOW,
    readers::PIPELINE,
    idlers::CHURN,
    IDLE,
];

/// The head of a post whose body is framed as `framing` says.
fn post_head(path: &str, media_type: &str, framing: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: facade\r\ncontent-type: {media_type}\r\n{framing}\r\n\r\n"
    )
}

const JSON: &str = "application/json";
