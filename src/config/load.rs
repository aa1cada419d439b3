//! From a file to a validated [`Config`], or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::environment::Environment;
use super::fault::{ConfigError, Fault, Warning};
use super::parts::{Declared, read_event, read_log, read_mail, read_server, read_source, read_store};
use super::preset::{Chosen, FilledIn};
use super::read::{Findings, Item, Place, Section, shown};
use super::secret::Secrets;
use super::spec::{Config, SourceSpec};
use crate::limits::{CONFIG_BYTES_MAX, FEEDS_LABELLED_MAX};
use crate::model::{EventName, NameError, SourceName};

impl Config {
    /// Reads a configuration file and the secrets it names.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] when there is no such file, or [`ConfigError::Faults`] with every fault in it.
    pub fn load(path: &Path, environment: &Environment) -> Result<(Self, Vec<Warning>), ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        // Asked of the open file, so that it cannot be another than the one that is read.
        let file_is_private = is_private(&file).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        match text_of(bytes) {
            Ok(text) => parse(&text, path, environment, file_is_private),
            Err(fault) => Err(ConfigError::Faults { path: path.to_owned(), faults: vec![fault] }),
        }
    }

    /// Reads the text of a configuration as if it stood at `path`. A secret written into it is a fault, for a text
    /// from anywhere cannot be known to be private.
    ///
    /// # Errors
    /// [`ConfigError::Faults`] with every fault in it.
    pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<(Self, Vec<Warning>), ConfigError> {
        parse(text, path, environment, false)
    }
}

/// Can nobody but the owner read the file? Being able to read it, the process is the owner or root.
#[cfg(unix)]
fn is_private(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(file.metadata()?.permissions().mode() & 0o077 == 0)
}

/// Without modes nobody can tell.
#[cfg(not(unix))]
fn is_private(_: &File) -> io::Result<bool> {
    Ok(false)
}

fn text_of(bytes: Vec<u8>) -> Result<String, Fault> {
    let fault = |line, problem: &str, mend: &str| Fault {
        path: String::new(),
        line,
        problem: problem.to_owned(),
        mend: mend.to_owned(),
        detail: String::new(),
    };
    if bytes.len() as u64 > CONFIG_BYTES_MAX {
        return Err(fault(None, "too large for a configuration", "check that it is the right file"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        fault(Some(line), "not UTF-8", "save the file as UTF-8")
    })
}

fn parse(
    text: &str,
    path: &Path,
    environment: &Environment,
    file_is_private: bool,
) -> Result<(Config, Vec<Warning>), ConfigError> {
    let findings = Findings::new(text);
    let config = read_text(text, path, environment, file_is_private, &findings);
    let (faults, warnings) = findings.into_parts();
    match config {
        Some(config) if faults.is_empty() => Ok((config, warnings)),
        _ => Err(ConfigError::Faults { path: path.to_owned(), faults }),
    }
}

/// `None` only after a fault was found.
pub(super) fn read_text(
    text: &str,
    path: &Path,
    environment: &Environment,
    file_is_private: bool,
    findings: &Findings,
) -> Option<Config> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let secrets = Secrets { environment, folder, file_is_private };
    match DeTable::parse(text) {
        Ok(table) => read_config(Section::root(table.get_ref(), findings), path, &secrets),
        Err(error) => {
            report_syntax(&error, findings);
            None
        }
    }
}

/// The parser's words say what it expected; its excerpt of the text is left out, for a secret may stand there.
fn report_syntax(error: &toml::de::Error, findings: &Findings) {
    let offset = error.span().map_or(0, |span| span.start);
    let place = Place { line: findings.line(offset), ..Place::default() };
    let reason = error.message().lines().collect::<Vec<_>>().join(", ");
    let problem = format!("not TOML at column {}: {reason}", findings.column(offset));
    findings.fault(&place, problem, "mend this line first; the rest was not read");
}

