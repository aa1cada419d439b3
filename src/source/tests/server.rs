//! A registration system on loopback that answers as each test says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    /// By lower-case name.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: String,
    pub(super) at: Instant,
}

impl Seen {
    /// A value of the query, not decoded.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}

/// Bytes to send, after a pause; then the connection is closed.
#[derive(Debug, Clone, Default)]
pub(super) struct Reply {
    pub(super) pause: Duration,
    pub(super) bytes: Vec<u8>,
    /// After the bytes, keep silent instead of closing.
    pub(super) stall: bool,
}

impl Reply {
    pub(super) fn new(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        for (name, value) in headers {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut bytes = format!("{bytes}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        Self { bytes, ..Self::default() }
    }

    pub(super) fn json(body: impl AsRef<str>) -> Self {
        Self::new(200, &[("content-type", "application/json")], body.as_ref())
    }

    pub(super) fn status(status: u16) -> Self {
        Self::new(status, &[], "{}")
    }

    pub(super) fn raw(bytes: impl AsRef<[u8]>) -> Self {
        Self { bytes: bytes.as_ref().to_vec(), ..Self::default() }
    }
}

/// Listens until dropped.
pub(super) struct Server {
    pub(super) address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// `answer` is given each request and how many came before it.
    pub(super) async fn start(answer: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&log), Arc::clone(&answer)));
            }
        });
        Self { address, seen, task }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, log: Arc<Mutex<Vec<Seen>>>, answer: Arc<impl Fn(&Seen, usize) -> Reply>) {
    let Some(seen) = receive(&mut stream).await else { return };
    let before = {
        let mut log = log.lock();
        log.push(seen.clone());
        log.len() - 1
    };
    let reply = answer(&seen, before);
    tokio::time::sleep(reply.pause).await;
    // A client that hung up is what some tests are about.
    let _ = stream.write_all(&reply.bytes).await;
    if reply.stall {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let _ = stream.shutdown().await;
}

async fn receive(stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    loop {
        if let Some(seen) = parse(&String::from_utf8_lossy(&bytes)) {
            return Some(seen);
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn parse(text: &str) -> Option<Seen> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines.filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let body = (body.len() >= length).then(|| body.to_owned())?;
    Some(Seen { method, target, headers, body, at: Instant::now() })
}
