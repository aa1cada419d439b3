//! Sources that mean no good. Each row of the table is a registration system on loopback that first serves a good list
//! and then misbehaves in one way; one served binary reads them all, and whatever they do, nobody changes.

mod list;
mod row;
mod rows;
mod served;
mod server;
mod table;
mod tls;
mod truncated;
