//! Connections: accepting, bounding and ending them.
//!
//! - Only so many are open as the limits allow ([`super::descriptors`]); a newcomer beyond takes the place of the
//!   longest idle one ([`super::idle`]), and only where all are busy it waits.
//! - A request's headers must be here within [`API_HEADER_TIMEOUT`], also on a connection that had a request before.
//! - Without descriptors, the longest idle connection ends, and accepting pauses and goes on.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

use super::descriptors::{raise_limit, seats};
use super::idle::{Idle, Seat};
use crate::limits::{API_ACCEPT_PAUSE_MAX, API_ACCEPT_PAUSE_MIN, API_HEADER_TIMEOUT, STOP_TIMEOUT};

/// Answers on `listener` until `stop` ends. Then requests under way get their answers, for at most
/// [`STOP_TIMEOUT`].
pub async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()> + Send + 'static) {
    serve_at_most(seats(raise_limit()), listener, router, stop).await;
}

async fn serve_at_most(seats: usize, listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let idle = Arc::new(Idle::default());
    let (stopping, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut pause = API_ACCEPT_PAUSE_MIN;
    let mut stop = std::pin::pin!(stop);
    'serving: loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                while connections.len() >= seats {
                    tokio::select! {
                        () = &mut stop => break 'serving,
                        Some(_) = connections.join_next() => {}
                        // Its descriptor is free before the next newcomer comes in, however many come at once.
                        () = idle.close_longest() => drop(connections.join_next().await),
                    }
                }
                let seat = Seat::take(&idle);
                connections.spawn(connection(stream, router.clone(), seat, stopped.clone()));
                pause = API_ACCEPT_PAUSE_MIN;
            }
            // The client went away before it was accepted.
            Err(error) if is_of_one_client(&error) => {}
            Err(_) => {
                let _ = timeout(pause, idle.close_longest()).await;
                sleep(pause).await;
                pause = (pause * 2).min(API_ACCEPT_PAUSE_MAX);
            }
        }
    }
    drop((listener, stopping));
    // What outlasts the time-out is dropped with the set.
    let _ = timeout(STOP_TIMEOUT, async { while connections.join_next().await.is_some() {} }).await;
}

/// accept(2) reports some errors of the connection it was about to give.
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Serves one connection until the client ends it, the server stops, or its seat is wanted.
async fn connection(stream: TcpStream, router: Router, seat: Arc<Seat>, mut stopped: watch::Receiver<()>) {
    // Without it, small answers may wait for the client's acknowledgement. A refusal costs only speed.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let work = seat.work();
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let answer = answer.await;
            drop(work);
            answer
        }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(API_HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    // What a client does wrong on its connection ends that connection and nothing else.
    tokio::select! {
        _ = serving.as_mut() => {}
        () = seat.closed() => {}
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    use super::*;

    const SLOW: Duration = Duration::from_secs(5);

    struct Served {
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    /// A server of `/` (at once) and `/slow` with this many seats.
    async fn start(seats: usize) -> Served {
        let slow = || async {
            sleep(SLOW).await;
            "slow"
        };
        let router = Router::new().route("/", get(|| async { "quick" })).route("/slow", get(slow));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve_at_most(seats, listener, router, async { drop(stopped.await) }));
        Served { address, stop, task }
    }

    impl Served {
        async fn connect(&self) -> TcpStream {
            let stream = TcpStream::connect(self.address).await.unwrap();
            // Accepted before anything else is done.
            tokio::time::sleep(Duration::from_millis(20)).await;
            stream
        }

        async fn ask(&self, path: &str) -> String {
            let mut stream = self.connect().await;
            send(&mut stream, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
            read_all(&mut stream).await
        }
    }

    async fn send(stream: &mut TcpStream, text: &str) {
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until the server closes; a reset is an end too.
    async fn read_all(stream: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn is_open(stream: &mut TcpStream) -> bool {
        timeout(Duration::from_millis(200), stream.read(&mut [0])).await.is_err()
    }

    #[tokio::test(start_paused = true)]
    async fn headers_must_come_in_time() {
        let served = start(8).await;
        for beginning in ["", "GET / HTTP/1.1\r\nHost: x\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            let began = Instant::now();
            let mut stream = served.connect().await;
            send(&mut stream, beginning).await;
            read_all(&mut stream).await;
            let took = began.elapsed();
            let most = API_HEADER_TIMEOUT + Duration::from_secs(2);
            assert!((API_HEADER_TIMEOUT..most).contains(&took), "{beginning:?} was open for {took:?}");
        }
    }

    #[tokio::test]
    async fn idle_connections_keep_nobody_out() {
        let served = start(2).await;
        let (mut first, mut second) = (served.connect().await, served.connect().await);
        assert!(served.ask("/").await.ends_with("quick"));
        assert!(!is_open(&mut first).await && is_open(&mut second).await, "the longest idle gives its seat");
    }

    #[tokio::test(start_paused = true)]
    async fn busy_connections_keep_their_seats_and_newcomers_wait() {
        let served = start(1).await;
        let mut busy = served.connect().await;
        send(&mut busy, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        let began = Instant::now();
        let (slow, quick) = tokio::join!(read_all(&mut busy), served.ask("/"));
        assert!(slow.ends_with("slow") && quick.ends_with("quick"), "{slow} {quick}");
        assert!(began.elapsed() >= SLOW - Duration::from_millis(100), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_lets_requests_end_and_nothing_begin() {
        let served = start(8).await;
        let mut idle = served.connect().await;
        let mut busy = served.connect().await;
        send(&mut busy, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        served.stop.send(()).unwrap();
        assert!(read_all(&mut busy).await.ends_with("slow"));
        assert_eq!(read_all(&mut idle).await, "");
        served.task.await.unwrap();
        assert!(TcpStream::connect(served.address).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_does_not_wait_for_ever() {
        let served = start(8).await;
        let mut stuck = served.connect().await;
        // Its body never comes to an end.
        send(&mut stuck, "GET / HTTP/1.1\r\nHost: x\r\n").await;
        served.stop.send(()).unwrap();
        let began = Instant::now();
        served.task.await.unwrap();
        assert!(began.elapsed() <= STOP_TIMEOUT + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn garbage_ends_its_connection_alone() {
        let served = start(8).await;
        for garbage in
            ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n"]
        {
            let mut stream = served.connect().await;
            send(&mut stream, garbage).await;
            let answer = timeout(Duration::from_secs(5), read_all(&mut stream)).await.unwrap();
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4"),
                "{answer}"
            );
        }
        assert!(served.ask("/").await.ends_with("quick"));
    }
}
