//! A server that speaks as its row says: raw TCP, for a library would be too polite.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Where every server is: apart from other tests on this machine, where that is possible. Every connection is
/// counted, and one that was meant for somebody else's server, gone from the same port, must not be.
pub const HOST: &str = if cfg!(target_os = "linux") { "127.77.0.1" } else { "127.0.0.1" };

/// Longer than any test waits.
const FOR_EVER: Duration = Duration::from_secs(600);

/// What a server does on a connection, one step after the other; after the last it closes.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Vec<u8>),
    /// Byte by byte, a pause before each.
    Drip(Vec<u8>, Duration),
    /// Again and again, a pause before each time, for as long as anybody listens.
    Again(Vec<u8>, Duration),
    /// Neither sends nor closes.
    Stall,
    /// Closes by a reset instead of an end.
    Reset,
}

pub type Reply = Vec<Step>;

/// A request, as far as the tests look at it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How many requests came before it in this act.
    pub before: usize,
    /// Path and query.
    pub target: String,
    /// When it was whole.
    pub at: Instant,
}

impl Asked {
    /// The page that the query asks for, by `page=2` or `cursor=c2`.
    pub fn page(&self) -> usize {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let value = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            matches!(name, "page" | "cursor").then(|| value.trim_start_matches('c').parse().unwrap())
        };
        query.split('&').find_map(value).unwrap_or(1)
    }
}

type Answer = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// How a server behaves until told otherwise.
#[derive(Clone)]
pub enum Act {
    Http(Answer),
    Https(TlsAcceptor, Answer),
    /// Takes what comes first for no request and does this.
    Blind(Reply),
    /// The port is taken, but nobody listens.
    Shut,
}

struct Shared {
    act: Mutex<Act>,
    /// Of this act.
    asked: Mutex<Vec<Asked>>,
    accepted: Mutex<usize>,
}

/// Serves until dropped.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    /// Holds the port while shut.
    holder: Option<TcpSocket>,
}

impl Server {
    pub fn start(act: Act) -> Self {
        let socket = bind(SocketAddr::new(HOST.parse().unwrap(), 0));
        let address = socket.local_addr().unwrap();
        let shared = Shared { act: Mutex::new(act), asked: Mutex::default(), accepted: Mutex::default() };
        let mut server = Self { address, shared: Arc::new(shared), accepting: None, holder: None };
        server.listen(socket.listen(64).unwrap());
        server
    }

    fn listen(&mut self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        self.accepting = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                *shared.accepted.lock().unwrap() += 1;
                tokio::spawn(meet(stream, Arc::clone(&shared)));
            }
        }));
    }

    /// Behaves otherwise from now on, and counts anew.
    pub async fn play(&mut self, act: Act) {
        let shut = matches!(act, Act::Shut);
        *self.shared.act.lock().unwrap() = act;
        self.shared.asked.lock().unwrap().clear();
        *self.shared.accepted.lock().unwrap() = 0;
        if shut {
            let accepting = self.accepting.take().unwrap();
            accepting.abort();
            let _ = accepting.await;
            self.holder = Some(bind(self.address));
        } else if let Some(socket) = self.holder.take() {
            self.listen(socket.listen(64).unwrap());
        }
    }

    /// The requests of this act.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The connections of this act.
    pub fn accepted(&self) -> usize {
        *self.shared.accepted.lock().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

async fn meet(mut stream: TcpStream, shared: Arc<Shared>) {
    let act = shared.act.lock().unwrap().clone();
    match act {
        Act::Http(answer) => {
            let Some(reply) = hear(&mut stream, &shared, &answer).await else { return };
            if play(&mut stream, reply).await {
                // An error would only mean a milder end.
                let _ = stream.set_zero_linger();
            }
        }
        Act::Https(acceptor, answer) => {
            // A client that does not trust us hangs up here.
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let Some(reply) = hear(&mut stream, &shared, &answer).await else { return };
            play(&mut stream, reply).await;
        }
        Act::Blind(reply) => {
            let _ = stream.read(&mut [0; 16 * 1024]).await;
            if play(&mut stream, reply).await {
                let _ = stream.set_zero_linger();
            }
        }
        Act::Shut => {}
    }
}

/// Reads a request, which has no body, and asks what to reply.
async fn hear(stream: &mut (impl AsyncRead + Unpin), shared: &Shared, answer: &Answer) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let asked = {
        let mut all = shared.asked.lock().unwrap();
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let asked = Asked { before: all.len(), target, at: Instant::now() };
        all.push(asked.clone());
        asked
    };
    let signed = format!("authorization: bearer {}", crate::support::SOURCE_TOKEN);
    assert!(head.to_ascii_lowercase().contains(&signed), "a request without the credential");
    Some(answer(&asked))
}

/// Takes the steps, and closes; true when the last one is a reset. A client that hung up ends it.
async fn play(stream: &mut (impl AsyncWrite + Unpin), reply: Reply) -> bool {
    for step in reply {
        let sent = match step {
            Step::Send(bytes) => stream.write_all(&bytes).await,
            Step::Drip(bytes, pause) => drip(stream, &bytes, pause).await,
            Step::Again(bytes, pause) => loop {
                if let Err(error) = drip_whole(stream, &bytes, pause).await {
                    break Err(error);
                }
            },
            Step::Stall => {
                tokio::time::sleep(FOR_EVER).await;
                Ok(())
            }
            Step::Reset => return true,
        };
        if sent.is_err() || stream.flush().await.is_err() {
            return false;
        }
    }
    let _ = stream.shutdown().await;
    false
}

async fn drip(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], pause: Duration) -> std::io::Result<()> {
    for byte in bytes {
        drip_whole(stream, std::slice::from_ref(byte), pause).await?;
    }
    Ok(())
}

async fn drip_whole(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8], pause: Duration) -> std::io::Result<()> {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    stream.write_all(bytes).await?;
    stream.flush().await
}
