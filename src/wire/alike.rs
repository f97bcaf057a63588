//! Whether code by hand reads what generated code reads.

use std::fmt::Debug;

use proptest::sample::Index;
use prost::Message;

/// How bytes are spoiled: which one becomes what, and where they end.
pub(super) type Spoiling = (Index, u8, Index);

/// Both read the same of spoiled `bytes`, or refuse them with the same words but for the `name` of the
/// message.
#[track_caller]
pub(super) fn assert_read_alike<ByHand, Generated>(
    name: &str,
    mut bytes: Vec<u8>,
    (at, byte, len): Spoiling,
) where
    ByHand: Message + Default,
    Generated: Message + Default + From<ByHand> + PartialEq + Debug,
{
    let at = at.index(bytes.len());
    bytes[at] = byte;
    bytes.truncate(len.index(bytes.len() + 1));
    let by_hand =
        ByHand::decode(&bytes[..]).map(Generated::from).map_err(|error| error.to_string());
    let generated = Generated::decode(&bytes[..])
        .map_err(|error| error.to_string().replace("Generated.", &format!("{name}.")));
    assert_eq!(by_hand, generated);
}
