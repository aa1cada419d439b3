//! `rollcall token`: make, list and revoke.

use std::process::ExitCode;

use serde_json::json;

use super::args::TokenVerb;
use super::client::Client;
use super::error::CliError;
use super::print::{self, cell};
use crate::config::percent_encode;

pub async fn token(client: &Client, verb: TokenVerb, as_json: bool) -> Result<ExitCode, CliError> {
    let answer = match &verb {
        TokenVerb::Create { name, scope } => {
            client.post("/v1/tokens", Some(&json!({ "name": name, "scopes": scope }))).await?
        }
        TokenVerb::List => client.get("/v1/tokens").await?,
        TokenVerb::Revoke { id } => client.delete(&format!("/v1/tokens/{}", percent_encode(id))).await?,
    };
    client.close().await;
    if as_json {
        print::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    match verb {
        // Alone on its line, so that `$(rollcall token create …)` holds it.
        TokenVerb::Create { .. } => print::line(&cell(&answer["token"]))?,
        TokenVerb::Revoke { id } => print::line(&format!("token {id} is worthless now"))?,
        TokenVerb::List => {
            let mut rows = vec![["id", "name", "scopes", "created"].map(str::to_owned).to_vec()];
            for token in answer["items"].as_array().into_iter().flatten() {
                let scopes: Vec<_> = token["scopes"].as_array().into_iter().flatten().map(cell).collect();
                rows.push(vec![cell(&token["id"]), cell(&token["name"]), scopes.join(","), cell(&token["created_at"])]);
            }
            print::table(&rows)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
