//! What is known of registration systems: how each is read, as a source without its address and secrets.

use toml::de::{DeTable, DeValue};

use super::read::{Item, Section, shown};
use super::suggest::nearest;
use crate::model::MappingKey;

/// A registration system that is known.
#[derive(Debug)]
pub struct Preset {
    /// As in `preset = "…"`.
    pub name: &'static str,
    pub system: &'static str,
    /// What the operator has to say.
    pub needs: &'static str,
    /// The keys of a source, as TOML.
    pub toml: &'static str,
}

/// Every preset, in the order in which they are listed.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "pretix",
        system: "pretix",
        needs: "base_url, auth.key, params organizer and event",
        toml: include_str!("../../config/presets/pretix.toml"),
    },
    Preset {
        name: "eventbrite",
        system: "Eventbrite",
        needs: "auth.token, param event",
        toml: include_str!("../../config/presets/eventbrite.toml"),
    },
    Preset {
        name: "swoogo",
        system: "Swoogo",
        needs: "auth.client_id, auth.client_secret, param event",
        toml: include_str!("../../config/presets/swoogo.toml"),
    },
    Preset {
        name: "tito",
        system: "Tito",
        needs: "auth.key, params account and event",
        toml: include_str!("../../config/presets/tito.toml"),
    },
    Preset {
        name: "indico",
        system: "Indico",
        needs: "base_url, auth.token, param event",
        toml: include_str!("../../config/presets/indico.toml"),
    },
    Preset {
        name: "hievents",
        system: "Hi.Events",
        needs: "base_url, auth.token, param event",
        toml: include_str!("../../config/presets/hievents.toml"),
    },
    Preset {
        name: "gco",
        system: "GCO",
        needs: "base_url, auth.request.json.LoginId and Password, param eventName",
        toml: include_str!("../../config/presets/gco.toml"),
    },
    Preset {
        name: "oidc",
        system: "OpenID Connect, to sign in with",
        needs: "login.issuer, login.client_id, login.redirect_url, login.return_to",
        toml: include_str!("../../config/presets/oidc.toml"),
    },
    Preset {
        name: "plain",
        system: "a plain JSON list",
        needs: "base_url, request.path",
        toml: include_str!("../../config/presets/plain.toml"),
    },
];

/// A source's preset, as it was chosen.
pub(super) struct Chosen {
    preset: &'static Preset,
    /// Without what the operator wanted to be without.
    table: DeTable<'static>,
    /// Where it was named.
    line: usize,
}

impl Chosen {
    /// Reads `preset` and `preset_without`: `Some(None)` where there is none, `None` where they are faulty.
    pub fn read(section: &mut Section<'_>) -> Option<Option<Self>> {
        let name = section.optional("preset");
        let without = section.optional("preset_without");
        let Some(item) = name else {
            if let Some(item) = without {
                item.fault("is of no use without a preset", "name one, or leave it out");
                return None;
            }
            return Some(None);
        };
        let names: Vec<_> = PRESETS.iter().map(|preset| (preset.name, preset)).collect();
        let preset = item.choice(&names)?;
        let table = DeTable::parse(preset.toml).expect("a test parses every preset").into_inner();
        let mut chosen = Self { preset, table, line: item.place().line };
        let keys = without.map_or(Some(Vec::new()), |item| item.list())?;
        // Collected before `all`, so that every faulty key is reported.
        let left_out: Vec<_> = keys.iter().map(|key| chosen.leave_out(key).is_some()).collect();
        left_out.iter().all(|done| *done).then_some(Some(chosen))
    }

    /// The operator's section with the preset under it, and what that fills in.
    pub fn under<'t>(&'t self, section: Section<'t>) -> (Section<'t>, FilledIn) {
        self.keep_locks(&section);
        let section = section.over(&self.table, self.preset.name, self.line);
        let mut keys = section.filled();
        keys.sort();
        (section, FilledIn { preset: self.preset.name, keys })
    }

    /// What the preset maps once and for all.
    fn locked(&self) -> Vec<MappingKey> {
        let locked = self.table.get("mapping").and_then(|table| table.get_ref().get("locked"));
        let names = locked.and_then(|list| list.get_ref().as_array()).into_iter().flatten();
        names.filter_map(|name| MappingKey::parse(name.get_ref().as_str()?).ok()).collect()
    }

    /// The operator's file is no way around a lock, either.
    fn keep_locks(&self, section: &Section<'_>) {
        let locked = self.locked();
        for key in &locked {
            if let Some(item) = section.own(&key.place()) {
                let problem = format!("the preset {} locks it", self.preset.name);
                item.fault(problem, "leave it out, or read the system without the preset");
            }
        }
        if let Some(item) = section.own("mapping.locked").filter(|_| !locked.is_empty()) {
            let own: Vec<_> =
                item.list().unwrap_or_default().iter().filter_map(Item::text).map(str::to_owned).collect();
            for key in locked.iter().filter(|key| !own.contains(&key.to_string())) {
                item.fault(format!("the preset {} locks {key}, too", self.preset.name), "add it to the list");
            }
        }
    }

    fn leave_out(&mut self, item: &Item<'_>) -> Option<()> {
        let path = item.text()?;
        let locked = self.locked();
        let holds_lock = |path: &str| ["mapping", "mapping.locked"].contains(&path);
        if !locked.is_empty() && (holds_lock(path) || locked.iter().any(|key| key.place() == path)) {
            let problem = format!("the preset {} locks it (got {})", self.preset.name, shown(path));
            item.fault(problem, "leave it in, or read the system without the preset");
            return None;
        }
        if remove(&mut self.table, path) {
            return Some(());
        }
        let known = paths(&self.table, "");
        let mend = match nearest(path, known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("`rollcall presets {}` shows its keys", self.preset.name),
        };
        item.fault(format!("the preset {} says nothing of it (got {})", self.preset.name, shown(path)), mend);
        None
    }
}

/// Removes a key, its tables' names before it with dots between.
fn remove(table: &mut DeTable<'_>, path: &str) -> bool {
    let Some((first, rest)) = path.split_once('.') else { return table.remove(path).is_some() };
    match table.get_mut(first).map(toml::Spanned::get_mut) {
        Some(DeValue::Table(table)) => remove(table, rest),
        _ => false,
    }
}

/// Every key and table.
fn paths(table: &DeTable<'_>, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = format!("{prefix}{}", key.get_ref());
        if let DeValue::Table(table) = value.get_ref() {
            found.extend(paths(table, &format!("{path}.")));
        }
        found.push(path);
    }
    found
}

/// What a preset says for a source that says nothing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilledIn {
    pub preset: &'static str,
    /// Keys below the source, with their values as TOML, by key. Presets hold no secrets.
    pub keys: Vec<(String, String)>,
}
