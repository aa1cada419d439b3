//! Connections in numbers: more than there are seats, more than there are descriptors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use super::served::{PATIENCE, Served};

const IDLE: usize = 10_000;
/// Opened at one time; the listen queue is not longer everywhere.
const AT_ONCE: usize = 100;

/// What store and metrics may have open more than at the start.
const SPARE: usize = 20;
/// Within this time a client hears that its connection has ended.
const GOODBYE: Duration = Duration::from_secs(10);

/// How a connection keeps the server waiting.
#[derive(Clone, Copy)]
enum Idler {
    Silent,
    HalfLine,
    /// A header's byte a second.
    Dripping,
    /// Kept alive after its first answer.
    Answered,
}

/// How often somebody asks who is turned away unanswered: by the kernel, whose queue was full for too long, or because a
/// thousand newcomers came before the first byte and took the seat. Any client would ask again.
const TRIES: usize = 3;

impl Idler {
    const ALL: [Self; 4] = [Self::Silent, Self::HalfLine, Self::Dripping, Self::Answered];

    /// Opens a connection and keeps it until the server ends it. Tells at which try it was answered first, if at all.
    async fn idle(self, address: SocketAddr, opened: Arc<tokio::sync::Semaphore>) -> Option<usize> {
        for nth in 1..=TRIES {
            if self.try_idle(address, &opened).await {
                return Some(nth);
            }
            if !matches!(self, Self::Answered) {
                break;
            }
        }
        None
    }

    async fn try_idle(self, address: SocketAddr, opened: &Arc<tokio::sync::Semaphore>) -> bool {
        let permit = Arc::clone(opened).acquire_owned().await.unwrap();
        let Ok(mut stream) = TcpStream::connect(address).await else { return false };
        let mut buffer = [0; 4096];
        let mut answered = false;
        // Writes fail once the server has ended the connection, and then so does the read below.
        match self {
            Self::Silent => {}
            Self::HalfLine => drop(stream.write_all(b"GET /heal").await),
            Self::Dripping => drop(stream.write_all(b"GET /healthz HTTP/1.1\r\nX-Slow: ").await),
            Self::Answered => {
                let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                answered = buffer[..read].starts_with(b"HTTP/1.1 200");
                if !answered {
                    return false;
                }
            }
        }
        drop(permit);
        let (mut reader, mut writer) = stream.split();
        let ended = reader.read(&mut buffer);
        if matches!(self, Self::Dripping) {
            let drip = async {
                while writer.write_all(b"x").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            };
            tokio::select! { _ = ended => {}, () = drip => {} }
        } else {
            let _ = ended.await;
        }
        answered
    }
}

/// Asks `/healthz` and `/metrics` in turn until told to stop. Gives the number of answers and the longest wait.
fn watch(served: &Arc<Served>, stop: &Arc<AtomicBool>) -> JoinHandle<(usize, Duration)> {
    let (served, stop) = (Arc::clone(served), Arc::clone(stop));
    tokio::spawn(async move {
        let (mut answers, mut longest) = (0, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            for path in ["/healthz", "/metrics"] {
                let began = Instant::now();
                let answer = served.ask("GET", path).await;
                assert_eq!(answer.status, 200, "{path}: {answer:?}");
                longest = longest.max(began.elapsed());
                answers += 1;
            }
        }
        (answers, longest)
    })
}

fn idlers(count: usize, address: SocketAddr) -> (JoinSet<Option<usize>>, Arc<tokio::sync::Semaphore>) {
    let opened = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut idlers = JoinSet::new();
    for kind in Idler::ALL.into_iter().cycle().take(count) {
        idlers.spawn(kind.idle(address, Arc::clone(&opened)));
    }
    (idlers, opened)
}

fn raise_own_limit(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let enough = limit.maximum.is_none_or(|most| most >= needed);
    assert!(enough, "the hard limit of open files is {:?}, {needed} are needed: see ulimit -Hn", limit.maximum);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs 10,000 descriptors; tests/run runs it"]
async fn ten_thousand_idle_connections_keep_nobody_out() {
    raise_own_limit(IDLE as u64 + 500);
    let served = Arc::new(Served::start(500).await);
    let (before, quiet) = (served.memory(), served.descriptors());
    let stop = Arc::new(AtomicBool::new(false));
    let watching = watch(&served, &stop);
    let (mut idle, opened) = idlers(IDLE, served.address);
    let first = served.sync().await;
    assert_eq!((first["outcome"].as_str(), first["counts"]["records"].as_u64()), (Some("done"), Some(500)), "{first}");
    // Every one has been opened, and those that asked have their answers.
    let _all = opened.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
    let held = served.descriptors();
    let memory = served.memory();
    let again = served.sync().await;
    assert_eq!(again["outcome"], "done", "{again}");
    stop.store(true, Ordering::Relaxed);
    let (answers, longest) = watching.await.unwrap();
    println!(
        "{answers} answers, the longest after {longest:?}; {held} descriptors; {} MiB, {} MiB before",
        memory >> 20,
        before >> 20
    );
    assert!(answers > 20 && longest < Duration::from_secs(10), "{answers} answers, the longest after {longest:?}");
    assert!(held < 1_300, "{held} descriptors are open");
    assert!(memory < before + (128 << 20), "{memory} bytes, {before} before");
    // Nobody holds a seat for longer than a request's headers may take.
    let began = Instant::now();
    while served.descriptors() > quiet + SPARE {
        assert!(began.elapsed() < PATIENCE, "the server ends idle connections: {} are open", served.descriptors());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Whoever is still there says nothing to nobody: the kernel told it that it was connected, and found the queue full then.
    let mut answered = [0; TRIES];
    let ended = async {
        while let Some(idler) = idle.join_next().await {
            if let Some(nth) = idler.unwrap() {
                answered[nth - 1] += 1;
            }
        }
    };
    let _ = tokio::time::timeout(GOODBYE, ended).await;
    println!("{} were never heard of", idle.len());
    assert!(idle.len() < IDLE / 100, "{} connections do not hear that they have ended", idle.len());
    println!("answered at the first try, the second and so on: {answered:?}");
    let asking = IDLE / Idler::ALL.len();
    assert_eq!(answered.iter().sum::<usize>(), asking, "whoever asks is answered: {answered:?}");
    assert!(answered[0] >= asking - asking / 100, "few are turned away: {answered:?}");
    assert_eq!(served.ask("GET", "/v1/status").await.status, 200);
    Arc::into_inner(served).expect("nobody else asks").end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_few_descriptors_keeps_those_of_store_and_metrics() {
    for most in [64, 128] {
        let served = Arc::new(Served::start_with_descriptors(500, most).await);
        let stop = Arc::new(AtomicBool::new(false));
        let watching = watch(&served, &stop);
        let (idle, opened) = idlers(4 * most as usize, served.address);
        let first = served.sync().await;
        assert_eq!(first["outcome"], "done", "{first}");
        let _all = opened.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        let held = served.descriptors();
        assert!(held + 8 < most as usize, "{held} of {most} descriptors are open");
        let again = served.sync().await;
        assert_eq!(again["outcome"], "done", "{again}");
        stop.store(true, Ordering::Relaxed);
        let (answers, longest) = watching.await.unwrap();
        assert!(answers >= 2 && longest < PATIENCE, "{answers} answers, the longest after {longest:?}");
        drop(idle);
        Arc::into_inner(served).expect("nobody else asks").end().await;
    }
}
