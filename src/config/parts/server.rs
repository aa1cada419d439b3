//! `[server]`, `[store]` and `[log]`.

use std::net::SocketAddr;
use std::path::Path;

use tracing_subscriber::EnvFilter;

use crate::config::read::{Item, Section, shown};
use crate::config::suggest::nearest;
use crate::config::{LogFormat, LogSpec, ServerSpec, StoreSpec};
use crate::limits::{AUDIT_DAYS, COMPACT_AFTER, COMPACT_AFTER_MAX, COMPACT_AFTER_MIN, JOURNAL_DAYS, JOURNAL_DAYS_MAX};

const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7070);
const STORE_PATH_DEFAULT: &str = "data";
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

pub(in crate::config) fn read_server(mut section: Section<'_>) -> Option<ServerSpec> {
    let listen = section.optional("listen");
    let behind_proxy = match section.optional("behind_proxy") {
        Some(item) => item.boolean(),
        None => Some(false),
    };
    let listen = match listen {
        Some(item) => listen_address(&item, behind_proxy),
        None => Some(LISTEN_DEFAULT),
    };
    section.finish();
    Some(ServerSpec { listen: listen?, behind_proxy: behind_proxy? })
}

fn listen_address(item: &Item<'_>, behind_proxy: Option<bool>) -> Option<SocketAddr> {
    let text = item.text()?;
    let Ok(address) = text.parse::<SocketAddr>() else {
        let problem = format!("must be an IP address and a port (got {})", shown(text));
        item.fault(problem, r#"write e.g. "127.0.0.1:7070" or "[::1]:7070""#);
        return None;
    };
    if !address.ip().is_loopback() && behind_proxy == Some(false) {
        let mend = "listen on 127.0.0.1, or put a TLS proxy in front and say behind_proxy = true";
        item.fault(format!("would serve unencrypted beyond this machine (got {})", shown(text)), mend);
        return None;
    }
    Some(address)
}

/// `folder`: what a relative path is taken from.
pub(in crate::config) fn read_store(mut section: Section<'_>, folder: &Path) -> Option<StoreSpec> {
    let path = match section.optional("path") {
        Some(item) => item.text(),
        None => Some(STORE_PATH_DEFAULT),
    };
    let journal_days = match section.optional("journal_days") {
        Some(item) => item.integer(1..=JOURNAL_DAYS_MAX),
        None => Some(JOURNAL_DAYS),
    };
    let audit_days = match section.optional("audit_days") {
        Some(item) => item.integer(1..=JOURNAL_DAYS_MAX),
        None => Some(AUDIT_DAYS),
    };
    let compact_after = match section.optional("compact_after") {
        Some(item) => item.duration(COMPACT_AFTER_MIN..=COMPACT_AFTER_MAX),
        None => Some(COMPACT_AFTER),
    };
    section.finish();
    let path = folder.join(path?);
    let (journal_days, audit_days) = (journal_days?, audit_days?);
    Some(StoreSpec { path, journal_days, audit_days, compact_after: compact_after? })
}

pub(in crate::config) fn read_log(mut section: Section<'_>) -> Option<LogSpec> {
    let formats = [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
    let format = section.choice("format", &formats, LogFormat::Auto);
    let level = match section.optional("level") {
        Some(item) => log_filter(&item),
        None => Some("info".to_owned()),
    };
    section.finish();
    Some(LogSpec { format: format?, level: level? })
}

/// A `tracing` filter. It would take any bare word as the name of a module, so that `inof` silences the log; such a
/// word must be a level here.
fn log_filter(item: &Item<'_>) -> Option<String> {
    let text = item.text()?;
    let bare_words = text.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[']));
    if let Some(word) = bare_words.into_iter().find(|word| !LEVELS.contains(&word.to_ascii_lowercase().as_str())) {
        let mend = match nearest(word, LEVELS) {
            Some(level) => format!("did you mean {level:?}?"),
            None => format!("choose one of {}, or write module=level", LEVELS.join(", ")),
        };
        item.fault(format!("must be a level or module=level (got {})", shown(word)), mend);
        return None;
    }
    if let Err(error) = EnvFilter::builder().parse(text) {
        item.fault(format!("must be a log filter ({error})"), r#"write e.g. "info" or "info,rollcall::source=debug""#);
        return None;
    }
    Some(text.to_owned())
}