fn read_config(mut root: Section<'_>, path: &Path, secrets: &Secrets<'_>) -> Option<Config> {
    let findings = root.findings();
    let server = read_server(root.section("server"));
    let store = read_store(root.section("store"), secrets.folder);
    let log = read_log(root.section("log"));
    let mail = read_mail(root.section("mail"), secrets);
    let source_items = named_items(root.section("source"), SourceName::parse);
    let (declared, filled_in) = read_sources(&source_items, secrets);
    let event_items = named_items(root.section("event"), EventName::parse);
    let events: Vec<_> = event_items
        .iter()
        .map(|(name, item)| (name.clone(), read_event(name.clone(), item.clone().section(), &declared, secrets.folder)))
        .collect();
    root.finish();
    let sources = declared.into_iter().map(|(name, spec)| Some((name, spec?))).collect::<Option<BTreeMap<_, _>>>();
    let events = events.into_iter().map(|(name, event)| Some((name, event?))).collect::<Option<BTreeMap<_, _>>>();
    let (path, server, store, log, mail) = (path.to_owned(), server?, store?, log?, mail?.map(Arc::new));
    let config = Config { path, server, store, log, mail, sources: sources?, filled_in, events: events? };
    warn_of_idleness(&config, &source_items, findings);
    Some(config)
}

/// The sources, those with faults as `None`, and what presets said for them.
fn read_sources(items: &[(SourceName, Item<'_>)], secrets: &Secrets<'_>) -> (Declared, BTreeMap<SourceName, FilledIn>) {
    let (mut declared, mut filled_in) = (Declared::new(), BTreeMap::new());
    for (name, item) in items {
        let (source, filled) = read_with_preset(name, item, secrets);
        filled_in.extend(filled.map(|filled| (name.clone(), filled)));
        declared.insert(name.clone(), source);
    }
    (declared, filled_in)
}

/// A source with its preset under it, if it names one, and what that said.
pub(super) fn read_with_preset(
    name: &SourceName,
    item: &Item<'_>,
    secrets: &Secrets<'_>,
) -> (Option<Arc<SourceSpec>>, Option<FilledIn>) {
    let mut section = item.clone().section();
    match Chosen::read(&mut section) {
        // What such a source lacks, nobody knows.
        None => (None, None),
        Some(None) => (read_source(name.clone(), section, secrets), None),
        Some(Some(chosen)) => {
            let (section, filled) = chosen.under(section);
            (read_source(name.clone(), section, secrets), Some(filled))
        }
    }
}

/// The tables below a key whose names are sources or events; others are faults and left out.
fn named_items<'t, N>(section: Section<'t>, parse: impl Fn(&str) -> Result<N, NameError>) -> Vec<(N, Item<'t>)> {
    let named = section.named().into_iter().filter_map(|(text, item)| match parse(text) {
        Ok(name) => Some((name, item)),
        Err(error) => {
            item.fault(format!("no legal name (got {})", shown(text)), error.to_string());
            None
        }
    });
    named.collect()
}

/// What is sound but leaves work undone or unseen.
fn warn_of_idleness(config: &Config, source_items: &[(SourceName, Item<'_>)], findings: &Findings) {
    let whole = Place { line: 1, ..Place::default() };
    if config.sources.is_empty() {
        findings.warn(&whole, "no source, so that nothing can be synced");
    }
    let feeds = || config.events.values().flat_map(|event| &event.feeds);
    for (name, item) in source_items {
        let has_list = config.sources.get(name).is_some_and(|source| source.sign_in.is_none());
        if has_list && !feeds().any(|feed| feed.source == *name) {
            findings.warn(item.place(), "no event of this file has a feed of this source");
        }
    }
    if config.mail.is_none() && config.events.values().any(|event| event.invitations.enabled) {
        findings.warn(&whole, "invitations without [mail], so that they stay in the queue");
    }
    if feeds().count() > FEEDS_LABELLED_MAX {
        let text = format!("{} feeds; metrics show the first {FEEDS_LABELLED_MAX} one by one", feeds().count());
        findings.warn(&whole, text);
    }
}
