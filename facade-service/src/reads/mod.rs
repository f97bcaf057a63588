//! Reading the log and the text of the messages service.

mod broken;
mod encode;
mod upstream;

pub use self::upstream::ReadUpstream;
pub(crate) use self::{
    broken::{Cause, ReadBroken, Unavailable, wrong_service},
    encode::{ENCODED_AT_ONCE_MAX, Encoder, RecordJson},
};
