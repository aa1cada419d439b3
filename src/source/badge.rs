//! Looks whether badges are where their URLs say. These are on any host, so no credential goes along; they come from records, so
//! nothing but a `HEAD` over https goes out, where that is refused a `GET` whose body is not read.

use std::sync::Arc;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response, StatusCode, redirect};
use tokio::sync::mpsc;
use url::Url;

use super::caller::Caller;
use super::client::{SourceError, https};
use super::source::{Inner, Source};
use crate::limits::REDIRECTS_MAX;
use crate::model::BadgeFound;
use crate::observe::ResponseCode;

/// One look at badges, within the budget of their source. Cloning shares it.
#[derive(Clone)]
pub struct Badges {
    source: Arc<Inner>,
    http: reqwest::Client,
    caller: Caller,
}

impl Source {
    /// Begins to look at badges. It may take as long as a read.
    ///
    /// # Errors
    /// There are no CA certificates to verify servers with.
    pub fn badges(&self) -> Result<Badges, SourceError> {
        let source = Arc::clone(&self.inner);
        let http = https(&source.spec, redirect::Policy::limited(REDIRECTS_MAX as usize))?;
        // Nobody follows what is waited for.
        let (events, _) = mpsc::channel(1);
        Ok(Badges { caller: Caller::new(&source, events), http, source })
    }
}

impl Badges {
    pub async fn look(&self, url: &str) -> BadgeFound {
        // A mapped badge is a URL.
        let Ok(url) = Url::parse(url) else { return BadgeFound::NoAnswer };
        match self.ask(Method::HEAD, &url).await {
            Ok(answer) if cannot_tell_by_head(answer.status()) => {
                self.ask(Method::GET, &url).await.map_or_else(|found| found, |answer| judged(&answer))
            }
            Ok(answer) => judged(&answer),
            Err(found) => found,
        }
    }

    async fn ask(&self, method: Method, url: &Url) -> Result<Response, BadgeFound> {
        let admitted = self.caller.admit(&self.source.budget, self.source.spec.request.weight).await;
        let _permit = admitted.map_err(|_| BadgeFound::NotAsked)?;
        let mut sent = self.caller.sends();
        let answer = self.http.request(method, url.clone()).send().await.map_err(|_| BadgeFound::NoAnswer)?;
        sent.code = ResponseCode::Status(answer.status().as_u16());
        Ok(answer)
    }
}

/// RFC 9110 asks general-purpose servers for `HEAD`; some storages sign URLs for `GET` alone.
fn cannot_tell_by_head(status: StatusCode) -> bool {
    matches!(status, StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}

fn judged(answer: &Response) -> BadgeFound {
    if !answer.status().is_success() {
        return BadgeFound::Status(answer.status().as_u16());
    }
    let told = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = told.split(';').next().unwrap_or_default().trim();
    let is_badge = ["image/jpeg", "image/png", "application/pdf"].iter().any(|good| kind.eq_ignore_ascii_case(good));
    if is_badge { BadgeFound::Good } else { BadgeFound::OtherType }
}
