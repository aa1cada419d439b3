//! Settings of a source that are to be tried and not to be kept: as they come over the API, and as the command line
//! makes them from a file.
//!
//! Invariant: they reach nothing of this machine. Secrets are written out in them; the saved credential is theirs only on
//! the origin that it was saved for.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use toml::de::DeTable;

use super::environment::Environment;
use super::fault::Fault;
use super::load::read_with_preset;
use super::preset::PRESETS;
use super::read::{Children, Findings, Item, Place, Section};
use super::secret::Secrets;
use super::spec::{AuthSpec, SourceSpec};
use crate::model::SourceName;

/// Settings that were read, and whether they show the saved credential.
#[derive(Debug)]
pub struct Unsaved {
    pub spec: Arc<SourceSpec>,
    pub shares_login: bool,
}

/// Reads the table `[source.<name>]` from JSON. `{"kind": "saved"}` for `auth` stands for the credential of `saved`. A
/// refresh token is refused: it may be good only once, and what takes its place would be lost.
///
/// # Errors
/// Every fault, with a path that begins with `source.` and without a line.
pub fn read_unsaved(
    name: &SourceName,
    mut settings: Map<String, Value>,
    saved: Option<&SourceSpec>,
) -> Result<Unsaved, Vec<Fault>> {
    let takes_saved = settings.get("auth") == Some(&json!({"kind": "saved"}));
    if takes_saved {
        settings.remove("auth");
    }
    let text = toml(name, &settings).map_err(|problem| vec![fault("source", problem)])?;
    let findings = Findings::new(&text);
    let spec = read(name, &text, &findings);
    let (faults, _) = findings.into_parts();
    let spec = match spec {
        Some(spec) if faults.is_empty() => spec,
        _ => return Err(faults.into_iter().map(|fault| placed(name, fault)).collect()),
    };
    if spec.sign_in.is_some() {
        let problem = "people sign in with this source: it has no list to try";
        return Err(vec![fault("source.login", problem.into())]);
    }
    let is_same = |saved: &&SourceSpec| saved.request.base_url.origin() == spec.request.base_url.origin();
    let saved = saved.filter(is_same);
    if saved.is_some_and(|saved| spec.weight_max() > saved.weight_max()) {
        let problem = "a request must not weigh more than the saved ones do, whose allowance it comes from";
        return Err(vec![fault("source.request.weight", problem.into())]);
    }
    if matches!(&spec.auth, AuthSpec::OAuth2(login) if login.refresh_token.is_some()) {
        let problem = "a refresh token may be good only once: save the settings before they are tried";
        return Err(vec![fault("source.auth.refresh_token", problem.into())]);
    }
    if !takes_saved {
        return Ok(Unsaved { spec, shares_login: false });
    }
    let Some(saved) = saved else {
        let problem = "the saved credential is for the scheme, host and port of the saved `base_url` only";
        return Err(vec![fault("source.auth", problem.into())]);
    };
    let spec = SourceSpec { auth: saved.auth.clone(), ..Arc::unwrap_or_clone(spec) };
    Ok(Unsaved { spec: Arc::new(spec), shares_login: true })
}

/// The table `[source.<name>]` of a configuration file as [`read_unsaved`] takes it: with its secrets written out, but for
/// those of a login, which stays the saved one; and without its hook, which tries nothing. `None` where there is no such table, or no such file that can be read.
pub fn written_out(path: &Path, environment: &Environment, name: &SourceName) -> Option<Map<String, Value>> {
    let text = std::fs::read_to_string(path).ok()?;
    let findings = Findings::new(&text);
    let table = DeTable::parse(&text).ok()?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let secrets = Secrets { environment, folder, file_is_private: true };
    let mut root = Section::root(table.get_ref(), &findings);
    let sources = root.section("source").named();
    let (_, item) = sources.into_iter().find(|(key, _)| *key == name.as_str())?;
    let Children::Table(entries) = item.open() else { return None };
    let by_preset = entries.iter().find(|(key, _)| *key == "preset").and_then(|(_, item)| written(item, None));
    let entry = |(key, item): (&str, Item<'_>)| {
        let value =
            if key == "auth" { written_auth(&item, by_preset.as_ref(), &secrets)? } else { written(&item, None)? };
        Some((key.to_owned(), value))
    };
    entries.into_iter().filter(|(key, _)| *key != "hook").map(entry).collect()
}

fn written_auth(item: &Item<'_>, preset: Option<&Value>, secrets: &Secrets<'_>) -> Option<Value> {
    let auth = written(item, None)?;
    let kind = auth["kind"].as_str().map(ToOwned::to_owned).or_else(|| kind_by_preset(preset?.as_str()?));
    let logs_in = matches!(kind.as_deref(), Some("oauth2" | "session"));
    if logs_in { Some(json!({"kind": "saved"})) } else { written(item, Some(secrets)) }
}

/// Which kind of `auth` a preset says.
fn kind_by_preset(name: &str) -> Option<String> {
    let preset = PRESETS.iter().find(|preset| preset.name == name)?;
    let table: toml::Table = preset.toml.parse().ok()?;
    table.get("auth")?.get("kind")?.as_str().map(ToOwned::to_owned)
}

