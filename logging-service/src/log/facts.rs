//! What is stored under the ids of proposals: looked up before the rules decide, which read no disk.

use std::collections::HashSet;

use oncelog::message::{Message, MessageId};

use super::index::Index;
use crate::{
    rules::Fact,
    store::{Address, ReadError, Reader},
};

/// One fact for each of `proposals`. The disk is read for known ids only. The first proposal with an id in
/// `landed` was stored by an earlier attempt of its own call, if it is what is stored.
pub(super) fn look_up(
    index: &Index,
    reader: &dyn Reader,
    proposals: &[Message],
    landed: &HashSet<MessageId>,
) -> Vec<Fact> {
    let known = index.get_all(proposals.iter().map(|proposal| &proposal.id));
    // Almost always empty, so that this copies nothing.
    let mut landed = landed.clone();
    let fact = |(proposal, address): (&Message, Option<Address>)| {
        let Some(address) = address else { return Fact::Absent };
        let is_own = landed.remove(&proposal.id);
        match (compare(reader, address, proposal), is_own) {
            (Fact::Same(receipt), true) => Fact::Landed(receipt),
            (fact, _) => fact,
        }
    };
    proposals.iter().zip(known).map(fact).collect()
}

/// Compares `proposal` with the durable record at `address`, which has its id.
pub(super) fn compare(reader: &dyn Reader, address: Address, proposal: &Message) -> Fact {
    match reader.get(address) {
        Ok(stored) if stored.message == *proposal => Fact::Same(stored.receipt),
        Ok(_) => Fact::Different,
        Err(error) => {
            let reason = format!("a record with this id is stored, but it cannot be read: {error}");
            match error {
                ReadError::Io { .. } => {
                    tracing::error!(id = %proposal.id, %error, "cannot compare a repeated message");
                    Fact::Unreadable(reason)
                }
                // The reader has reported it.
                ReadError::Damaged(_) => Fact::Damaged(reason),
            }
        }
    }
}
