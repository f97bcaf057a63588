//! Abuse of the logging service's port, frame by frame: no library would do such things.

mod floods;
mod frames;
mod heads;
mod idlers;
mod messages;
mod readers;

pub use self::idlers::IDLE;
use super::abuse::{Attack, Port};

/// All of it.
pub const ATTACKS: &[Attack] = &[
    heads::RAPID_RESET,
    heads::CONTINUATION,
    heads::BOMB,
    floods::SETTINGS,
    floods::PING,
    floods::PRIORITY,
    floods::WINDOW_UPDATE,
    floods::EMPTY_DATA,
    messages::UNFINISHED,
    messages::HUGE,
    messages::COMPRESSED,
    readers::ZERO_WINDOW,
    idlers::SILENT,
    idlers::NONSENSE,
    idlers::SLOW_FRAME,
    idlers::CHURN,
    IDLE,
];