/// A value of the file as JSON. With `secrets`, what names a secret becomes that secret.
fn written(item: &Item<'_>, secrets: Option<&Secrets<'_>>) -> Option<Value> {
    Some(match item.open() {
        Children::Text(text) => text.into(),
        Children::Bool(bool) => bool.into(),
        Children::Integer(number) | Children::Float(number) => number?.into(),
        Children::List(items) => Value::Array(items.iter().map(|item| written(item, secrets)).collect::<Option<_>>()?),
        Children::Table(entries) => match (&entries[..], secrets) {
            ([(key, _)], Some(secrets)) if REFERENCES.contains(key) => {
                secrets.read(item.clone())?.expose_secret().to_owned().into()
            }
            (entries, secrets) => {
                let entry = |(key, item): &(&str, Item<'_>)| Some(((*key).to_owned(), written(item, secrets)?));
                Value::Object(entries.iter().map(entry).collect::<Option<_>>()?)
            }
        },
    })
}

/// The keys by which a secret is named.
const REFERENCES: [&str; 3] = ["env", "file", "credential"];

fn read(name: &SourceName, text: &str, findings: &Findings) -> Option<Arc<SourceSpec>> {
    let environment = Environment::closed();
    // Nothing may be named, so that the folder is nobody's.
    let secrets = Secrets { environment: &environment, folder: Path::new(""), file_is_private: true };
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let reason = error.message().lines().collect::<Vec<_>>().join(", ");
            findings.fault(&Place::default().key("source", 0), format!("no settings: {reason}"), "");
            return None;
        }
    };
    let mut root = Section::root(table.get_ref(), findings);
    let (_, item) = root.section("source").named().pop()?;
    read_with_preset(name, &item, &secrets).0
}

/// The settings have no lines and no name.
fn placed(name: &SourceName, fault: Fault) -> Fault {
    let rest = fault.path.strip_prefix(&format!("source.{name}")).map(|rest| format!("source{rest}"));
    Fault { path: rest.unwrap_or(fault.path), line: None, ..fault }
}

fn fault(path: &str, problem: String) -> Fault {
    Fault { path: path.to_owned(), line: None, problem, mend: String::new(), detail: String::new() }
}

/// The settings as a configuration file has them.
fn toml(name: &SourceName, settings: &Map<String, Value>) -> Result<String, String> {
    let mut text = format!("[source.{name}]\n");
    for (key, value) in settings {
        text.push_str(&quoted(key));
        text.push_str(" = ");
        write(value, &mut text)?;
        text.push('\n');
    }
    Ok(text)
}

