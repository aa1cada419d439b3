//! A part of the fake that is like GCO: a login, people of an event by its exact name, and a place for login links and
//! event passwords, which then show in the people's records.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::fake::TOKEN;

/// The event's name, to the letter.
const EVENT_NAME: &str = "Summit 2026";

/// What a login gives.
const SESSION: &str = "demo-session";

/// External id, names, country, group and kind of registration.
const PEOPLE: [(&str, &str, &str, &str, &str, &str); 4] = [
    ("9001", "Ada", "Lovelace", "United Kingdom", "Delegates", "Full"),
    ("9002", "Grace", "Hopper", "United States", "Delegates", "Full"),
    ("9003", "Sofia", "Kovalevskaya", "Sweden", "Speakers", "Free"),
    ("9004", "Testa", "Testerin", "Nowhere", "Delegates", "Test"),
];

/// What came back, by external id.
#[derive(Default)]
pub(super) struct Gco {
    links: BTreeMap<String, Sent>,
}

#[derive(Deserialize)]
struct Sent {
    fp_ext_id: String,
    webapp_link: Option<String>,
    event_password: Option<String>,
}

/// The status and the body of an answer.
pub(super) type Reply = (u16, Value);

impl Gco {
    /// Answers a request below `/gco/`.
    pub fn answer(&mut self, method: &str, path: &str, event: Option<&str>, token: Option<&str>, body: &[u8]) -> Reply {
        if (method, path) == ("POST", "login") {
            let login: Option<Value> = serde_json::from_slice(body).ok();
            let is_known = login == Some(json!({"LoginId": "rollcall", "Password": TOKEN}));
            return if is_known { (200, json!({ "token": SESSION })) } else { (401, json!({"error": "wrong login"})) };
        }
        if token != Some(SESSION) {
            return (401, json!({"error": "log in first"}));
        }
        match (method, path) {
            // As GCO does: a wrong name is nobody's event, and no error.
            ("GET", "people") => {
                (200, json!({"people": if event == Some(EVENT_NAME) { self.people() } else { Vec::new() }}))
            }
            ("POST", "sentlinks") if event == Some(EVENT_NAME) => self.take(body),
            _ => (404, json!({"error": "nothing here"})),
        }
    }

    fn people(&self) -> Vec<Value> {
        let person = |(id, first, last, country, group, kind): &(&str, &str, &str, &str, &str, &str)| {
            let sent = self.links.get(*id);
            json!({
                "fp_ext_id": id, "first_name": first, "last_name": last,
                "email": format!("{}@example.org", first.to_lowercase()), "country": country, "group": group,
                "registration_type": kind,
                "webapp_link": sent.and_then(|sent| sent.webapp_link.as_ref()),
                "event_password": sent.and_then(|sent| sent.event_password.as_ref()),
            })
        };
        PEOPLE.iter().map(person).collect()
    }

    fn take(&mut self, body: &[u8]) -> Reply {
        let Ok(sent) = serde_json::from_slice::<Vec<Sent>>(body) else {
            return (400, json!({"error": "a list of fp_ext_id, webapp_link and event_password is needed"}));
        };
        let (known, unknown): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|sent| PEOPLE.iter().any(|(id, ..)| *id == sent.fp_ext_id));
        self.links.extend(known.into_iter().map(|sent| (sent.fp_ext_id.clone(), sent)));
        let errors = unknown.iter().map(|sent| json!({"fp_ext_id": sent.fp_ext_id, "message": "no such person"}));
        (200, json!({"errors": errors.collect::<Vec<_>>()}))
    }
}
