//! What is wrong with a configuration, in words an operator can act on.
//!
//! Invariant: a fault names the key and the rule. It shows a value only where no secret can stand.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

/// Something that must be mended before the configuration can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, e.g. `source.crm.budget[0].requests`; empty when the text as a whole is meant.
    pub path: String,
    /// The line of the file, counted from 1; `None` for settings that came over the API.
    pub line: Option<usize>,
    /// What is wrong, e.g. `must be > 0 (got 0)`.
    pub problem: String,
    /// What to do about it; never empty for faults of this crate.
    pub mend: String,
    /// Further lines, e.g. a jq expression with a caret under the place; often empty.
    pub detail: String,
}

/// Something that works but is probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// As in [`Fault`].
    pub path: String,
    /// As in [`Fault`].
    pub line: Option<usize>,
    pub text: String,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {}: {source}; give the path of a readable file", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Every fault, in the order of the file. Displayed one a line as `file:line: path: problem; mend`.
    #[error("{}", listing(path, faults))]
    Faults { path: PathBuf, faults: Vec<Fault> },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.problem)?;
        if !self.mend.is_empty() {
            write!(f, "; {}", self.mend)?;
        }
        self.detail.lines().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.text) } else { write!(f, "{}: {}", self.path, self.text) }
    }
}

fn listing(path: &Path, faults: &[Fault]) -> String {
    let mut text = String::new();
    for (n, fault) in faults.iter().enumerate() {
        let newline = if n == 0 { "" } else { "\n" };
        let line = fault.line.map(|line| format!(":{line}")).unwrap_or_default();
        // Writing to a String cannot fail.
        let _ = write!(text, "{newline}{}{line}: {fault}", path.display());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(path: &str, line: Option<usize>, mend: &str, detail: &str) -> Fault {
        Fault { path: path.into(), line, problem: "is odd".into(), mend: mend.into(), detail: detail.into() }
    }

    #[test]
    fn faults_print_one_a_line_with_their_detail_below() {
        let faults = vec![fault("a.b", Some(3), "mend it", ""), fault("", None, "", "x\n^")];
        let error = ConfigError::Faults { path: "r.toml".into(), faults };
        assert_eq!(error.to_string(), "r.toml:3: a.b: is odd; mend it\nr.toml: is odd\n    x\n    ^");
    }

    #[test]
    fn warnings_print_their_key() {
        let warning = |path: &str| Warning { path: path.into(), line: None, text: "unused".into() }.to_string();
        assert_eq!((warning("a").as_str(), warning("").as_str()), ("a: unused", "unused"));
    }
}
