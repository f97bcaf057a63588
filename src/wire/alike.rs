//! Whether code by hand reads what generated code reads.

use std::fmt::Debug;

use proptest::{prelude::*, sample::Index};
use prost::Message;

/// Changes one byte of a message and cuts it off.
#[derive(Debug)]
pub(super) struct Spoiling {
    at: Index,
    byte: u8,
    len: Index,
}

impl Arbitrary for Spoiling {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        any::<(Index, u8, Index)>().prop_map(|(at, byte, len)| Self { at, byte, len }).boxed()
    }
}

impl Spoiling {
    pub(super) fn spoil(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let at = self.at.index(bytes.len());
        bytes[at] = self.byte;
        bytes.truncate(self.len.index(bytes.len() + 1));
        bytes
    }
}

/// Both read the same of `bytes`, or refuse them with the same words but for the `name` of the message.
#[track_caller]
pub(super) fn assert_read_alike<ByHand, Generated>(name: &str, bytes: &[u8])
where
    ByHand: Message + Default,
    Generated: Message + Default + From<ByHand> + PartialEq + Debug,
{
    let by_hand = ByHand::decode(bytes).map(Generated::from).map_err(|error| error.to_string());
    let generated = Generated::decode(bytes)
        .map_err(|error| error.to_string().replace("Generated.", &format!("{name}.")));
    assert_eq!(by_hand, generated);
}
