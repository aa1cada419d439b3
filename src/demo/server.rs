//! The fake over HTTP, directly on hyper.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::control::{Change, ControlError, value};
use super::fake::{EVENT, Fake, PageKey, TOKEN};
use crate::limits;

/// The pause after a failed accept, e.g. when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Answer = Response<Full<Bytes>>;

impl Fake {
    /// Answers on `listener` until `stop` ends; then ends what is under way, and at the latest after
    /// [`limits::STOP_TIMEOUT`] returns.
    ///
    /// - `GET /api/events/summit/attendees?page=N&per_page=M` with the bearer token [`TOKEN`]: a page of the
    ///   list, `{"data": […], "meta": {"page": N, "pages": K, "total": T}}`. A page past the end is empty.
    /// - `GET /healthz`: `{"status": "ok"}`.
    /// - `POST /control/churn?percent=P`, `/control/cancel?count=N`, `/control/remove?count=N`,
    ///   `/control/add?count=N`: changes the list, `{"count": N, "ids": […]}`.
    /// - `POST /gco/login`, `GET /gco/people?eventName=N` and `POST /gco/sentlinks?eventName=N`: a system like GCO.
    /// - `GET /control/truth`: the list of [`super::Expected`].
    ///
    /// The controls want no token: they are for tests and benchmarks, on loopback.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(());
        let mut connections = JoinSet::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept(), if connections.len() < limits::API_CONNECTIONS_MAX => accepted,
                Some(_) = connections.join_next() => continue,
                () = &mut stop => break,
            };
            match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(Arc::clone(&self), stream, stopped.clone()))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
        drop((listener, stopping));
        // Connections that outlast the time-out are dropped with the set.
        let _ = tokio::time::timeout(limits::STOP_TIMEOUT, async { while connections.join_next().await.is_some() {} })
            .await;
    }
}

/// Serves one connection until the client or the server ends it.
async fn connection(fake: Arc<Fake>, stream: TcpStream, mut stopped: watch::Receiver<()>) {
    // Without it, small answers may wait for the client's acknowledgement. A refusal costs only speed.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(Arc::clone(&fake), request));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::API_HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    // What a client does wrong on its connection ends that connection and nothing else.
    tokio::select! {
        _ = serving.as_mut() => {}
        _ = stopped.changed() => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.await;
        }
    }
}

async fn answer(fake: Arc<Fake>, request: Request<Incoming>) -> Result<Answer, Infallible> {
    let answer = match request.uri().path().strip_prefix("/gco/").map(str::to_owned) {
        Some(path) => gco(&fake, request, &path).await,
        None => {
            let answer = route(&fake, &request);
            if !fake.options.latency.is_zero() && request.uri().path().starts_with("/api/") {
                tokio::time::sleep(fake.options.latency).await;
            }
            answer
        }
    };
    Ok(answer)
}

/// A request below `/gco/`.
async fn gco(fake: &Fake, request: Request<Incoming>, path: &str) -> Answer {
    let event = value(request.uri().query().unwrap_or_default(), "eventName");
    let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let token = header.and_then(|header| header.strip_prefix("Bearer ")).map(str::to_owned);
    let method = request.method().to_string();
    let Ok(body) = Limited::new(request.into_body(), limits::API_BODY_BYTES_MAX).collect().await else {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large, or was cut off");
    };
    let (status, body) = fake.gco.lock().answer(&method, path, event.as_deref(), token.as_deref(), &body.to_bytes());
    json_answer(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), &body)
}

fn route(fake: &Fake, request: &Request<Incoming>) -> Answer {
    let query = request.uri().query().unwrap_or_default();
    let parts: Vec<&str> = request.uri().path().split('/').skip(1).collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["healthz"]) => json_answer(StatusCode::OK, &json!({"status": "ok"})),
        (&Method::GET, ["api", "events", event, "attendees"]) => attendees(fake, request, event, query),
        (&Method::GET, ["control", "truth"]) => json_answer(StatusCode::OK, &json!(fake.truth())),
        (&Method::POST, ["control", name]) => control(fake, name, query),
        (_, ["healthz"] | ["api", "events", _, "attendees"] | ["control", "truth"]) => not_allowed("GET"),
        (_, ["control", _]) => not_allowed("POST"),
        _ => refusal(StatusCode::NOT_FOUND, "nothing here"),
    }
}

fn attendees(fake: &Fake, request: &Request<Incoming>, event: &str, query: &str) -> Answer {
    if !is_authorized(request) {
        let mut answer = refusal(StatusCode::UNAUTHORIZED, "a bearer token is needed");
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return answer;
    }
    if event != EVENT {
        return refusal(StatusCode::NOT_FOUND, "no such event");
    }
    match page_key(query, fake.options.per_page) {
        Some(key) => bytes_answer(StatusCode::OK, fake.page(key)),
        None => refusal(StatusCode::BAD_REQUEST, "page and per_page are whole numbers from 1"),
    }
}

/// RFC 6750 §2.1, with the scheme in any case.
fn is_authorized(request: &Request<Incoming>) -> bool {
    let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    let credentials = header.and_then(|header| header.split_once(' '));
    credentials.is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && token == TOKEN)
}

/// `None` when a number is none or 0. A larger page than allowed is cut, as registration systems do.
fn page_key(query: &str, default_size: u32) -> Option<PageKey> {
    let number = |name, default| value(query, name).map_or(Some(default), |text| text.parse().ok());
    let number_of = |name, default| number(name, default).filter(|number| *number > 0);
    let size = number_of("per_page", default_size)?.min(limits::DEMO_PAGE_RECORDS_MAX);
    Some(PageKey { number: number_of("page", 1)?, size })
}

