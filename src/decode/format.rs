//! How a source writes its pages.

use super::Charset;

/// What the body of a page is written in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON value (RFC 8259).
    #[default]
    Json,
    /// A JSON value a line. The page is the list of them, as `jq -s` makes it.
    Ndjson,
    /// A table (RFC 4180). The page is the list of its rows, each an object of texts.
    Csv(CsvFormat),
}

/// How a table is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    /// An ASCII character, neither a quote nor a line end.
    pub delimiter: u8,
    pub header: CsvHeader,
    /// `None`: as the answer says, else UTF-8. A byte order mark is believed above all.
    pub charset: Option<Charset>,
}

/// Where the names of the columns stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CsvHeader {
    FirstRow,
    /// Not in the table. None is empty, none stands twice.
    Names(Vec<String>),
}

impl Format {
    /// What a request says that it takes, as `Accept`. Line by line JSON has several names, none registered, and many
    /// a server writes `application/octet-stream` above an export.
    pub const fn accept(&self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson, application/json;q=0.5, */*;q=0.1",
            Self::Csv(_) => "text/csv, text/*;q=0.5, */*;q=0.1",
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Ndjson => "NDJSON",
            Self::Csv(_) => "CSV",
        }
    }
}
