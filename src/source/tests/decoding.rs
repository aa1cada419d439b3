//! Lists that are not JSON, and answers that are compressed.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::*;
use crate::decode::{Charset, CsvFormat, CsvHeader};

fn csv() -> Format {
    Format::Csv(CsvFormat { delimiter: b',', header: CsvHeader::FirstRow, charset: None })
}

/// Reads one answer in this format, all of whose items are records.
async fn answered(format: Format, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> (Told, Server) {
    let reply = Reply::new(200, headers, body);
    let server = Server::start(move |_, _| reply.clone()).await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    (spec.format, spec.mapping.select) = (format, jq(".[]"));
    (read(spec).await, server)
}

fn texts(told: &Told) -> Vec<String> {
    let text = |record: &crate::decode::RawRecord| String::from_utf8(record.bytes().to_vec()).unwrap();
    told.expect_end().pages.iter().flat_map(|page| &page.records).map(text).collect()
}

#[tokio::test]
async fn lists_by_lines_and_tables_are_read_and_asked_for() {
    let (told, server) = answered(Format::Ndjson, &[], "{\"id\":1}\n{\"id\":2}\n").await;
    assert_eq!(told.records(), [[1, 2]]);
    assert!(server.seen()[0].headers["accept"].starts_with("application/x-ndjson,"));
    let (told, server) = answered(csv(), &[], "id,n\n1,\n").await;
    assert_eq!(texts(&told), [r#"{"id":"1","n":""}"#]);
    assert!(server.seen()[0].headers["accept"].starts_with("text/csv,"));
}

#[tokio::test]
async fn an_accept_of_the_request_counts() {
    let server = Server::start(|_, _| Reply::json("{\"id\":1}\n")).await;
    let mut spec = spec(&server.url("/"), PaginationSpec::None);
    (spec.format, spec.mapping.select) = (Format::Ndjson, jq(".[]"));
    spec.request.headers = vec![("Accept".into(), Template::parse("application/vnd.people+ndjson").unwrap())];
    read(spec).await.expect_end();
    assert_eq!(server.seen()[0].headers["accept"], "application/vnd.people+ndjson");
}

#[tokio::test]
async fn the_charset_of_the_answer_counts_for_tables() {
    let (told, _) = answered(csv(), &[("content-type", "text/csv; charset=windows-1252")], b"n\nZo\xeb\n").await;
    assert_eq!(texts(&told), [r#"{"n":"Zoë"}"#]);
    let (told, _) = answered(csv(), &[("content-type", "text/csv")], b"n\nZo\xeb\n").await;
    let error =
        told.expect_failure(ErrorReason::Decode, "invalid CSV at byte 4 (line 2, column 3): these bytes are no");
    assert!(error.hint.contains("encoding"));
}

#[tokio::test]
async fn a_web_page_is_no_table() {
    let html = [("content-type", "text/html; charset=utf-8")];
    for (headers, body) in [(&html[..], "Please log in, Ada\n"), (&[], "<html>\n<p>Ada\n")] {
        let (told, _) = answered(csv(), headers, body).await;
        let error = told.expect_failure(ErrorReason::Decode, "the body looks like HTML or XML");
        assert!(error.hint.contains("web page") && !error.message.contains("Ada"), "{error:?}");
    }
}

#[tokio::test]
async fn half_a_list_is_no_list() {
    let charset = Some(Charset::of_label("utf-16le").unwrap());
    let utf16 = Format::Csv(CsvFormat { delimiter: b',', header: CsvHeader::FirstRow, charset });
    for (format, body, part) in [
        (
            Format::Ndjson,
            &b"{\"id\":1}\n{\"id\":"[..],
            "invalid NDJSON at byte 15 (line 2, column 7): the body ends too",
        ),
        (csv(), b"id,n\n1,2\n3,\"Lovel", "invalid CSV in line 3: a quote is opened and never closed"),
        (csv(), b"id,n\n1,2\n3", "invalid CSV in line 3: 1 field where there are 2 columns"),
        (utf16, b"i\0d\0\n\x001", "these bytes are no UTF-16LE"),
    ] {
        let (told, server) = answered(format, &[], body).await;
        let error = told.expect_failure(ErrorReason::Decode, part);
        assert!(error.message.starts_with("page 1: GET http://127.0.0.1:"), "{error:?}");
        assert_eq!((told.pages.len(), server.seen().len()), (0, 1));
    }
}

#[tokio::test]
async fn a_table_that_swells_is_too_large() {
    let body = format!("{}\n{}", "n".repeat(1_000), "1\n".repeat(1_000));
    let (told, _) = answered(csv(), &[], body).await;
    told.expect_failure(ErrorReason::TooLarge, "larger than 100000 bytes when decompressed and decoded");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `deflate` is zlib's format (RFC 9110, 8.4.1.2).
fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    brotli::BrotliCompress(&mut &*bytes, &mut packed, &brotli::enc::BrotliEncoderParams::default()).unwrap();
    packed
}

type Pack = fn(&[u8]) -> Vec<u8>;
const CODINGS: [(&str, Pack); 3] = [("gzip", gzip), ("deflate", deflate), ("br", brotli)];

#[tokio::test]
async fn each_coding_is_asked_for_and_read() {
    let lines: String = (0..500).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    for (coding, pack) in CODINGS {
        let packed = pack(lines.as_bytes());
        assert!(packed.len() < lines.len() / 2);
        let (told, server) = answered(Format::Ndjson, &[("content-encoding", coding)], packed).await;
        assert_eq!(told.records().concat(), (0..500).collect::<Vec<_>>(), "{coding}");
        assert_eq!(told.traffic().bytes, lines.len() as u64, "counted as decompressed");
        assert!(server.seen()[0].headers["accept-encoding"].contains(coding));
    }
}

#[tokio::test]
async fn a_bomb_of_each_coding_is_capped() {
    let blank = vec![b' '; 20_000_000];
    for (coding, pack) in CODINGS {
        let bomb = pack(&blank);
        assert!(bomb.len() < 100_000, "{coding}: {}", bomb.len());
        let (told, _) = answered(Format::Ndjson, &[("content-encoding", coding)], bomb).await;
        told.expect_failure(ErrorReason::TooLarge, "larger than 100000 bytes");
    }
}

#[tokio::test]
async fn a_wrong_coding_is_named() {
    for (coding, _) in CODINGS {
        for body in [&b"{\"id\":1}\n"[..], &[0xff; 64]] {
            let (told, server) = answered(Format::Ndjson, &[("content-encoding", coding)], body).await;
            let error = told.failed.as_ref().unwrap().0.clone();
            assert_eq!(error.reason, ErrorReason::Decode, "{coding}: {error:?}");
            assert!(!error.hint.is_empty() && server.seen().len() <= 3, "{coding}: {error:?}");
        }
    }
    // Packed, and not said to be.
    let (told, _) = answered(csv(), &[], gzip(b"id\n1\n")).await;
    told.expect_failure(ErrorReason::Decode, "these bytes are no UTF-8");
}