fn control(fake: &Fake, name: &str, query: &str) -> Answer {
    match Change::parse(name, query) {
        Ok(change) => {
            let ids = fake.apply(change);
            json_answer(StatusCode::OK, &json!({"count": ids.len(), "ids": ids}))
        }
        Err(error @ ControlError::Unknown) => refusal(StatusCode::NOT_FOUND, &error.to_string()),
        Err(error) => refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "another method is needed");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

fn refusal(status: StatusCode, error: &str) -> Answer {
    json_answer(status, &json!({"error": error}))
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Answer {
    bytes_answer(status, Bytes::from(body.to_string()))
}

fn bytes_answer(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::SocketAddr;
    use std::time::Instant;

    use serde_json::Value;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::super::FakeOptions;
    use super::*;

    struct Served {
        fake: Arc<Fake>,
        address: SocketAddr,
        stop: oneshot::Sender<()>,
        task: JoinHandle<()>,
    }

    async fn serve(options: FakeOptions) -> Served {
        let fake = Arc::new(Fake::new(options));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(Arc::clone(&fake).serve(listener, async { drop(stopped.await) }));
        Served { fake, address, stop, task }
    }

    impl Served {
        async fn ask(&self, request: &str, headers: &str) -> (u16, Value) {
            let text = format!("{request} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n");
            let address = self.address;
            let asking = tokio::task::spawn_blocking(move || {
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                answer
            });
            let answer = asking.await.unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
        }

        async fn page(&self, query: &str) -> Value {
            let request = format!("GET /api/events/summit/attendees?{query}");
            let (status, page) = self.ask(&request, "Authorization: Bearer demo-token\r\n").await;
            assert_eq!(status, 200);
            page
        }

        async fn end(self) {
            self.stop.send(()).unwrap();
            self.task.await.unwrap();
        }
    }

    #[tokio::test]
    async fn answers_as_documented() {
        let served = serve(FakeOptions::default()).await;
        let token = "authorization: bearer demo-token\r\n";
        for (request, headers, status) in [
            ("GET /healthz", "", 200),
            ("GET /api/events/summit/attendees", token, 200),
            ("GET /api/events/summit/attendees", "", 401),
            ("GET /api/events/summit/attendees", "Authorization: Bearer demo-token2\r\n", 401),
            ("GET /api/events/summit/attendees", "Authorization: Basic demo-token\r\n", 401),
            ("GET /api/events/other/attendees", token, 404),
            ("GET /api/events/other/attendees", "", 401),
            ("GET /api/events/summit/attendees?page=0", token, 400),
            ("GET /api/events/summit/attendees?per_page=x", token, 400),
            ("POST /api/events/summit/attendees", token, 405),
            ("GET /control/churn", "", 405),
            ("POST /control/explode", "", 404),
            ("POST /control/churn?percent=x", "", 400),
            ("GET /", "", 404),
        ] {
            assert_eq!(served.ask(request, headers).await.0, status, "{request} {headers}");
        }
        served.end().await;
    }

    #[tokio::test]
    async fn pages_have_the_size_asked_for_up_to_the_largest() {
        let served = serve(FakeOptions { count: 1_500, ..FakeOptions::default() }).await;
        for (query, records, pages) in [
            ("page=1", 100, 15),
            ("page=2&per_page=40", 40, 38),
            ("page=1&per_page=5000", 1_000, 2),
            ("page=2&per_page=5000", 500, 2),
            ("page=99&per_page=100", 0, 15),
            ("page=4294967295&per_page=1000", 0, 2),
        ] {
            let page = served.page(query).await;
            assert_eq!(page["data"].as_array().unwrap().len(), records, "{query}");
            assert_eq!((&page["meta"]["pages"], &page["meta"]["total"]), (&json!(pages), &json!(1_500)), "{query}");
        }
        served.end().await;
    }

    #[tokio::test]
    async fn controls_change_what_is_listed() {
        let served = serve(FakeOptions::default()).await;
        let (_, added) = served.ask("POST /control/add?count=3", "").await;
        assert_eq!(added, json!({"count": 3, "ids": ["reg_001000", "reg_001001", "reg_001002"]}));
        let (_, churned) = served.ask("POST /control/churn?percent=1", "").await;
        assert_eq!(churned["count"], 10);
        let (_, removed) = served.ask("POST /control/remove?count=3", "").await;
        let (_, truth) = served.ask("GET /control/truth", "").await;
        assert_eq!(truth, json!(served.fake.truth()));
        let listed = served.page("page=1&per_page=1000").await;
        assert_eq!(listed["meta"]["total"], 1_000);
        let ids: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|record| &record["id"]).collect();
        assert!(
            ids.contains(&&json!("reg_001002")) || removed["ids"].as_array().unwrap().contains(&json!("reg_001002"))
        );
        assert!(removed["ids"].as_array().unwrap().iter().all(|id| !ids.contains(&id)));
        served.end().await;
    }

    #[tokio::test]
    async fn a_page_takes_as_long_as_asked_for() {
        let latency = Duration::from_millis(60);
        let served = serve(FakeOptions { latency, ..FakeOptions::default() }).await;
        let start = Instant::now();
        served.page("page=1").await;
        assert!(start.elapsed() >= latency);
        served.end().await;
    }

    #[tokio::test]
    async fn a_stop_ends_idle_connections_and_the_listening() {
        let served = serve(FakeOptions::default()).await;
        let address = served.address;
        let idle = tokio::net::TcpStream::connect(address).await.unwrap();
        served.ask("GET /healthz", "").await;
        tokio::time::timeout(Duration::from_secs(5), served.end()).await.unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
        drop(idle);
    }
}
