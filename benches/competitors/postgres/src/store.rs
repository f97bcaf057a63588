//! Messages in PostgreSQL: all waiting messages become one `INSERT`, and the next batch
//! coalesces while it runs.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use tokio::sync::{Mutex, mpsc::Receiver, oneshot};
use tokio_postgres::{Client, Config, Connection, NoTls, Socket, Statement, tls::NoTlsStream};
use uuid::Uuid;

/// Most messages of one `INSERT`, as in Oncelog's delivery.
const CALL_MESSAGES_MAX: usize = 1024;

/// A body is bytes and not text: PostgreSQL would check text and refuse the zero character.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS messages (
    sequence bigint GENERATED ALWAYS AS IDENTITY,
    id uuid PRIMARY KEY,
    body bytea NOT NULL
)";

const INSERT: &str = "INSERT INTO messages (id, body)
    SELECT * FROM UNNEST($1::uuid[], $2::bytea[])
    ON CONFLICT (id) DO NOTHING
    RETURNING id, sequence";

const LOOKUP: &str = "SELECT messages.sequence, messages.body = repeated.body
    FROM UNNEST($1::uuid[], $2::bytea[]) WITH ORDINALITY AS repeated (id, body, place)
    JOIN messages ON messages.id = repeated.id
    ORDER BY repeated.place";

/// A message on its way into the table, and where its outcome goes.
pub(crate) struct PendingInsert {
    pub(crate) id: Uuid,
    pub(crate) body: Vec<u8>,
    pub(crate) answer: oneshot::Sender<Outcome>,
}

/// What became of a message. Each of these is committed and on disk when it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// New, at this place of the log.
    Stored(i64),
    /// There already, at this place of the log.
    Duplicate(i64),
    /// Its id belongs to another message.
    Conflict,
}

/// Why the database is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
    #[error("the database closed the connection")]
    Closed,
    #[error("the database does not find what it has refused to insert twice")]
    Missing,
}

type Wire = Connection<Socket, NoTlsStream>;

/// How to reach the database at `url`.
pub(crate) fn config(url: &str) -> Result<Config, StoreError> {
    let mut config: Config = url.parse()?;
    // Planning each batch anew would buy nothing: there is one plan.
    config.options("-c plan_cache_mode=force_generic_plan");
    Ok(config)
}

/// Makes sure that there is a table.
pub(crate) async fn create_table(config: &Config) -> Result<(), StoreError> {
    let (client, mut wire) = config.connect(NoTls).await?;
    drive(&mut wire, async { Ok(client.batch_execute(TABLE).await?) }).await
}

/// Writes what waits, batch after batch, over one connection. Ends when all senders are gone or
/// the database fails; the requests that wait then get no outcome.
pub(crate) async fn write(
    config: Config,
    queue: Arc<Mutex<Receiver<PendingInsert>>>,
) -> Result<(), StoreError> {
    let (client, mut wire) = config.connect(NoTls).await?;
    let statements = drive(&mut wire, Statements::prepare(&client)).await?;
    let mut batch = Vec::with_capacity(CALL_MESSAGES_MAX);
    while queue.lock().await.recv_many(&mut batch, CALL_MESSAGES_MAX).await > 0 {
        let outcomes = drive(&mut wire, statements.store(&client, &batch)).await?;
        for (waiting, outcome) in batch.drain(..).zip(outcomes) {
            // A client that left needs no answer.
            let _ = waiting.answer.send(outcome);
        }
    }
    Ok(())
}

/// Runs `work` and the connection it needs in one task: a connection in a task of its own would
/// cost two more wake-ups a batch, often on another core.
async fn drive<T>(
    wire: &mut Wire,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        match Pin::new(&mut *wire).poll(context) {
            Poll::Ready(Ok(())) => Poll::Ready(Err(StoreError::Closed)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => work.as_mut().poll(context),
        }
    })
    .await
}

struct Statements {
    insert: Statement,
    lookup: Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Self, StoreError> {
        let insert = client.prepare(INSERT).await?;
        let lookup = client.prepare(LOOKUP).await?;
        Ok(Self { insert, lookup })
    }

    /// What became of each message of `batch`, in order. The statement is a transaction of its own:
    /// its answer comes after its commit is on disk.
    async fn store(
        &self,
        client: &Client,
        batch: &[PendingInsert],
    ) -> Result<Vec<Outcome>, StoreError> {
        let (ids, bodies): (Vec<Uuid>, Vec<&[u8]>) =
            batch.iter().map(|waiting| (waiting.id, &*waiting.body)).unzip();
        let rows = client.query(&self.insert, &[&ids, &bodies]).await?;
        // New rows come back in the order of the batch, so what is not next was there already.
        let mut rows = rows.iter().map(|row| (row.get::<_, Uuid>(0), row.get::<_, i64>(1)));
        let mut next = rows.next();
        let mut repeated = Vec::new();
        let mut outcomes = Vec::with_capacity(batch.len());
        for (place, id) in ids.iter().enumerate() {
            match next {
                Some((new, sequence)) if new == *id => {
                    outcomes.push(Outcome::Stored(sequence));
                    next = rows.next();
                }
                Some(_) | None => {
                    repeated.push(place);
                    outcomes.push(Outcome::Conflict);
                }
            }
        }
        if !repeated.is_empty() {
            self.look_up(client, batch, &repeated, &mut outcomes).await?;
        }
        Ok(outcomes)
    }

    async fn look_up(
        &self,
        client: &Client,
        batch: &[PendingInsert],
        repeated: &[usize],
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        let (ids, bodies): (Vec<Uuid>, Vec<&[u8]>) =
            repeated.iter().map(|place| (batch[*place].id, &*batch[*place].body)).unzip();
        let rows = client.query(&self.lookup, &[&ids, &bodies]).await?;
        if rows.len() != repeated.len() {
            return Err(StoreError::Missing);
        }
        for (place, row) in repeated.iter().zip(&rows) {
            if row.get(1) {
                outcomes[*place] = Outcome::Duplicate(row.get(0));
            }
        }
        Ok(())
    }
}
