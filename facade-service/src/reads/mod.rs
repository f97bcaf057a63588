//! Reading the log and the text of the messages service.

mod broken;
mod encode;
mod lists;
mod pace;
mod page;
mod upstream;

pub use self::upstream::ReadUpstream;
pub(crate) use self::{
    broken::{Cause, NotOpened, ReadBroken, Unavailable, wrong_service},
    encode::{ENCODED_AT_ONCE_MAX, Encoder, RecordJson},
    lists::{ListPlace, ListProgress, Lists, ListsFull},
    page::{Buffered, Piece, buffer},
    upstream::LogReader,
};
