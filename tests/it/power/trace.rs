//! What `strace` wrote, as calls: `strace -f -yy -xx`, so that every string is hexadecimal and every descriptor bears
//! its path or its socket's addresses.
//!
//! A call has a beginning and an end, between which other threads make calls of their own. What a call does may be on
//! the disk from its beginning; what it promises holds from its end.

use std::collections::HashMap;

/// The calls that change files, bring them to disk or tell somebody something.
pub const CALLS: &str = "open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,truncate,ftruncate,fallocate,lseek,\
    copy_file_range,sendfile,splice,fsync,fdatasync,sync,syncfs,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,\
    rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,sendto,sendmsg,exit_group";

/// One call that came off.
#[derive(Debug, PartialEq, Eq)]
pub enum Call {
    Open {
        path: String,
        create: bool,
        truncate: bool,
        fd: i64,
    },
    /// `at` is known where the call says it, not where the descriptor's own position counts.
    Write {
        to: Target,
        at: Option<u64>,
        bytes: Vec<u8>,
    },
    Seek {
        fd: i64,
        to: u64,
    },
    Resize {
        path: String,
        bytes: u64,
    },
    /// At least so long.
    Reserve {
        path: String,
        bytes: u64,
    },
    Sync {
        path: String,
    },
    /// Everything of the file system.
    SyncAll,
    Rename {
        from: String,
        to: String,
    },
    Remove {
        path: String,
    },
    MakeFolder {
        path: String,
    },
    Exit {
        code: i64,
    },
    /// One that the disk's model does not know; harmless elsewhere.
    Unknown {
        text: String,
        paths: Vec<String>,
    },
}

/// An open descriptor: its number, and the path or the addresses behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub fd: i64,
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Begin,
    End,
}

/// A call's beginning or end, in the order in which they happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub edge: Edge,
    pub call: usize,
}

#[derive(Debug, Default)]
pub struct Trace {
    pub calls: Vec<Call>,
    pub steps: Vec<Step>,
}

impl Trace {
    /// Reads a trace of a process that ran in the folder `cwd`. Calls that failed or were cut off are left out.
    pub fn parse(text: &str, cwd: &str) -> Self {
        let mut trace = Self::default();
        // By thread: the call under way, and where its beginning stands among the steps.
        let mut open: HashMap<&str, (&str, usize)> = HashMap::new();
        let mut begun: Vec<Option<Step>> = Vec::new();
        for line in text.lines() {
            let (thread, rest) = line.split_once(' ').unwrap_or_default();
            let rest = rest.trim_start();
            if let Some(beginning) = rest.strip_suffix(" <unfinished ...>") {
                open.insert(thread, (beginning, begun.len()));
                begun.push(None);
                continue;
            }
            let (whole, at) = match rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>")) {
                Some((_, ending)) => {
                    let (beginning, at) = open.remove(thread).unwrap_or_else(|| panic!("resumed from nothing: {line}"));
                    (format!("{beginning}{ending}"), at)
                }
                None => {
                    begun.push(None);
                    (rest.to_owned(), begun.len() - 1)
                }
            };
            let Some(call) = parse_call(&whole, cwd) else { continue };
            let number = trace.calls.len();
            trace.calls.push(call);
            begun[at] = Some(Step { edge: Edge::Begin, call: number });
            begun.push(Some(Step { edge: Edge::End, call: number }));
        }
        trace.steps = begun.into_iter().flatten().collect();
        trace
    }
}

