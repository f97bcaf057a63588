//! The id of a message: what "the same message" means.

use std::{
    fmt,
    str::FromStr,
    sync::Mutex,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use uuid::{ContextV7, Timestamp, Uuid};

use super::StreamName;

/// Namespace for ids made from keys that are not UUIDs themselves. Changing it would forget every
/// such key, so it never changes.
const KEY_NAMESPACE: Uuid = Uuid::from_u128(0x6f6e_6365_6c6f_5e67_8b1d_0f3c_5a7e_9d21);

/// A UUID that is not nil, compared as 16 bytes whatever way it was written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId([u8; 16]);

/// Characters of an id in text.
pub const MESSAGE_ID_CHARS: usize = uuid::fmt::Hyphenated::LENGTH;

impl MessageId {
    /// The id of the message a client knows by `key`.
    ///
    /// A key that is a UUID, in any of its usual spellings, is the id itself: an id that came back
    /// in a failed answer can be repeated as the key. Any other key becomes a UUIDv5 of stream and
    /// key, so the same key always means the same id, and never the same in two streams.
    ///
    /// # Errors
    /// [`InvalidMessageId`] if the key is the nil UUID.
    pub fn from_key(stream: &StreamName, key: &str) -> Result<Self, InvalidMessageId> {
        match Uuid::try_parse(key) {
            Ok(uuid) => Self::try_from(uuid.into_bytes()),
            Err(_) => {
                // A stream name holds no zero byte, so no two pairs share a name.
                let name = [stream.as_str().as_bytes(), b"\0", key.as_bytes()].concat();
                Ok(Self(Uuid::new_v5(&KEY_NAMESPACE, &name).into_bytes()))
            }
        }
    }

    /// Its text, written into `buffer`: what [`Display`](fmt::Display) shows, without a formatter.
    pub fn encode<'a>(&self, buffer: &'a mut [u8; MESSAGE_ID_CHARS]) -> &'a str {
        Uuid::from_bytes(self.0).hyphenated().encode_lower(buffer)
    }

    /// The 16 bytes, in network order.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl TryFrom<[u8; 16]> for MessageId {
    type Error = InvalidMessageId;

    fn try_from(bytes: [u8; 16]) -> Result<Self, Self::Error> {
        if bytes == [0; 16] { Err(InvalidMessageId::Nil) } else { Ok(Self(bytes)) }
    }
}

impl TryFrom<&[u8]> for MessageId {
    type Error = InvalidMessageId;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        let bytes: [u8; 16] =
            bytes.try_into().map_err(|_| InvalidMessageId::Length(bytes.len()))?;
        Self::try_from(bytes)
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uuid = Uuid::try_parse(text).map_err(|_| InvalidMessageId::Text)?;
        Self::try_from(uuid.into_bytes())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something is not the id of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessageId {
    /// Not a UUID in text.
    #[error("not a UUID")]
    Text,
    /// The wrong number of bytes.
    #[error("an id has 16 bytes, this one has {0}")]
    Length(usize),
    /// The nil UUID, which is what a client sends that forgot to set an id.
    #[error("the nil UUID is not an id")]
    Nil,
}

/// Where new ids come from, passed in so that a simulation can repeat itself.
pub trait IdSource: Send + Sync + 'static {
    /// An id that no other message has.
    fn next_id(&self) -> MessageId;
}

/// Time-ordered random ids (UUIDv7, RFC 9562). They are unique whatever the wall clock shows.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdSource for RandomIds {
    fn next_id(&self) -> MessageId {
        id_at(SystemTime::now(), &IDS)
    }
}

/// The times that fit into an id: 48 bits of milliseconds, up to the year 10889. Its generator is seeded when
/// the time is not that of the id before, and begins at 0.
const ID_TIME_MIN: Duration = Duration::from_millis(1);
const ID_TIME_MAX: Duration = Duration::from_millis((1 << 48) - 1);

/// Orders the ids of one time.
static IDS: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// A new id of `time`, or of the nearest time that an id can hold.
fn id_at(time: SystemTime, ids: &Mutex<ContextV7>) -> MessageId {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since_1970 = since_1970.clamp(ID_TIME_MIN, ID_TIME_MAX);
    let timestamp = Timestamp::from_unix(ids, since_1970.as_secs(), since_1970.subsec_nanos());
    MessageId(Uuid::new_v7(timestamp).into_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn facade() -> StreamName {
        "facade".parse().unwrap()
    }

    #[test]
    fn every_spelling_of_a_uuid_is_the_same_id() {
        let spellings = [
            "0199c0de-0000-7000-8000-00000000abcd",
            "0199C0DE-0000-7000-8000-00000000ABCD",
            "0199c0de00007000800000000000abcd",
            "{0199c0de-0000-7000-8000-00000000abcd}",
            "urn:uuid:0199c0de-0000-7000-8000-00000000abcd",
        ];
        for spelling in spellings {
            assert_eq!(
                MessageId::from_key(&facade(), spelling).unwrap().to_string(),
                "0199c0de-0000-7000-8000-00000000abcd"
            );
        }
    }

    #[test]
    fn a_key_that_is_no_uuid_is_scoped_by_its_stream() {
        let orders: StreamName = "orders".parse().unwrap();
        let in_facade = MessageId::from_key(&facade(), "order-7").unwrap();
        assert_eq!(in_facade, MessageId::from_key(&facade(), "order-7").unwrap());
        assert_ne!(in_facade, MessageId::from_key(&orders, "order-7").unwrap());
        assert_ne!(in_facade, MessageId::from_key(&facade(), "Order-7").unwrap());
        // Stored data depends on this mapping: it may never change.
        assert_eq!(in_facade.to_string(), "4f19642b-801b-59fa-a535-1a0e60b2e84a");
    }

    #[test]
    fn the_nil_uuid_and_wrong_lengths_are_no_ids() {
        assert_eq!(MessageId::try_from([0; 16]), Err(InvalidMessageId::Nil));
        assert_eq!(MessageId::try_from(&[1; 15][..]), Err(InvalidMessageId::Length(15)));
        assert_eq!("msg1".parse::<MessageId>(), Err(InvalidMessageId::Text));
        let nil = "00000000-0000-0000-0000-000000000000";
        assert_eq!(MessageId::from_key(&facade(), nil), Err(InvalidMessageId::Nil));
    }

    #[test]
    fn new_ids_are_unique_and_ordered_by_time() {
        let ids: Vec<_> = (0..1000).map(|_| RandomIds.next_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn new_ids_are_unique_whatever_the_clock_shows() {
        let far = Duration::from_secs(1 << 42);
        let times = [UNIX_EPOCH - far, UNIX_EPOCH - Duration::from_nanos(1), UNIX_EPOCH];
        let times = times.into_iter().chain([UNIX_EPOCH + ID_TIME_MAX, UNIX_EPOCH + far]);
        for time in times.clone() {
            // Of two processes.
            let [one, other] = [(); 2].map(|()| id_at(time, &Mutex::new(ContextV7::new())));
            assert_ne!(one.0[6..12], other.0[6..12], "few random bits at {time:?}");
        }
        let ids: Vec<_> = times.cycle().take(1000).map(|time| id_at(time, &IDS)).collect();
        assert!(ids.iter().all(|id| Uuid::from_bytes(id.0).get_version_num() == 7));
        assert_eq!(HashSet::<_>::from_iter(&ids).len(), ids.len());
    }
}
