//! The table, by where the harm is.

mod body;
mod connection;
mod paging;
mod rules;
mod status;
mod well;

use std::net::SocketAddr;

pub use body::gzip;

use super::row::Row;

/// All rows. `elsewhere` is a server that nobody has any business with.
pub fn all(elsewhere: SocketAddr) -> Vec<Row> {
    [connection::rows(), status::rows(), body::rows(), paging::rows(elsewhere), rules::rows(), well::rows()].concat()
}
