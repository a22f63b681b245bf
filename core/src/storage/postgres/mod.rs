//! The external database: pooled connections, each transaction its own.

mod encode;
mod error;
mod session;
mod tls;
mod url;

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod,
};
use futures_util::FutureExt;
use tokio_postgres::AsyncMessage;

use super::{BoxFuture, Figures, Load, StorageError, Tx};
pub(super) use session::Session;
pub use url::{PostgresUrl, Verify};

/// Connections of one node; all queries beyond them wait for one that gets free.
const POOL: usize = 8;

/// How long to wait for a free connection before calling the database unreachable.
const WAIT: Duration = Duration::from_secs(10);

/// What a process that was stopped, or cut off, in the middle of a transaction has locked is free again
/// after this time: until then others may wait for it, even those who are to take over from it. Ours go
/// from statement to statement within milliseconds.
const NO_IDLE_TRANSACTIONS: &str = "SET idle_in_transaction_session_timeout = '2s'";

/// How long a transaction of whoever leads this node in a cluster may take, connecting included.
const IN_TIME: Duration = Duration::from_secs(2);

/// Which connections a transaction may have.
#[derive(Clone, Copy)]
pub(super) enum Lane {
    Common,
    Lease,
    Cluster,
}

pub(super) struct Postgres {
    pool: Pool,
    /// One connection that only the serving lease uses, so that load cannot starve it.
    lease: Pool,
    /// Another one for whoever leads this node in a cluster.
    cluster: Pool,
    url: Box<PostgresUrl>,
    place: String,
    figures: Arc<Figures>,
}

impl Postgres {
    /// Makes the pools; connects once, so that a wrong address or password is told at the start.
    pub(super) async fn open(
        url: &PostgresUrl,
        figures: Arc<Figures>,
    ) -> Result<Postgres, StorageError> {
        let postgres = Postgres {
            pool: pool(url, POOL)?,
            lease: pool(url, 1)?,
            cluster: pool(url, 1)?,
            url: Box::new(url.clone()),
            place: url.place().to_owned(),
            figures,
        };
        drop(postgres.connection(&postgres.pool).await?);
        Ok(postgres)
    }

    async fn connection(&self, pool: &Pool) -> Result<Object, StorageError> {
        pool.get().await.map_err(|failure| match failure {
            PoolError::Backend(failure) => error::place(&failure, &self.place),
            PoolError::Timeout(_) => self.late(WAIT),
            other => {
                StorageError::Unreachable { place: self.place.clone(), why: other.to_string() }
            }
        })
    }

    fn late(&self, waited: Duration) -> StorageError {
        let why = format!("no answer within {} s", waited.as_secs());
        StorageError::Unreachable { place: self.place.clone(), why }
    }

    pub(super) async fn write<T, E, F>(&self, body: F, lane: Lane) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>>,
        E: From<StorageError>,
    {
        let pool = match lane {
            Lane::Common => &self.pool,
            Lane::Lease => &self.lease,
            Lane::Cluster => return self.write_in_time(body).await,
        };
        let mut connection = self.connection(pool).await?;
        self.transact(&mut connection, body).await
    }

    /// A connection that did not answer in time is not used again: its network may be gone.
    async fn write_in_time<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>>,
        E: From<StorageError>,
    {
        let end = tokio::time::Instant::now() + IN_TIME;
        let late = || self.late(IN_TIME);
        let connection = tokio::time::timeout_at(end, self.connection(&self.cluster)).await;
        let mut connection = connection.map_err(|_| late())??;
        let outcome = tokio::time::timeout_at(end, self.transact(&mut connection, body)).await;
        outcome.unwrap_or_else(|_| {
            drop(Object::take(connection));
            Err(late().into())
        })
    }

    async fn transact<T, E, F>(&self, connection: &mut Object, body: F) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>>,
        E: From<StorageError>,
    {
        let transaction =
            connection.transaction().await.map_err(|e| error::place(&e, &self.place))?;
        let mut tx =
            Tx::postgres(Session::Transaction(transaction, &self.place), true, &self.figures);
        let outcome = AssertUnwindSafe(body(&mut tx)).catch_unwind().await;
        // A transaction that is dropped is rolled back.
        let value = outcome.map_err(|_| StorageError::Panicked)??;
        match tx.into_postgres() {
            Some(session) => {
                session.commit().await?;
                self.figures.commits.inc();
            }
            None => return Err(StorageError::Closed.into()),
        }
        Ok(value)
    }

    pub(super) async fn read<T, E, F>(&self, body: F) -> Result<T, E>
    where
        F: for<'t, 'c> FnOnce(&'t mut Tx<'c>) -> BoxFuture<'t, Result<T, E>>,
        E: From<StorageError>,
    {
        let connection = self.connection(&self.pool).await?;
        let mut tx = Tx::postgres(Session::Plain(&connection, &self.place), false, &self.figures);
        let outcome = AssertUnwindSafe(body(&mut tx)).catch_unwind().await;
        outcome.map_err(|_| StorageError::Panicked)?
    }

    /// Calls `heard` for each notification on `channel`, on a connection of its own, until that
    /// breaks.
    pub(super) async fn listen(
        &self,
        channel: &str,
        mut heard: impl FnMut() + Send,
    ) -> Result<(), StorageError> {
        let failed = |failure| error::place(&failure, &self.place);
        let tls = tls::connector(&self.url)?;
        let (client, mut connection) = self.url.config().connect(tls).await.map_err(failed)?;
        let subscribe = async {
            client.batch_execute(&format!("LISTEN {channel}")).await.map_err(failed)?;
            std::future::pending().await
        };
        let receive = async {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notification(_) = message.map_err(failed)? {
                    heard();
                }
            }
            Ok(())
        };
        tokio::select! {
            ended = receive => ended,
            failed = subscribe => failed,
        }
    }

    pub(super) fn load(&self) -> Load {
        let status = self.pool.status();
        Load {
            size: status.max_size,
            busy: status.size.saturating_sub(status.available),
            waiting: status.waiting,
            ..Load::default()
        }
    }

    /// Host, port and name of the database.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn close(&self) {
        self.pool.close();
        self.lease.close();
        self.cluster.close();
    }
}

fn pool(url: &PostgresUrl, size: usize) -> Result<Pool, StorageError> {
    // `Fast` asks only whether the connection is closed: no round trip per use.
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(url.config().clone(), tls::connector(url)?, config);
    Pool::builder(manager)
        .max_size(size)
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(WAIT))
        .post_create(Hook::async_fn(|client, _| {
            let set = client.batch_execute(NO_IDLE_TRANSACTIONS);
            Box::pin(async move { set.await.map_err(HookError::Backend) })
        }))
        .build()
        .map_err(|e| StorageError::Url(e.to_string()))
}
