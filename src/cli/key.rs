//! `rollcall key`.

use std::process::ExitCode;

use super::client::Client;
use super::error::CliError;
use super::print;

pub async fn rotate(client: &Client, as_json: bool) -> Result<ExitCode, CliError> {
    let answer = client.post("/v1/keys/rotate", None).await?;
    client.close().await;
    let number = |key: &str| answer[key].as_u64().unwrap_or(0);
    if as_json {
        print::json(&answer)?;
    } else {
        print::line(&format!("key {} seals from now on; {} values were sealed anew", number("key"), number("sealed")))?;
    }
    if number("unreadable") > 0 {
        let mend =
            "the former keys stay; whoever they are of signs in again, or restore the vault.key that sealed them";
        return Err(CliError::failed(format!("{} values do not open: {mend}", number("unreadable"))));
    }
    Ok(ExitCode::SUCCESS)
}
