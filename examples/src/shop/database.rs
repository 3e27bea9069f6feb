//! Users, orders and payments in SQLite. Each function is one statement, observed.

use crate::trouble;
use obs_runtime::observe;
use obs_runtime::sync::Mutex;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One connection for all services: plenty for an example.
#[derive(Clone)]
pub(crate) struct Database(Arc<Mutex<Connection>>);

#[derive(Debug, Serialize)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) name: String,
}

impl Database {
    /// Makes the file, with a few users.
    pub(crate) fn create(path: &Path) -> rusqlite::Result<()> {
        Connection::open(path)?.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
             CREATE TABLE orders (id TEXT PRIMARY KEY, user INTEGER NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL);
             CREATE TABLE payments (order_id TEXT PRIMARY KEY, amount INTEGER NOT NULL);
             INSERT INTO users (id, name) VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Barbara'), (4, 'Frances');",
        )
    }

    /// Opens the file.
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(2))?;
        // A shop that is closed is gone, its orders included.
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(Self(Arc::new(Mutex::named("database", connection))))
    }

    /// Looks whether the file is there, and is a database with payments in it. On a connection of its own: one that is
    /// open would not notice that the file is gone.
    pub(crate) fn check(path: &Path) -> rusqlite::Result<()> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.query_row("SELECT count(*) FROM payments", [], |_| Ok(()))
    }

    /// Runs a statement without holding up the other tasks of this thread.
    fn with<T>(&self, run: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        tokio::task::block_in_place(|| {
            let connection = self.0.lock();
            trouble::dawdle();
            run(&connection)
        })
    }

    #[observe(name = "database::find_user")]
    pub(crate) fn find_user(&self, id: i64) -> rusqlite::Result<Option<User>> {
        self.with(|connection| {
            connection
                .query_row("SELECT id, name FROM users WHERE id = ?", [id], |row| {
                    Ok(User { id: row.get(0)?, name: row.get(1)? })
                })
                .optional()
        })
    }

    #[observe(name = "database::save_order")]
    pub(crate) fn save_order(
        &self,
        id: &str,
        user: i64,
        amount: i64,
        state: &str,
    ) -> rusqlite::Result<usize> {
        self.with(|connection| {
            connection.execute(
                "INSERT INTO orders (id, user, amount, state) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET state = ?4",
                params![id, user, amount, state],
            )
        })
    }

    #[observe(name = "database::save_payment")]
    pub(crate) fn save_payment(&self, order_id: &str, amount: i64) -> rusqlite::Result<usize> {
        self.with(|connection| {
            connection
                .execute("INSERT INTO payments (order_id, amount) VALUES (?, ?)", params![order_id, amount])
        })
    }
}
