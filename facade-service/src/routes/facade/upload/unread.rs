//! Outcomes that wait for the client to read them.
//!
//! A client may send all of its lines before it reads an outcome. So many outcomes may wait, within a budget
//! for one upload and one for all. When the budget of all is used up, each upload still has room for a few.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::Facade;

/// Pieces of one upload that may wait whatever is left of the budgets, as they became known together.
const PIECES_MIN: usize = 16;

/// What a piece takes in memory beside its bytes.
const PIECE_COST_BYTES: usize = 128;

/// Some outcomes, and the room they take.
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    _room: Room,
}

/// Room for one piece, free again once it is dropped.
pub(super) struct Room {
    _permits: [Option<OwnedSemaphorePermit>; 2],
}

/// Passes outcomes on to the answer of one upload.
pub(super) struct Outcomes {
    pieces: mpsc::UnboundedSender<Piece>,
    few: Arc<Semaphore>,
    of_upload: Arc<Semaphore>,
    of_all: Arc<Semaphore>,
}

/// Where outcomes go, and where they come out.
pub(super) fn outcomes(facade: &Facade) -> (Outcomes, mpsc::UnboundedReceiver<Piece>) {
    let (pieces, receiver) = mpsc::unbounded_channel();
    let semaphore = |permits| Arc::new(Semaphore::new(permits));
    let few = semaphore(PIECES_MIN);
    let of_upload = semaphore(facade.limits().uploads.unread_bytes);
    let of_all = Arc::clone(&facade.upload_budget().unread_bytes);
    (Outcomes { pieces, few, of_upload, of_all }, receiver)
}

impl Outcomes {
    /// Waits until there is room for a piece of `bytes`, of whichever kind there is first. Dropping the future
    /// takes none.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let bytes = u32::try_from(bytes + PIECE_COST_BYTES).unwrap_or(u32::MAX);
        let take = |semaphore: &Arc<Semaphore>, permits: u32| {
            Arc::clone(semaphore).acquire_many_owned(permits)
        };
        // None of them is ever closed.
        let of_budgets = async {
            let own = take(&self.of_upload, bytes).await.ok();
            Room { _permits: [own, take(&self.of_all, bytes).await.ok()] }
        };
        tokio::select! {
            biased;
            one = take(&self.few, 1) => Room { _permits: [one.ok(), None] },
            room = of_budgets => room,
        }
    }

    /// Room beyond all limits, for the last outcomes of an upload that takes no more lines: they are of lines
    /// under way, which are limited.
    pub(super) fn room_for_the_last(&self) -> Room {
        Room { _permits: [None, None] }
    }

    /// Adds a piece. False if the client is gone.
    pub(super) fn send(&self, bytes: Bytes, room: Room) -> bool {
        self.pieces.send(Piece { bytes, _room: room }).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::FutureExt as _;
    use oncelog::message::RandomIds;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{Limits, Options, Upstreams};

    const PIECE_BYTES: usize = 1000;

    #[tokio::test]
    async fn a_piece_that_waits_gets_the_first_room_there_is() {
        let mut limits = Limits::default();
        limits.uploads.unread_bytes = 2 * (PIECE_BYTES + PIECE_COST_BYTES);
        limits.uploads.unread_bytes_of_all = limits.uploads.unread_bytes;
        let options = Options { limits, ..Options::new(Arc::new(RandomIds)) };
        let facade = Facade::new(Upstreams::unreachable(), options, CancellationToken::new());
        let (outcomes, mut pieces) = outcomes(&facade);
        let piece = || Bytes::from(vec![b'x'; PIECE_BYTES]);
        while let Some(room) = outcomes.room(PIECE_BYTES).now_or_never() {
            outcomes.send(piece(), room);
        }
        // Each kind of room comes first at some time.
        for _ in 0..3 * (PIECES_MIN + 2) {
            let mut waiting = std::pin::pin!(outcomes.room(PIECE_BYTES));
            assert!(waiting.as_mut().now_or_never().is_none());
            drop(pieces.recv().await);
            let room = waiting.now_or_never().expect("no room though a piece was read");
            outcomes.send(piece(), room);
        }
        drop(pieces);
        let free = facade.upload_budget().unread_bytes.available_permits();
        assert_eq!(free, facade.limits().uploads.unread_bytes);
    }
}