/// `name(arguments) = result`; none where it failed, or where it has no result because the process ended.
fn parse_call(text: &str, cwd: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    if name == "exit_group" {
        return Some(Call::Exit { code: number(rest) });
    }
    let (arguments, result) = rest.rsplit_once(") ")?;
    let result = number(result.trim_start().strip_prefix("= ")?);
    if result < 0 {
        return None;
    }
    let arguments = split(arguments);
    let argument = |at: usize| arguments.get(at).copied().unwrap_or_default();
    let path = |at: usize| absolute(argument(at), cwd);
    let path_at = |at: usize| absolute(argument(at + 1), &target(argument(at)).name);
    Some(match name {
        "open" | "creat" | "openat" => {
            let first = usize::from(name == "openat");
            let flags = argument(first + 1);
            let creates = name == "creat";
            let (create, truncate) = (creates || flags.contains("O_CREAT"), creates || flags.contains("O_TRUNC"));
            assert!(!flags.contains("O_APPEND") || !flags.contains("WR"), "appending is not modelled: {flags}");
            let path = if name == "openat" { path_at(0) } else { path(0) };
            Call::Open { path, create, truncate, fd: result }
        }
        "write" | "sendto" => write(argument(0), None, string(argument(1)), result),
        "pwrite64" => write(argument(0), Some(unsigned(argument(3))), string(argument(1)), result),
        "writev" | "sendmsg" => write(argument(0), None, vectors(argument(1)), result),
        "pwritev" | "pwritev2" => write(argument(0), Some(unsigned(argument(3))), vectors(argument(1)), result),
        "lseek" => Call::Seek { fd: target(argument(0)).fd, to: result.unsigned_abs() },
        "ftruncate" => Call::Resize { path: target(argument(0)).name, bytes: unsigned(argument(1)) },
        "truncate" => Call::Resize { path: path(0), bytes: unsigned(argument(1)) },
        "fallocate" if argument(1) == "0" => {
            Call::Reserve { path: target(argument(0)).name, bytes: unsigned(argument(2)) + unsigned(argument(3)) }
        }
        "fsync" | "fdatasync" => Call::Sync { path: target(argument(0)).name },
        "sync" | "syncfs" => Call::SyncAll,
        "rename" => Call::Rename { from: path(0), to: path(1) },
        "renameat" | "renameat2" => Call::Rename { from: path_at(0), to: path_at(2) },
        "unlink" | "rmdir" => Call::Remove { path: path(0) },
        "unlinkat" => Call::Remove { path: path_at(0) },
        "mkdir" => Call::MakeFolder { path: path(0) },
        "mkdirat" => Call::MakeFolder { path: path_at(0) },
        // It writes back what it can, and promises nothing about the disk's cache or the file's length.
        "sync_file_range" => return None,
        _ => {
            let paths = arguments.iter().map(|a| if a.contains('<') { target(a).name } else { absolute(a, cwd) });
            Call::Unknown { text: text.chars().take(200).collect(), paths: paths.collect() }
        }
    })
}

/// As many bytes as the call took.
fn write(to: &str, at: Option<u64>, mut bytes: Vec<u8>, taken: i64) -> Call {
    let taken = usize::try_from(taken).expect("a failed call was left out");
    assert!(bytes.len() >= taken, "the trace shows {} of {taken} bytes written", bytes.len());
    bytes.truncate(taken);
    Call::Write { to: target(to), at, bytes }
}

/// Arguments, split at commas outside of brackets and quotes.
fn split(arguments: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut from) = (0, false, 0);
    let mut parts = Vec::new();
    let mut before = ' ';
    for (at, c) in arguments.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' | '<' => depth += 1,
            // The arrow between a socket's addresses.
            '>' if before == '-' => {}
            ')' | ']' | '}' | '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(arguments[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
        before = c;
    }
    parts.push(arguments[from..].trim());
    parts
}

/// `9</a/path>`, `9<TCP:[…]>`, `AT_FDCWD</a/path>`, `9</gone>(deleted)`
fn target(argument: &str) -> Target {
    let (fd, rest) = argument.split_once('<').unwrap_or((argument, ""));
    let (name, after) = rest.rsplit_once('>').unwrap_or((rest, ""));
    let mut name = text(name);
    if after == "(deleted)" {
        name.push_str(after);
    }
    Target { fd: number(fd), name }
}

