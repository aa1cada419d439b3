//! Sources that mean no good. Each row of the table is a registration system on loopback that first serves a good list
//! and then misbehaves in one way; one served binary reads them all, and whatever they do, nobody changes.

mod list;
mod row;
mod rows;
pub mod served;
pub mod server;
mod table;
pub mod tls;
mod truncated;
