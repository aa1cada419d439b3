//! A registration system on loopback that serves the pages it is given.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};

#[derive(Default)]
struct Held {
    pages: HashMap<String, Vec<String>>,
    /// Lists that are never answered.
    stalling: HashSet<String>,
    /// Requests that wait for such an answer.
    stalled: usize,
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
) -> (StatusCode, String) {
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    if token != Some(&format!("Bearer {}", super::SOURCE_TOKEN)) {
        return (StatusCode::UNAUTHORIZED, "{}".into());
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
    let held = lists.lock().unwrap();
    match held.pages.get(&list) {
        None => (StatusCode::NOT_FOUND, "{}".into()),
        Some(pages) => (StatusCode::OK, pages.get(number - 1).cloned().unwrap_or_else(|| r#"{"items":[]}"#.into())),
    }
}
