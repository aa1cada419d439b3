//! The configuration by which Rollcall reads the bundled registration system.

use std::net::SocketAddr;

use super::fake::{EVENT, TOKEN_VARIABLE};
use super::record::{VEGETARIAN, VEGETARIAN_GROUP};

/// The `[source.demo]` and `[event.summit]` tables for a [`super::Fake`] that listens on `address`.
///
/// The token is read from the environment variable [`super::TOKEN_VARIABLE`] and is [`super::TOKEN`].
pub fn config_toml(address: SocketAddr, per_page: u32) -> String {
    format!(
        r#"[source.demo]
base_url = "http://{address}/api/"

[source.demo.request]
path = "events/{{param.event}}/attendees"

[source.demo.auth]
kind = "bearer"
token = {{ env = "{TOKEN_VARIABLE}" }}

[source.demo.pagination]
kind = "page"
param = "page"
size_param = "per_page"
size = {per_page}
total = ".meta.total"

[source.demo.records]
select = ".data[]"

[source.demo.mapping]
external_id = ".id"
email = ".email"
first_name = ".first_name"
last_name = ".last_name"
title = ".title"
job_title = ".job_title"
company = ".company"
country = ".country"
biography = ".bio"
phone = ".phone"
badge_url = ".badge_url"
registration_type = ".ticket.type"
updated_at = ".updated_at"

[source.demo.mapping.custom]
diet = ".answers.diet"

[source.demo.states]
removed_when = '.status == "cancelled"'
delete_when = '.gdpr_delete == true'
attendee_when = '.status == "confirmed"'

[source.demo.groups]
from = ".groups[]"

[[source.demo.groups.rule]]
name = "{VEGETARIAN_GROUP}"
when = '.answers.diet == "{VEGETARIAN}"'

[event.{EVENT}]
title = "Demo Summit"

[[event.{EVENT}.feed]]
source = "demo"
params = {{ event = "{EVENT}" }}
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_toml_and_names_the_address() {
        let text = config_toml("127.0.0.1:4321".parse().unwrap(), 250);
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["source"]["demo"]["base_url"].as_str(), Some("http://127.0.0.1:4321/api/"));
        assert_eq!(table["source"]["demo"]["request"]["path"].as_str(), Some("events/{param.event}/attendees"));
        assert_eq!(table["source"]["demo"]["pagination"]["size"].as_integer(), Some(250));
        assert_eq!(table["event"][EVENT]["feed"][0]["params"]["event"].as_str(), Some(EVENT));
    }
}
