//! A page cut after every byte of the answer, in every framing that HTTP has. Whatever is left of it, the run fails and
//! nobody changes.

use std::sync::Arc;

use rollcall::model::{ErrorReason, RunOutcome};

use super::list::{body, raw, record};
use super::rows::gzip;
use super::server::{Act, Asked, Server};
use crate::support::{Appliance, store_text};

/// An answer in one framing, from its status line on.
fn framed(framing: &str, body: &[u8]) -> Vec<u8> {
    let zipped = gzip(body);
    let (headers, body) = match framing {
        "length" => (format!("content-length: {}\r\n", body.len()), body.to_vec()),
        "chunked" => {
            let (one, two) = body.split_at(body.len() / 2);
            let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
            // A trailer, so that there is something left to cut when the body is whole.
            let chunks = [chunk(one), chunk(two), b"0\r\nx: y\r\n\r\n".to_vec()].concat();
            ("transfer-encoding: chunked\r\n".into(), chunks)
        }
        "until-close" => (String::new(), body.to_vec()),
        "gzip" => (format!("content-encoding: gzip\r\ncontent-length: {}\r\n", zipped.len()), zipped),
        "gzip-until-close" => ("content-encoding: gzip\r\n".into(), zipped),
        other => panic!("{other}"),
    };
    // Each connection is closed. Unsaid, that could meet the next request on its way, which here is tried once only.
    [format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{headers}\r\n").into_bytes(), body].concat()
}

fn config(server: &Server) -> String {
    format!(
        "[source.s]\nbase_url = \"http://{}/\"\n[source.s.request]\npath = \"people\"\n\
         [source.s.auth]\nkind = \"bearer\"\ntoken = {{ env = \"SOURCE_TOKEN\" }}\n\
         [source.s.pagination]\nkind = \"page\"\nparam = \"page\"\n\
         [source.s.records]\nselect = \".items[]\"\n\
         [source.s.mapping]\nexternal_id = \".id\"\nemail = \".email\"\nfirst_name = \".first\"\nlast_name = \".last\"\n\
         [source.s.limits]\ntries = 1\n[event.e]\n[[event.e.feed]]\nsource = \"s\"\n",
        server.address
    )
}

/// This, and if it passes for a page, an empty one after it.
fn list(first: &[u8]) -> Act {
    let first = raw(first);
    Act::Http(Arc::new(move |asked: &Asked| match asked.page() {
        1 => first.clone(),
        _ => raw(framed("length", br#"{"items":[]}"#)),
    }))
}

async fn cut_everywhere(framing: &str) {
    let good = body(&[record("a", 1, "Ada"), record("a", 2, "Ada")], "");
    let mut server = Server::start(list(&framed("length", good.as_bytes())));
    let appliance = Appliance::open(&config(&server)).await;
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!((run.outcome, run.counts.create), (Some(RunOutcome::Done), 2), "{:?}", run.error);
    let before = store_text(&appliance.app);

    let tampered = framed(framing, body(&[record("a", 1, "Eve"), record("a", 3, "Mallory")], "").as_bytes());
    let head = tampered.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    // The heads are much the same: one of them is enough.
    let first = if framing == "length" { 0 } else { head };
    for cut in first..tampered.len() {
        server.play(list(&tampered[..cut])).await;
        let run = appliance.sync("e", "s", false, false).await;
        let expected = if cut < head { ErrorReason::Connect } else { ErrorReason::Decode };
        let reason = run.error.as_ref().map(|error| error.reason);
        assert_eq!(
            (run.outcome, reason),
            (Some(RunOutcome::Failed), Some(expected)),
            "{framing}, {cut} bytes: {:?}",
            run.error
        );
        assert_eq!(store_text(&appliance.app), before, "{framing}, {cut} bytes");
    }
    // The cuts were all that stood in the way.
    server.play(list(&tampered)).await;
    let run = appliance.sync("e", "s", false, false).await;
    assert_eq!(
        (run.outcome, run.counts.create, run.counts.update),
        (Some(RunOutcome::Done), 1, 1),
        "{framing}: {:?}",
        run.error
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_cut_at_every_byte_of_its_length() {
    cut_everywhere("length").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_cut_at_every_byte_of_its_chunks() {
    cut_everywhere("chunked").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_cut_at_every_byte_with_no_length_told() {
    cut_everywhere("until-close").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_page_cut_at_every_byte() {
    cut_everywhere("gzip").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_page_cut_at_every_byte_with_no_length_told() {
    cut_everywhere("gzip-until-close").await;
}
