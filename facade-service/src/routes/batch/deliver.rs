//! Delivers the lines of an upload.

use std::{
    future::{Future, ready},
    io::Write as _,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use futures_util::{future::Either, poll};
use oncelog::{
    delivery::{Delivered, DeliveryError},
    message::{Message, MessageId},
};
use tokio::sync::OwnedSemaphorePermit;

use super::read::Item;
use crate::{
    error::{Failure, PostError},
    facade::{Facade, text_message},
    request::{
        content::{InvalidContent, parse_line},
        lines::Line,
    },
};

/// Begins the delivery of a line, once there is room for it among the lines of all uploads. The
/// future returned is the line of the answer.
///
/// Lines enter the queue in the order of these calls. The rest of a delivery is a task of its own:
/// a client that does not read its outcomes holds no room.
pub(super) async fn start(facade: &Facade, item: Item) -> impl Future<Output = Vec<u8>> + use<> {
    let (line, error) = match item {
        Item::Line(line) => match message(facade, &line) {
            Ok(message) => {
                let (id, number) = (message.id, line.number);
                let room = room(facade, line.content.as_ref()).await;
                let mut delivery = Box::pin(deliver(facade.clone(), number, message, room));
                // The first poll is what enters the queue: tasks would race for it.
                if let Poll::Ready(outcome) = poll!(&mut delivery) {
                    return Either::Right(ready(outcome));
                }
                let delivery = tokio::spawn(delivery);
                return Either::Left(async move {
                    delivery.await.unwrap_or_else(|panicked| {
                        let error = DeliveryError::Unknown(panicked.to_string());
                        failure(number, PostError::Delivery { id, error })
                    })
                });
            }
            Err(error) => (line.number, error),
        },
        Item::Ended { line, error } => (line, error),
    };
    Either::Right(ready(failure(line, error)))
}

fn message(facade: &Facade, line: &Line) -> Result<Message, PostError> {
    let content = line.content.as_ref().ok_or(InvalidContent::LineTooLong)?;
    let (text, key) = parse_line(content)?;
    let id = match key {
        Some(key) => key.id()?,
        None => facade.next_id(),
    };
    Ok(text_message(id, text))
}

struct Room {
    _message: Option<OwnedSemaphorePermit>,
    _bytes: Option<OwnedSemaphorePermit>,
}

async fn room(facade: &Facade, line: Option<&Bytes>) -> Room {
    let bytes = line.map_or(0, Bytes::len);
    let uploads = facade.uploads();
    // Neither is ever closed, and no line is longer than all the room there is.
    Room {
        _message: Arc::clone(&uploads.messages).acquire_owned().await.ok(),
        _bytes: Arc::clone(&uploads.bytes).acquire_many_owned(bytes as u32).await.ok(),
    }
}

async fn deliver(facade: Facade, line: u64, message: Message, room: Room) -> Vec<u8> {
    let id = message.id;
    let appended = facade.delivery().append_in_bulk(message).await;
    drop(room);
    match appended {
        Ok(delivered) => success(id, &delivered),
        Err(error) => failure(line, PostError::Delivery { id, error }),
    }
}

fn success(id: MessageId, delivered: &Delivered) -> Vec<u8> {
    let mut json = Vec::with_capacity(128);
    let replayed = if delivered.replayed { r#","replayed":true"# } else { "" };
    // Writing into memory cannot fail.
    let _ = writeln!(
        json,
        r#"{{"status":"success","uuid":"{id}","sequence":{}{replayed}}}"#,
        delivered.place.sequence
    );
    json
}

fn failure(line: u64, error: PostError) -> Vec<u8> {
    let mut json = Failure::from(error).to_json(Some(line));
    json.push(b'\n');
    json
}
