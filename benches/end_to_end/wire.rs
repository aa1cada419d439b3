//! HTTP/1.1 on one kept connection, as little as a benchmark needs, so that the server is measured and not the client.
//!
//! Requests are bytes made beforehand; an answer must have a `Content-Length`.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::Outcome;

/// Longer than any answer takes: the longest are changes of a list of millions, and syncs.
const TIMEOUT: Duration = Duration::from_secs(600);

const HEAD_END: &[u8] = b"\r\n\r\n";
const LENGTH: &[u8] = b"content-length:";

pub struct Connection {
    stream: TcpStream,
    /// The answer to the last request, from its first byte.
    received: Vec<u8>,
}

pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

/// A request as bytes.
pub fn request(method: &str, path: &str, token: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// One without a body.
pub fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n").into_bytes()
}

impl Connection {
    pub fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// Sends a request and receives the whole answer.
    pub fn ask(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        self.stream.write_all(request)?;
        self.received.clear();
        let head = loop {
            let seen = self.received.len().saturating_sub(HEAD_END.len());
            self.receive()?;
            if let Some(at) = find(&self.received[seen..], HEAD_END) {
                break seen + at + HEAD_END.len();
            }
        };
        let (status, length) = read_head(&self.received[..head]).ok_or("an answer is not as HTTP has it")?;
        while self.received.len() < head + length {
            self.receive()?;
        }
        Ok(Answer { status, body: &self.received[head..head + length] })
    }

    /// The JSON of an answer with a success.
    pub fn ask_json(&mut self, request: &[u8]) -> Outcome<Value> {
        let answer = self.ask(request)?;
        if !(200..300).contains(&answer.status) {
            let (status, body) = (answer.status, String::from_utf8_lossy(answer.body));
            return Err(format!("an answer has status {status}: {body}").into());
        }
        Ok(serde_json::from_slice(answer.body)?)
    }

    fn receive(&mut self) -> Outcome<()> {
        let mut piece = [0; 64 * 1024];
        let count = self.stream.read(&mut piece)?;
        if count == 0 {
            return Err("a connection ended within an answer".into());
        }
        self.received.extend_from_slice(&piece[..count]);
        Ok(())
    }
}

/// The status and the body's length.
fn read_head(head: &[u8]) -> Option<(u16, usize)> {
    let status = std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()?;
    let mut lines = head.split(|byte| *byte == b'\n');
    let length = lines.find_map(|line| {
        let (name, value) = line.split_at_checked(LENGTH.len())?;
        name.eq_ignore_ascii_case(LENGTH).then_some(value)
    })?;
    Some((status, std::str::from_utf8(length).ok()?.trim().parse().ok()?))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
