//! Our word for what PostgreSQL says (its manual, appendix A: error codes).

use std::error::Error;

use crate::storage::StorageError;

/// An error of a statement; the statement is named when it is at fault.
pub(super) fn statement(error: &tokio_postgres::Error, place: &str, sql: &str) -> StorageError {
    match self::place(error, place) {
        StorageError::Statement(why) => StorageError::Statement(format!("{why} in `{sql}`")),
        other => other,
    }
}

/// An error of a connection to `place`.
pub(super) fn place(error: &tokio_postgres::Error, place: &str) -> StorageError {
    let (place, why) = (place.to_owned(), text(error));
    let Some(db) = error.as_db_error() else { return without_code(error, place, why) };
    match db.code().code().as_bytes() {
        b"28000" | b"28P01" | b"42501" => StorageError::Denied { place, why },
        b"3D000" => StorageError::NoSuchDatabase { place, why },
        b"53100" => StorageError::Full(place),
        b"25006" => StorageError::ReadOnly(why),
        // Serialization failure, deadlock, lock not available.
        b"40001" | b"40P01" | b"55P03" => StorageError::Busy(why),
        // Connection exceptions, insufficient resources, operator intervention, system errors; the
        // transaction was idle for too long, and its connection is closed.
        [b'0', b'8', ..] | [b'5', b'3' | b'7' | b'8', ..] | b"25P03" => {
            StorageError::Unreachable { place, why }
        }
        [b'2', b'3', ..] => StorageError::Constraint(why),
        _ => StorageError::Statement(why),
    }
}

/// What did not come from the server: input and output, or a parameter or column of ours.
fn without_code(error: &tokio_postgres::Error, place: String, why: String) -> StorageError {
    let text = error.to_string();
    if text.contains("TLS") {
        return StorageError::Tls(format!("{why} (at {place})"));
    }
    if text.starts_with("authentication error") || text.starts_with("invalid configuration") {
        return StorageError::Denied { place, why };
    }
    let ours = ["error serializing", "error deserializing", "invalid column", "expected "];
    match ours.iter().any(|start| text.starts_with(start)) {
        true => StorageError::Statement(why),
        false => StorageError::Unreachable { place, why: without_head(why) },
    }
}

/// What the system or the resolver says, without words of the driver that say no more than ours do.
fn without_head(why: String) -> String {
    let heads = ["error connecting to server: ", "error communicating with the server: "];
    let cause = heads.iter().find_map(|head| why.strip_prefix(head));
    cause.map(str::to_owned).unwrap_or(why)
}

/// The message and its causes on one line.
fn text(error: &tokio_postgres::Error) -> String {
    let mut text = match error.as_db_error() {
        Some(db) => return db.message().to_owned(),
        None => error.to_string(),
    };
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = deeper.source();
    }
    text
}
