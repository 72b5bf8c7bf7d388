//! Records as rows of a PostgreSQL table; a commit makes them durable.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection, Row};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{AuditSink, ChainedRecord, SinkError, SinkSpec};
use crate::audit::chain::{ChainHead, HexHash};
use crate::merkle::Frontier;

/// How long the server may keep a connection or a transaction waiting.
const TIMEOUT: Duration = Duration::from_secs(5);

/// `line` is text and not jsonb: the chain is over its bytes, which jsonb would not keep.
const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS nitro_key_broker_audit (
        log text NOT NULL,
        sequence bigint NOT NULL,
        line text NOT NULL,
        PRIMARY KEY (log, sequence)
    )",
    "CREATE TABLE IF NOT EXISTS nitro_key_broker_audit_head (
        log text NOT NULL PRIMARY KEY,
        written_at timestamptz NOT NULL DEFAULT now(),
        head text NOT NULL
    )",
];

/// Rows that are there already, from an attempt whose commit came through and whose answer did not, must be the same.
const INSERT: &str = "INSERT INTO nitro_key_broker_audit (log, sequence, line)
    SELECT $1, * FROM unnest($2::bigint[], $3::text[]) ON CONFLICT (log, sequence) DO NOTHING";
const COUNT_OTHERS: &str = "SELECT count(*) FROM nitro_key_broker_audit stored
    JOIN unnest($2::bigint[], $3::text[]) AS given (sequence, line) ON given.sequence = stored.sequence
    WHERE stored.log = $1 AND stored.line <> given.line";
const SET_HEAD: &str = "INSERT INTO nitro_key_broker_audit_head (log, head) VALUES ($1, $2)
    ON CONFLICT (log) DO UPDATE SET head = excluded.head, written_at = now()";
const NEWEST_HEAD: &str = "SELECT head FROM nitro_key_broker_audit_head ORDER BY written_at DESC LIMIT 1";
/// Held as long as the connection is: a log has one writer.
const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))";

pub(super) struct PostgresSink {
    name: String,
    options: PgConnectOptions,
    /// Made in the thread that uses it, for no thread of another runtime may drop it.
    runtime: Option<Runtime>,
    connection: Option<Locked>,
}

struct Locked {
    connection: PgConnection,
    /// The log that this connection holds the lock of.
    log: Option<String>,
}

/// A chain's end as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHead {
    log: String,
    size: u64,
    tree: Vec<HexHash>,
    last_hash: Option<HexHash>,
}

impl PostgresSink {
    pub(super) fn new(url: &str) -> Result<Self, SinkError> {
        // The error may quote the URL, which may hold a password.
        let options = PgConnectOptions::from_str(url).map_err(|_| SinkError::new("it is no postgres URL"))?;
        Ok(Self {
            name: SinkSpec::Postgres(url.to_owned()).to_string(),
            options: options.application_name("nitro-key-broker").disable_statement_logging(),
            runtime: None,
            connection: None,
        })
    }

