//! Where secrets may come from besides files: environment variables and systemd's credentials.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;

/// The variables a configuration may refer to. Given in, so that nothing reads the process's own behind one's back.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    closed: bool,
}

impl Environment {
    /// The process's variables as they are now.
    pub fn process() -> Self {
        Self { variables: std::env::vars_os().collect(), closed: false }
    }

    /// For settings that came from elsewhere: they may name no variable, file or credential of this machine.
    pub fn closed() -> Self {
        Self { closed: true, ..Self::default() }
    }

    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// The value of a variable.
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// `$CREDENTIALS_DIRECTORY`, where systemd puts what `LoadCredential=` names (systemd.exec(5)).
    pub fn credentials_directory(&self) -> Option<&Path> {
        self.variable("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).map(Path::new)
    }
}

/// Just these variables.
impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, closed: false }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_credentials_directory_is_none() {
        let env = |path: &str| Environment::from_iter([("CREDENTIALS_DIRECTORY", path)]);
        assert_eq!(env("").credentials_directory(), None);
        assert_eq!(env("/run/c").credentials_directory(), Some(Path::new("/run/c")));
    }

    #[test]
    fn the_process_has_a_path_and_prints_none_of_it() {
        let env = Environment::process();
        assert_eq!(env.variable("PATH"), std::env::var_os("PATH").as_deref());
        assert_eq!(format!("{env:?}"), "Environment(***)");
    }
}
