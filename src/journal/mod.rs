//! The plan on disk: one file per run, written once, read in order.
//!
//! Frames of `length: u32` little-endian and a sealed value: a header, one entry per person or noted record, a
//! trailer that counts and checks them. A file without its trailer is no plan; it is written beside its name and
//! renamed when it is whole and on disk. Memory stays at one frame whatever the size.

mod cleaning;
mod error;
mod frames;
mod paths;
mod reader;
mod spool;
#[cfg(test)]
mod tests;
mod writer;

pub use cleaning::{clean_journal, read_tells_of, records_told};
pub use error::JournalError;
pub use paths::{
    RunFile, adopt_approved, approved_path, journal_path, preview_paths, read_path, run_files, spool_path,
};
pub use reader::JournalReader;
pub use spool::{Place, SpoolReader, SpoolWriter};
pub use writer::JournalWriter;
