//! Secrets: read from where the configuration says they are, into a type that cannot print.
//!
//! Invariant: no fault made here holds any part of a secret, only where it was looked for.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::environment::Environment;
use super::read::{Item, shown};
use crate::limits::SECRET_BYTES_MAX;

/// How to write a secret, said wherever one is missing.
pub(super) const SECRET_FORMS: &str =
    r#"write { env = "NAME" }, { file = "path" } or { credential = "name" } (systemd's LoadCredential=)"#;

/// Where secrets of one configuration file come from.
pub(super) struct Secrets<'a> {
    pub environment: &'a Environment,
    /// Relative files are taken from here: the folder of the configuration file.
    pub folder: &'a Path,
    /// Nobody but its owner can read the configuration file, so that secrets may stand in it.
    pub file_is_private: bool,
}

/// Why a secret could not be had, with a mend. Holds names and paths only.
struct Unresolved {
    problem: String,
    mend: String,
}

impl Unresolved {
    fn new(problem: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { problem: problem.into(), mend: mend.into() }
    }
}

impl Secrets<'_> {
    /// A secret as the file names it. What cannot be resolved, or is empty, is a fault.
    pub fn read(&self, item: Item<'_>) -> Option<SecretString> {
        if item.is_text() {
            return self.inline(&item);
        }
        if self.environment.is_closed() {
            let problem = "settings that are not saved may name no variable, file or credential of the server";
            item.fault(problem, "write the secret itself, or auth with the kind \"saved\" and nothing else");
            return None;
        }
        let mut section = item.section_as("<secret>");
        let env = section.optional("env");
        let file = section.optional("file");
        let credential = section.optional("credential");
        let resolved = match (&env, &file, &credential) {
            (Some(name), None, None) => name.text().map(|text| (name, self.variable(text))),
            (None, Some(path), None) => path.text().map(|text| (path, read_file(&self.folder.join(text)))),
            (None, None, Some(name)) => name.text().map(|text| (name, self.credential(text))),
            _ => {
                if section.is_table() {
                    let problem = "must name exactly one of env, file and credential";
                    section.findings().fault(section.place(), problem, SECRET_FORMS);
                }
                None
            }
        };
        section.finish();
        let (place, resolved) = resolved?;
        match resolved.and_then(not_empty) {
            Ok(secret) => Some(secret),
            Err(unresolved) => {
                place.fault(unresolved.problem, unresolved.mend);
                None
            }
        }
    }

    fn inline(&self, item: &Item<'_>) -> Option<SecretString> {
        if self.file_is_private {
            return item.text().map(SecretString::from);
        }
        let problem = "a secret stands in a file that others may read";
        item.fault(problem, format!("make the file private (chmod 600), or {SECRET_FORMS}"));
        None
    }

    fn variable(&self, name: &str) -> Result<SecretString, Unresolved> {
        let value = self.environment.variable(name).ok_or_else(|| {
            let problem = format!("the environment variable {} is not set", shown(name));
            Unresolved::new(problem, "set it where rollcall is started")
        })?;
        value.to_str().map(SecretString::from).ok_or_else(|| {
            let problem = format!("the environment variable {} is not UTF-8", shown(name));
            Unresolved::new(problem, "set it to UTF-8 text")
        })
    }

    fn credential(&self, name: &str) -> Result<SecretString, Unresolved> {
        if name.contains(['/', '\0']) || matches!(name, "." | "..") {
            let problem = format!("must be the name of a credential, not a path (got {})", shown(name));
            return Err(Unresolved::new(problem, "use { file = … } for a path"));
        }
        let folder = self.environment.credentials_directory().ok_or_else(|| {
            let problem = format!("no credential {}: $CREDENTIALS_DIRECTORY is not set", shown(name));
            Unresolved::new(
                problem,
                "start rollcall by systemd with LoadCredential=, or use { env = … } or { file = … }",
            )
        })?;
        read_file(&folder.join(name))
    }
}

/// The text of a file without its last line break.
fn read_file(path: &Path) -> Result<SecretString, Unresolved> {
    let text = read_bounded(path).map_err(|error| {
        let problem = format!("cannot read the secret from {}: {error}", path.display());
        Unresolved::new(problem, "check the path, and that rollcall's user may read it")
    })?;
    let end = text.trim_end_matches(['\r', '\n']).len();
    Ok(SecretString::from(&text[..end]))
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        let problem = format!("it is longer than {SECRET_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(text)
}

fn not_empty(secret: SecretString) -> Result<SecretString, Unresolved> {
    if secret.expose_secret().trim().is_empty() {
        return Err(Unresolved::new("the secret found there is empty", "put the secret there"));
    }
    Ok(secret)
}
