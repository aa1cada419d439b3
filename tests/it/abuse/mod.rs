//! The real server, misused: requests made by machines that mean no good, thousands of connections, few descriptors.

mod connections;
mod schemathesis;
mod served;
mod wire;