fn write(value: &Value, text: &mut String) -> Result<(), String> {
    match value {
        Value::Null => return Err("null is no setting: leave the key out".into()),
        Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
        Value::String(string) => text.push_str(&quoted(string)),
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write(item, text)?;
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(entries) => {
            text.push('{');
            for (n, (key, value)) in entries.iter().enumerate() {
                text.push_str(if n == 0 { "" } else { "," });
                text.push_str(&quoted(key));
                text.push('=');
                write(value, text)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

/// A text in quotes: TOML knows every escape that JSON is written with here, and wants one more.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> SourceName {
        SourceName::parse("crm").unwrap()
    }

    fn settings(base_url: &str, more: Value) -> Map<String, Value> {
        let mut settings = json!({
            "base_url": base_url,
            "request": {"path": "people", "query": {"q": "\u{7f}\"\\\n\u{1}é"}},
            "records": {"select": ".items[]"},
            "mapping": {"email": ".email", "first_name": ".\"first name\"", "last_name": ".last"},
            "limits": {"tries": 2},
        });
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        settings.as_object().unwrap().clone()
    }

    fn read(base_url: &str, more: Value, saved: Option<&SourceSpec>) -> Result<Arc<SourceSpec>, Vec<String>> {
        let read = read_unsaved(&name(), settings(base_url, more), saved).map(|unsaved| unsaved.spec);
        read.map_err(|faults| {
            assert!(faults.iter().all(|fault| fault.line.is_none()), "{faults:?}");
            faults.into_iter().map(|fault| fault.path).collect()
        })
    }

    fn bearer(token: &str) -> Value {
        json!({"auth": {"kind": "bearer", "token": token}})
    }

    #[test]
    fn json_says_what_the_file_would_say() {
        let spec = read("https://a.example/", bearer("s3cret"), None).unwrap();
        let AuthSpec::Bearer { token } = &spec.auth else { panic!("{spec:?}") };
        assert_eq!((token.expose_secret(), spec.limits.tries), ("s3cret", 2));
        let query = spec.request.query[0].1.render(&Default::default(), str::to_owned).unwrap();
        assert_eq!(query, "\u{7f}\"\\\n\u{1}é");
    }

    #[test]
    fn a_preset_lies_under_settings_that_are_tried() {
        let more = json!({"preset": "plain", "records": {"select": ".people[]"}});
        let spec = read("https://a.example/", more, None).unwrap();
        assert_eq!((spec.mapping.select.source(), spec.mapping.external_id.is_some()), (".people[]", true));
        assert_eq!(kind_by_preset("swoogo").as_deref(), Some("oauth2"));
        assert_eq!(kind_by_preset("nothing"), None);
    }

    #[test]
    fn faults_are_named_by_the_place_in_the_body() {
        for (more, paths) in [
            (json!({"nope": 1}), &["source.nope"][..]),
            (
                json!({"records": {"select": "nonsense("}, "limits": {"tries": 0}}),
                &["source.limits.tries", "source.records.select"],
            ),
            (json!({"priority": null}), &["source"]),
            (json!({"priority": u64::MAX}), &["source.priority"]),
            (json!({"request": 5}), &["source.request"]),
            (json!({"auth": {"kind": "saved", "token": "x"}}), &["source.auth.kind"]),
        ] {
            let mut found = read("https://a.example/", more.clone(), None).unwrap_err();
            found.sort();
            assert_eq!(found, paths, "{more}");
        }
    }

    #[test]
    fn nothing_of_this_machine_can_be_named() {
        for reference in [json!({"env": "PATH"}), json!({"file": "/etc/hostname"}), json!({"credential": "x"})] {
            let auth = json!({"auth": {"kind": "bearer", "token": reference}});
            assert_eq!(read("https://a.example/", auth, None).unwrap_err(), ["source.auth.token"], "{reference}");
        }
    }

    #[test]
    fn the_saved_credential_stays_on_its_origin() {
        let saved = read("https://a.example/v1/", bearer("s3cret"), None).unwrap();
        let take = |base: &str, saved| read(base, json!({"auth": {"kind": "saved"}}), saved);
        for base in ["https://a.example/", "https://a.example:443/v2/"] {
            let AuthSpec::Bearer { token } = &take(base, Some(&saved)).unwrap().auth else { panic!("{base}") };
            assert_eq!(token.expose_secret(), "s3cret");
        }
        for base in ["https://b.example/", "https://a.example:444/", "http://127.0.0.1/"] {
            assert_eq!(take(base, Some(&saved)).unwrap_err(), ["source.auth"], "{base}");
        }
        assert_eq!(take("https://a.example/", None).unwrap_err(), ["source.auth"]);
    }

    #[test]
    fn a_refresh_token_and_a_heavier_request_are_refused() {
        let login = json!({"auth": {
            "kind": "oauth2", "token_url": "https://a.example/token", "client_id": "c", "client_secret": "s",
            "grant": "refresh_token", "refresh_token": "r",
        }});
        assert_eq!(read("https://a.example/", login, None).unwrap_err(), ["source.auth.refresh_token"]);
        let budget = json!([{"requests": 10, "per": "second"}]);
        let saved = read("https://a.example/", json!({"budget": budget}), None).unwrap();
        let heavy = json!({"budget": budget, "request": {"path": "people", "weight": 2}});
        assert_eq!(read("https://a.example/", heavy.clone(), Some(&saved)).unwrap_err(), ["source.request.weight"]);
        assert!(read("https://b.example/", heavy, Some(&saved)).is_ok(), "there it has its own allowance");
    }

    #[test]
    fn a_login_is_not_written_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.toml");
        let text = "[source.crm.auth]\nkind = \"oauth2\"\nrefresh_token = { env = \"TOKEN\" }\n";
        std::fs::write(&path, text).unwrap();
        let settings = written_out(&path, &Environment::from_iter([("TOKEN", "s3cret")]), &name()).unwrap();
        assert_eq!(Value::Object(settings), json!({"auth": {"kind": "saved"}}));
    }

    #[test]
    fn a_file_is_written_out_with_its_secrets_and_reads_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollcall.toml");
        let text = r#"
            [source.crm]
            base_url = "https://a.example/"
            priority = -3
            [source.crm.request]
            path = "people"
            query = { fields = "a,b" }
            [source.crm.auth]
            kind = "bearer"
            token = { env = "TOKEN" }
            [source.crm.records]
            select = ".[]"
            [source.crm.mapping]
            email = ".email"
            first_name = ".first"
            last_name = ".last"
            [[source.crm.budget]]
            requests = 5
            per = "second"
        "#;
        std::fs::write(&path, text).unwrap();
        let environment = Environment::from_iter([("TOKEN", "s3cret")]);
        let settings = written_out(&path, &environment, &name()).unwrap();
        assert_eq!(settings["auth"]["token"], "s3cret");
        let spec = read_unsaved(&name(), settings, None).unwrap().spec;
        assert_eq!((spec.priority, spec.budget.len()), (-3, 1));
        let AuthSpec::Bearer { token } = &spec.auth else { panic!("{spec:?}") };
        assert_eq!(token.expose_secret(), "s3cret");
        assert_eq!(written_out(&path, &environment, &SourceName::parse("other").unwrap()), None);
        assert_eq!(written_out(&path, &Environment::default(), &name()), None, "the secret is not there");
    }
}