    /// Does `work` over the connection that is there or a new one, within the time it has. After an error nobody knows
    /// how the server sees it, so the next begins another.
    fn with_connection<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Locked) -> Result<T, SinkError>,
    ) -> Result<T, SinkError> {
        let runtime = match &self.runtime {
            Some(runtime) => runtime,
            None => {
                let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
                self.runtime.insert(made.map_err(SinkError::new)?)
            }
        };
        let (options, connection) = (&self.options, &mut self.connection);
        let within_time = async {
            let mut locked = match connection.take() {
                Some(locked) => locked,
                None => Locked { connection: connect(options).await?, log: None },
            };
            let done = work(&mut locked).await?;
            *connection = Some(locked);
            Ok(done)
        };
        let done = runtime.block_on(async { timeout(TIMEOUT, within_time).await });
        done.unwrap_or_else(|_| Err(SinkError::new(format!("no answer within {TIMEOUT:?}"))))
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, SinkError> {
    let mut connection = PgConnection::connect_with(options).await.map_err(SinkError::new)?;
    for table in TABLES {
        sqlx::query(table).execute(&mut connection).await.map_err(SinkError::new)?;
    }
    Ok(connection)
}

impl AuditSink for PostgresSink {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn write(&mut self, records: &[ChainedRecord], head: &ChainHead) -> Result<(), SinkError> {
        let stored = StoredHead::of(head)?;
        let mut sequences = Vec::with_capacity(records.len());
        let mut lines = Vec::with_capacity(records.len());
        for ChainedRecord { sequence, line } in records {
            sequences.push(i64::try_from(*sequence).map_err(SinkError::new)?);
            lines.push(std::str::from_utf8(line).map_err(SinkError::new)?.to_owned());
        }
        self.with_connection(async |locked| {
            locked.lock(&head.log).await?;
            insert(&mut locked.connection, &head.log, &sequences, &lines, &stored).await
        })
    }

    fn stored_head(&mut self) -> Result<Option<ChainHead>, SinkError> {
        self.with_connection(async |locked| {
            let newest = sqlx::query(NEWEST_HEAD).fetch_optional(&mut locked.connection).await;
            let Some(row) = newest.map_err(SinkError::new)? else { return Ok(None) };
            let text: String = row.try_get(0).map_err(SinkError::new)?;
            StoredHead::read(&text).map(Some)
        })
    }
}

impl Locked {
    async fn lock(&mut self, log: &str) -> Result<(), SinkError> {
        if self.log.as_deref() == Some(log) {
            return Ok(());
        }
        let locked: bool = sqlx::query_scalar(LOCK)
            .bind(log)
            .fetch_one(&mut self.connection)
            .await
            .map_err(SinkError::new)?;
        if !locked {
            return Err(SinkError::new("another broker writes to this log"));
        }
        self.log = Some(log.to_owned());
        Ok(())
    }
}

async fn insert(
    connection: &mut PgConnection,
    log: &str,
    sequences: &[i64],
    lines: &[String],
    head: &str,
) -> Result<(), SinkError> {
    let mut transaction = connection.begin().await.map_err(SinkError::new)?;
    // Whatever the server's default is: a commit is on its disk when it answers.
    sqlx::query("SET LOCAL synchronous_commit = on")
        .execute(&mut *transaction)
        .await
        .map_err(SinkError::new)?;
    let inserted = sqlx::query(INSERT).bind(log).bind(sequences).bind(lines).execute(&mut *transaction).await;
    if inserted.map_err(SinkError::new)?.rows_affected() < sequences.len() as u64 {
        let others = sqlx::query_scalar(COUNT_OTHERS).bind(log).bind(sequences).bind(lines);
        let others: i64 = others.fetch_one(&mut *transaction).await.map_err(SinkError::new)?;
        if others > 0 {
            return Err(SinkError::new(format!("it has {others} other records under the same numbers")));
        }
    }
    sqlx::query(SET_HEAD).bind(log).bind(head).execute(&mut *transaction).await.map_err(SinkError::new)?;
    transaction.commit().await.map_err(SinkError::new)
}

impl StoredHead {
    fn of(head: &ChainHead) -> Result<String, SinkError> {
        let stored = Self {
            log: head.log.clone(),
            size: head.tree.size(),
            tree: head.tree.roots().iter().copied().map(HexHash).collect(),
            last_hash: head.last_hash.map(HexHash),
        };
        serde_json::to_string(&stored).map_err(SinkError::new)
    }

    fn read(text: &str) -> Result<ChainHead, SinkError> {
        let Self { log, size, tree, last_hash } = serde_json::from_str(text).map_err(SinkError::new)?;
        let tree =
            Frontier::new(size, tree.into_iter().map(|hash| hash.0).collect()).map_err(SinkError::new)?;
        Ok(ChainHead { log, tree, last_hash: last_hash.map(|hash| hash.0) })
    }
}
