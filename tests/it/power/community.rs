//! The lists that are synced round by round: large enough that a commit takes several batches.

use serde_json::{Value, json};

use crate::support::noise;

pub const ROUNDS: usize = 5;
const PEOPLE: usize = 160;
/// Bytes of a long biography.
const LONG: usize = 60 * 1024;

pub const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[source.s]
base_url = "URL"
[source.s.guard]
enabled = false
[source.s.request]
path = "{param.list}"
[source.s.auth]
kind = "bearer"
token = { env = "SOURCE_TOKEN" }
[source.s.pagination]
kind = "page"
param = "page"
[source.s.records]
select = ".items[]"
[source.s.mapping]
external_id = ".id"
email = ".email"
first_name = ".first"
last_name = ".last"
company = ".company"
biography = ".biography"
[source.s.states]
removed_when = '.status == "cancelled"'
delete_when = ".erase"
[source.s.groups]
from = ".groups"
[event.e]
title = "The event"
feed = [{ source = "s", params = { list = "LIST" } }]
"#;

/// The pages of a round's list, from 1 on. Round 4 is round 3 again, round 5 undoes most of it.
pub fn pages(round: usize) -> Vec<String> {
    let round = if round == 4 { 3 } else { round };
    let people: Vec<Value> = (0..PEOPLE + 16 * (round - 1)).map(|number| person(number, round)).collect();
    people.chunks(50).map(|people| json!({ "items": people }).to_string()).collect()
}

/// By what is left of the number, a person stays, or changes in one way.
fn person(number: usize, round: usize) -> Value {
    let even = round.is_multiple_of(2);
    let way = number % 8;
    let long = if number.is_multiple_of(4) { LONG } else { 40 };
    let text = if way == 0 || round == 3 { round } else { 0 };
    let email = if way >= 6 && even { number ^ 1 } else { number };
    json!({
        "id": number,
        "email": format!("p{email}@example.org"),
        "first": format!("First{number}"),
        "last": format!("Last{number}"),
        "company": if way == 1 { format!("Company {round}") } else { "Company".into() },
        "biography": noise((number * 10 + text) as u64, long),
        "status": if way == 3 && even { "cancelled" } else { "ok" },
        "erase": way == 4 && even,
        "groups": if way == 5 && even { ["Blue"] } else { ["Red"] },
    })
}
