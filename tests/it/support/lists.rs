//! A registration system on loopback that serves the pages it is given.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

#[derive(Default)]
struct Held {
    pages: HashMap<String, Vec<String>>,
    /// Lists that are never answered.
    stalling: HashSet<String>,
    /// Lists whose pages from this one on are answered later.
    stalling_at: HashMap<String, usize>,
    /// Lists that answer 429 and ask for a pause of so many seconds.
    busy: HashMap<String, u32>,
    /// Requests that wait for such an answer.
    stalled: usize,
}

impl Held {
    /// Is a page to be answered later? Counts the request once.
    fn waits(&mut self, list: &str, page: usize) -> bool {
        let waits = self.stalling_at.get(list).is_some_and(|from| page >= *from);
        self.stalled = self.stalled.max(usize::from(waits));
        waits
    }
}

type Lists = Arc<Mutex<Held>>;

/// Serves `GET /{list}?page=N` from the pages set for the list; a page beyond the last is an empty list.
#[derive(Clone)]
pub struct ListServer {
    pub address: SocketAddr,
    lists: Lists,
}

impl ListServer {
    /// Starts it; it lives as long as the runtime.
    pub async fn start() -> Self {
        let lists = Lists::default();
        let router = Router::new().route("/{list}", axum::routing::get(page)).with_state(Arc::clone(&lists));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, lists }
    }

    /// Sets the pages of one list, each the whole body.
    pub fn set(&self, list: &str, pages: Vec<String>) {
        self.lists.lock().unwrap().pages.insert(list.to_owned(), pages);
    }

    /// From now on requests for the list get no answer.
    pub fn stall(&self, list: &str) {
        self.lists.lock().unwrap().stalling.insert(list.to_owned());
    }

    /// From now on requests for the list's pages from this one on are answered only when it is to go on.
    pub fn stall_at(&self, list: &str, page: usize) {
        self.lists.lock().unwrap().stalling_at.insert(list.to_owned(), page);
    }

    /// From now on requests for the list are told to come back after so many seconds.
    pub fn be_busy(&self, list: &str, seconds: u32) {
        self.lists.lock().unwrap().busy.insert(list.to_owned(), seconds);
    }

    /// From now on requests for the list are answered again.
    pub fn go_on(&self, list: &str) {
        let mut held = self.lists.lock().unwrap();
        held.stalling.remove(list);
        held.stalling_at.remove(list);
        held.busy.remove(list);
    }

    /// How many requests have been left without an answer.
    pub fn stalled(&self) -> usize {
        self.lists.lock().unwrap().stalled
    }
}

async fn page(
    State(lists): State<Lists>,
    Path(list): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    if token != Some(&format!("Bearer {}", super::SOURCE_TOKEN)) {
        return (StatusCode::UNAUTHORIZED, "{}").into_response();
    }
    let number: usize = query.get("page").map_or(1, |page| page.parse().unwrap());
    let stalls = {
        let mut held = lists.lock().unwrap();
        let stalls = held.stalling.contains(&list);
        held.stalled += usize::from(stalls);
        stalls
    };
    if stalls {
        std::future::pending::<()>().await;
    }
    while lists.lock().unwrap().waits(&list, number) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let held = lists.lock().unwrap();
    if let Some(seconds) = held.busy.get(&list) {
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response();
    }
    match held.pages.get(&list) {
        None => (StatusCode::NOT_FOUND, "{}").into_response(),
        Some(pages) => pages.get(number - 1).cloned().unwrap_or_else(|| r#"{"items":[]}"#.into()).into_response(),
    }
}
