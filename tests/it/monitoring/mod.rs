//! The alerts and the dashboards, held against each other, against what is said of them, and against a real Prometheus that reads
//! a real server.

mod alerts;
mod expressions;
mod peer;
mod proof;
mod scene;
mod wire;