fn absolute(argument: &str, folder: &str) -> String {
    let path = String::from_utf8_lossy(&string(argument)).into_owned();
    if path.starts_with('/') { path } else { format!("{folder}/{path}") }
}

/// The bytes between the quotes.
fn string(argument: &str) -> Vec<u8> {
    assert!(!argument.ends_with("..."), "strace cut a string short");
    unescape(argument.trim_matches('"'))
}

fn text(escaped: &str) -> String {
    String::from_utf8_lossy(&unescape(escaped)).into_owned()
}

fn unescape(escaped: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    let escaped = escaped.as_bytes();
    let mut bytes = Vec::with_capacity(escaped.len() / 4);
    let mut at = 0;
    while at < escaped.len() {
        match escaped[at..] {
            [b'\\', b'x', high, low, ..] => {
                bytes.push(digit(high) * 16 + digit(low));
                at += 4;
            }
            [byte, ..] => {
                bytes.push(byte);
                at += 1;
            }
            [] => break,
        }
    }
    bytes
}

/// `[{iov_base="…", iov_len=2}, …]`, alone or within a message's header.
fn vectors(argument: &str) -> Vec<u8> {
    let bases = argument.split("iov_base=\"").skip(1);
    bases.flat_map(|rest| unescape(rest.split('"').next().unwrap_or_default())).collect()
}

/// The number at the beginning; -1 for `?` and names.
fn number(text: &str) -> i64 {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    text[..end].parse().unwrap_or(-1)
}

fn unsigned(text: &str) -> u64 {
    u64::try_from(number(text)).unwrap_or_else(|_| panic!("{text} is not a length"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(trace: &Trace) -> Vec<(Edge, usize)> {
        trace.steps.iter().map(|step| (step.edge, step.call)).collect()
    }

    #[test]
    fn calls_are_read_with_their_paths_and_bytes() {
        let trace = Trace::parse(
            r#"7 openat(AT_FDCWD</p>, "d/\x61", O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC, 0600) = 3</p/d/a>
7 write(3</p/d/a>, "\x68\x69, (x) = 1", 5) = 2
7 pwrite64(3</p/d/a>, "xyz", 3, 4096) = 3
7 rename("/p/d/a", "d/b") = 0
7 openat(AT_FDCWD</p>, "no", O_RDONLY) = -1 ENOENT (No such file or directory)
7 writev(9<TCP:[127.0.0.1:80->127.0.0.1:9]>, [{iov_base="a", iov_len=1}, {iov_base="b", iov_len=1}], 2) = 2
7 exit_group(0)                     = ?
7 +++ exited with 0 +++
"#,
            "/p",
        );
        let target = |fd, name: &str| Target { fd, name: name.into() };
        assert_eq!(
            trace.calls,
            [
                Call::Open { path: "/p/d/a".into(), create: true, truncate: true, fd: 3 },
                Call::Write { to: target(3, "/p/d/a"), at: None, bytes: b"hi".into() },
                Call::Write { to: target(3, "/p/d/a"), at: Some(4096), bytes: b"xyz".into() },
                Call::Rename { from: "/p/d/a".into(), to: "/p/d/b".into() },
                Call::Write { to: target(9, "TCP:[127.0.0.1:80->127.0.0.1:9]"), at: None, bytes: b"ab".into() },
                Call::Exit { code: 0 },
            ]
        );
    }

    #[test]
    fn calls_of_several_threads_overlap() {
        let trace = Trace::parse(
            r#"7 fdatasync(3</p/a> <unfinished ...>
8 write(4</p/b>, "x", 1) = 1
7 <... fdatasync resumed>) = 0
8 fsync(4</p/b> <unfinished ...>
"#,
            "/p",
        );
        assert_eq!(trace.calls.len(), 2, "one that never ended promises nothing");
        assert_eq!(edges(&trace), [(Edge::Begin, 1), (Edge::Begin, 0), (Edge::End, 0), (Edge::End, 1)]);
    }
}
