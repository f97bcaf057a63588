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
    /// Waits until there is room for a piece of `bytes`. Dropping the future takes none.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        let of = |semaphore: &Arc<Semaphore>, permits: u32| {
            Arc::clone(semaphore).try_acquire_many_owned(permits).ok()
        };
        if let Some(one) = of(&self.few, 1) {
            return Room { _permits: [Some(one), None] };
        }
        let bytes = u32::try_from(bytes + PIECE_COST_BYTES).unwrap_or(u32::MAX);
        if let Some(own) = of(&self.of_upload, bytes)
            && let Some(common) = of(&self.of_all, bytes)
        {
            return Room { _permits: [Some(own), Some(common)] };
        }
        // It is never closed. The budgets need not be waited for: those pieces are read after these.
        Room { _permits: [Arc::clone(&self.few).acquire_owned().await.ok(), None] }
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
