//! Requests to a provider: within the budget of its source, each to one of the addresses that its metadata or the configuration
//! names.

use std::collections::HashMap;
use std::sync::Arc;

use oauth2::{HttpRequest, HttpResponse};
use parking_lot::Mutex;
use url::{Origin, Url};

use crate::limits::IDENTITY_HOSTS_MAX;
use crate::observe::ResponseCode;
use crate::source::auth::Credential;
use crate::source::caller::Caller;
use crate::source::client::{Answer, Client};
use crate::source::fault::{Fault, RequestLine};
use crate::source::request::Request;
use crate::source::source::Inner;

/// The connections to a provider's addresses, which may be on several hosts.
#[derive(Default)]
pub struct Clients(Mutex<HashMap<Origin, Arc<Client>>>);

impl Clients {
    fn at(&self, source: &Inner, url: &Url) -> Result<Arc<Client>, Fault> {
        let mut clients = self.0.lock();
        if let Some(client) = clients.get(&url.origin()) {
            return Ok(Arc::clone(client));
        }
        if clients.len() >= IDENTITY_HOSTS_MAX {
            return Err(Fault::Config { problem: "the provider's metadata names ever other hosts".into() });
        }
        let client = source.client.for_logins(&source.spec, url);
        let client = Arc::new(client.map_err(|error| Fault::Config { problem: error.to_string() })?);
        clients.insert(url.origin(), Arc::clone(&client));
        Ok(client)
    }
}

/// Sends requests on somebody's behalf.
#[derive(Clone)]
pub struct Wire {
    pub source: Arc<Inner>,
    pub caller: Caller,
}

/// Why no answer came, as the libraries pass it on.
#[derive(Debug)]
pub struct WireError(pub Fault);

impl std::fmt::Display for WireError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("no answer")
    }
}

impl std::error::Error for WireError {}

impl Wire {
    /// As the libraries want it. A redirect is an answer.
    pub async fn call(self, request: HttpRequest) -> Result<HttpResponse, WireError> {
        let (parts, body) = request.into_parts();
        let url = Url::parse(&parts.uri.to_string());
        let url = url.map_err(|_| WireError(Fault::Config { problem: "a provider's address is none".into() }))?;
        let body = (!body.is_empty()).then(|| body.into());
        let request = Request { method: parts.method, url, headers: parts.headers, body };
        let answer = self.ask(&request, &Credential::none()).await.map_err(WireError)?;
        let mut response = HttpResponse::new(answer.body.to_vec());
        *response.headers_mut() = answer.headers;
        // It was a status before.
        *response.status_mut() = answer.status.try_into().unwrap_or_default();
        Ok(response)
    }

    pub async fn ask(&self, request: &Request, credential: &Credential) -> Result<Answer, Fault> {
        let Inner { identity, budget, .. } = &*self.source;
        let line = RequestLine::new(&request.method, &request.url);
        let clients = identity.as_ref().map(|identity| &identity.clients);
        let clients = clients.ok_or_else(|| Fault::Config { problem: "nobody signs in with the source".into() })?;
        let client = clients.at(&self.source, &request.url)?;
        let permit = self.caller.admit(budget, 1).await?;
        let mut sent = self.caller.sends();
        let answer =
            tokio::time::timeout_at(self.caller.deadline, client.exchange(request, credential, Some(permit), &[]));
        let answer = answer.await.map_err(|_| self.caller.out_of_time())??;
        sent.code = ResponseCode::Status(answer.status);
        if answer.status == 429 {
            return Err(Fault::RateLimited { request: line, status: 429 });
        }
        Ok(answer)
    }
}
