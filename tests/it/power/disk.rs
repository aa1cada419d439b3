//! What a disk may hold after a power cut.
//!
//! A file has content that is safe, and changes since its last `fsync` or `fdatasync`; a folder has entries that are
//! safe, and changes since its last `fsync`. A cut keeps whichever of the changes it likes: see [`Fate`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::fate::Fate;
use super::trace::{Call, Edge, Step, Trace};

/// One folder's tree, followed through a trace.
pub struct Disk {
    root: String,
    nodes: Vec<Node>,
    /// Where `write` goes on, by descriptor.
    positions: HashMap<i64, u64>,
    /// What a sync under way will have made safe: what had been done when it began.
    syncing: HashMap<usize, Vec<(usize, Vec<u64>)>>,
    /// Changes by calls that have not ended yet.
    unfinished: BTreeSet<u64>,
    made_by: HashMap<usize, Vec<u64>>,
    next: u64,
    /// The newest entry or length that is safe.
    committed: Option<u64>,
}

enum Node {
    File { safe: Vec<u8>, changes: Vec<(u64, Change)> },
    Folder { safe: BTreeMap<String, usize>, now: BTreeMap<String, usize>, changes: Vec<(u64, Entry)> },
}

#[derive(Debug, Clone)]
pub enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Resize { bytes: u64 },
}

/// One change of a folder. A rename is one: file systems keep it whole or not at all.
#[derive(Debug, Clone)]
enum Entry {
    Put(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl Entry {
    fn apply(&self, entries: &mut BTreeMap<String, usize>) {
        match self {
            Self::Put(name, node) => drop(entries.insert(name.clone(), *node)),
            Self::Remove(name) => drop(entries.remove(name)),
            Self::Rename(from, to, node) => {
                entries.remove(from);
                entries.insert(to.clone(), *node);
            }
        }
    }
}

/// Paths below the root: folders without content, files with it.
pub type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

const ROOT: usize = 0;

impl Disk {
    /// An empty folder that is safe.
    pub fn new(root: &str) -> Self {
        Self {
            root: root.to_owned(),
            nodes: vec![folder()],
            positions: HashMap::new(),
            syncing: HashMap::new(),
            unfinished: BTreeSet::new(),
            made_by: HashMap::new(),
            next: 0,
            committed: None,
        }
    }

    /// Goes on by one step of a trace.
    pub fn step(&mut self, trace: &Trace, step: Step) {
        let call = &trace.calls[step.call];
        match step.edge {
            Edge::Begin => {
                let from = self.next;
                self.begin(call, step.call);
                self.unfinished.extend(from..self.next);
                self.made_by.insert(step.call, (from..self.next).collect());
            }
            Edge::End => {
                for change in self.made_by.remove(&step.call).unwrap_or_default() {
                    self.unfinished.remove(&change);
                }
                for (node, changes) in self.syncing.remove(&step.call).unwrap_or_default() {
                    self.committed = self.committed.max(self.nodes[node].make_safe(&changes));
                }
                if let Call::Open { fd, .. } = call {
                    self.positions.insert(*fd, 0);
                }
            }
        }
    }

    fn begin(&mut self, call: &Call, number: usize) {
        match call {
            Call::Open { path, create, truncate, .. } => self.open(path, *create, *truncate),
            Call::Write { to, at, bytes } => {
                let Some(node) = self.find(&to.name) else { return };
                let position = self.positions.entry(to.fd).or_default();
                let at = at.unwrap_or(*position);
                *position = at + bytes.len() as u64;
                self.change(node, Change::Write { at, bytes: bytes.clone() });
            }
            Call::Seek { fd, to } => drop(self.positions.insert(*fd, *to)),
            Call::Resize { path, bytes } => {
                if let Some(node) = self.find(path) {
                    self.change(node, Change::Resize { bytes: *bytes });
                }
            }
            Call::Reserve { path, bytes } => {
                if let Some(node) = self.find(path)
                    && self.nodes[node].length() < *bytes
                {
                    self.change(node, Change::Resize { bytes: *bytes });
                }
            }
            Call::Sync { path } => {
                let done = self.find(path).map(|node| (node, self.done(node)));
                self.syncing.insert(number, done.into_iter().collect());
            }
            Call::SyncAll => {
                let done = (0..self.nodes.len()).map(|node| (node, self.done(node))).collect();
                self.syncing.insert(number, done);
            }
            Call::Rename { from, to } => self.rename(from, to),
            Call::Remove { path } => {
                if let Some((folder, name)) = self.place(path) {
                    self.enter(folder, Entry::Remove(name));
                }
            }
            Call::MakeFolder { path } => {
                if let Some((parent, name)) = self.place(path) {
                    self.nodes.push(folder());
                    self.enter(parent, Entry::Put(name, self.nodes.len() - 1));
                }
            }
            Call::Unknown { text, paths } => {
                assert!(!paths.iter().any(|path| self.below(path).is_some()), "not modelled: {text}");
            }
            Call::Exit { .. } => {}
        }
    }

    fn open(&mut self, path: &str, create: bool, truncate: bool) {
        match self.find(path) {
            Some(node) if truncate && self.nodes[node].length() > 0 => self.change(node, Change::Resize { bytes: 0 }),
            Some(_) => {}
            None if create => {
                if let Some((folder, name)) = self.place(path) {
                    self.nodes.push(Node::File { safe: Vec::new(), changes: Vec::new() });
                    self.enter(folder, Entry::Put(name, self.nodes.len() - 1));
                }
            }
            None => {}
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        match (self.place(from), self.place(to)) {
            (Some((folder, from)), Some((target, to))) => {
                assert_eq!(folder, target, "renaming across folders is not modelled");
                let node = self.nodes[folder].entry(&from).expect("what came off was there");
                self.enter(folder, Entry::Rename(from, to, node));
            }
            (None, None) => {}
            _ => panic!("renaming into or out of the folder is not modelled: {from} to {to}"),
        }
    }

    fn change(&mut self, node: usize, change: Change) {
        if let Node::File { changes, .. } = &mut self.nodes[node] {
            changes.push((self.next, change));
            self.next += 1;
        }
    }

    fn enter(&mut self, folder: usize, entry: Entry) {
        if let Node::Folder { now, changes, .. } = &mut self.nodes[folder] {
            entry.apply(now);
            changes.push((self.next, entry));
            self.next += 1;
        }
    }

    /// The changes of a node whose calls have ended.
    fn done(&self, node: usize) -> Vec<u64> {
        self.nodes[node].orders().filter(|order| !self.unfinished.contains(order)).collect()
    }

    /// The part of a path below the root.
    fn below<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.root)?.strip_prefix('/')
    }

    /// The node at a path, as running programs see it.
    fn find(&self, path: &str) -> Option<usize> {
        if path == self.root {
            return Some(ROOT);
        }
        self.below(path)?.split('/').try_fold(ROOT, |node, name| self.nodes[node].entry(name))
    }

    /// The folder of a path, and its name there.
    fn place(&self, path: &str) -> Option<(usize, String)> {
        let (folder, name) = path.rsplit_once('/')?;
        Some((self.find(folder)?, name.to_owned()))
    }

    /// What a cut at this moment leaves.
    pub fn image(&self, fate: &mut Fate) -> Image {
        fate.begin(self.nodes.iter().flat_map(Node::orders).collect(), self.committed);
        let mut image = Image::new();
        self.collect(ROOT, Path::new(""), fate, &mut image);
        image
    }

    fn collect(&self, node: usize, path: &Path, fate: &mut Fate, image: &mut Image) {
        match &self.nodes[node] {
            Node::File { safe, changes } => drop(image.insert(path.to_owned(), Some(content(safe, changes, fate)))),
            Node::Folder { safe, changes, .. } => {
                let mut entries = safe.clone();
                for (_, entry) in changes.iter().filter(|(order, _)| fate.keeps_entry(*order)) {
                    entry.apply(&mut entries);
                }
                if node != ROOT {
                    image.insert(path.to_owned(), None);
                }
                for (name, node) in entries {
                    self.collect(node, &path.join(name), fate, image);
                }
            }
        }
    }

    /// What is not safe now, by path: content that has changed, and entries that are new or renamed. What was removed or
    /// cut off is not named: it may come back, as if the cut had been earlier.
    pub fn unsafe_now(&self) -> Vec<(String, &'static str)> {
        let mut found = Vec::new();
        self.look(ROOT, "", &mut found);
        found
    }

    fn look(&self, node: usize, path: &str, found: &mut Vec<(String, &'static str)>) {
        match &self.nodes[node] {
            Node::File { safe, changes } => {
                let cuts = |change: &Change| matches!(change, Change::Resize { bytes } if *bytes <= safe.len() as u64);
                if !changes.iter().all(|(_, change)| cuts(change)) {
                    found.push((path.to_owned(), "written, not synced"));
                }
            }
            Node::Folder { safe, now, .. } => {
                for (name, node) in now {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                    if safe.get(name) != Some(node) {
                        found.push((path.clone(), "made or renamed, its folder not synced"));
                    }
                    self.look(*node, &path, found);
                }
            }
        }
    }
}

fn folder() -> Node {
    Node::Folder { safe: BTreeMap::new(), now: BTreeMap::new(), changes: Vec::new() }
}

impl Node {
    fn entry(&self, name: &str) -> Option<usize> {
        match self {
            Self::Folder { now, .. } => now.get(name).copied(),
            Self::File { .. } => None,
        }
    }

    /// The length of a file, as running programs see it.
    fn length(&self) -> u64 {
        let Self::File { safe, changes } = self else { return 0 };
        changes.iter().fold(safe.len() as u64, |length, (_, change)| match change {
            Change::Write { at, bytes } => length.max(at + bytes.len() as u64),
            Change::Resize { bytes } => *bytes,
        })
    }

    fn orders(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        match self {
            Self::File { changes, .. } => Box::new(changes.iter().map(|(order, _)| *order)),
            Self::Folder { changes, .. } => Box::new(changes.iter().map(|(order, _)| *order)),
        }
    }

    /// Returns the newest entry or length among what became safe.
    fn make_safe(&mut self, done: &[u64]) -> Option<u64> {
        match self {
            Self::File { safe, changes } => {
                let (now_safe, pending): (Vec<_>, _) = changes.drain(..).partition(|(order, _)| done.contains(order));
                *changes = pending;
                let before = safe.len() as u64;
                let lengthens = |change: &Change| match change {
                    Change::Resize { .. } => true,
                    Change::Write { at, bytes } => at + bytes.len() as u64 > before,
                };
                *safe = content(safe, &now_safe, &mut Fate::kept());
                now_safe.iter().filter(|(_, change)| lengthens(change)).map(|(order, _)| *order).max()
            }
            Self::Folder { safe, changes, .. } => {
                for (_, entry) in changes.iter().filter(|(order, _)| done.contains(order)) {
                    entry.apply(safe);
                }
                changes.retain(|(order, _)| !done.contains(order));
                done.iter().max().copied()
            }
        }
    }
}

/// A file's content after those of the changes that the fate keeps. What was not written reads as zeros.
fn content(safe: &[u8], changes: &[(u64, Change)], fate: &mut Fate) -> Vec<u8> {
    let length = |bytes: u64| usize::try_from(bytes).expect("it fitted into memory when it was written");
    let mut content = safe.to_vec();
    for (order, change) in changes {
        match change {
            Change::Resize { bytes } => {
                if fate.keeps_length(*order) {
                    content.resize(length(*bytes), 0);
                }
            }
            Change::Write { at, bytes } => {
                let at = length(*at);
                if at + bytes.len() > content.len() && fate.keeps_length(*order) {
                    content.resize(at + bytes.len(), 0);
                }
                for piece in fate.pieces(at, bytes.len()) {
                    // Beyond the length that was kept nothing can be read.
                    let end = piece.end.min(content.len());
                    if piece.start < end {
                        content[piece.start..end].copy_from_slice(&bytes[piece.start - at..end - at]);
                    }
                }
            }
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(text: &str) -> Disk {
        let trace = Trace::parse(text, "/p");
        let mut disk = Disk::new("/p");
        for step in &trace.steps {
            disk.step(&trace, *step);
        }
        disk
    }

    fn files(image: Image) -> Vec<(String, String)> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace('\0', "0");
        image.into_iter().filter_map(|(path, bytes)| Some((path.to_str()?.to_owned(), text(bytes?)))).collect()
    }

    fn file(path: &str, text: &str) -> (String, String) {
        (path.into(), text.into())
    }

    const WRITTEN: &str = r#"7 openat(AT_FDCWD</p>, "a", O_WRONLY|O_CREAT, 0600) = 3</p/a>
7 write(3</p/a>, "one", 3) = 3
7 fdatasync(3</p/a>) = 0
7 openat(AT_FDCWD</p>, "", O_RDONLY) = 4</p>
7 fsync(4</p>) = 0
7 write(3</p/a>, "two", 3) = 3
"#;

    #[test]
    fn a_cut_keeps_what_was_synced_and_perhaps_the_rest() {
        let disk = disk(WRITTEN);
        assert_eq!(files(disk.image(&mut Fate::lost())), [file("a", "one")]);
        assert_eq!(files(disk.image(&mut Fate::kept())), [file("a", "onetwo")]);
        let mut seen = BTreeSet::new();
        for seed in 0..100 {
            seen.extend(files(disk.image(&mut Fate::any(seed))));
        }
        let expected = [file("a", "one"), file("a", "one000"), file("a", "onetwo")];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_entry_is_safe_when_its_folder_is_synced_not_when_the_file_is() {
        let unsynced = WRITTEN.lines().take(3).collect::<Vec<_>>().join("\n");
        assert_eq!(files(disk(&unsynced).image(&mut Fate::lost())), []);
        assert_eq!(files(disk(&unsynced).image(&mut Fate::kept())), [file("a", "one")]);
    }

    #[test]
    fn a_rename_may_be_undone_but_not_by_half() {
        let disk = disk(&format!("{WRITTEN}7 fsync(3</p/a>) = 0\n7 rename(\"a\", \"b\") = 0\n"));
        assert_eq!(files(disk.image(&mut Fate::lost())), [file("a", "onetwo")]);
        assert_eq!(files(disk.image(&mut Fate::kept())), [file("b", "onetwo")]);
    }

    #[test]
    fn a_sync_covers_what_had_been_written_when_it_began() {
        let disk = disk(&format!(
            "{WRITTEN}7 fdatasync(3</p/a> <unfinished ...>\n8 pwrite64(3</p/a>, \"!\", 1, 6) = 1\n\
             7 <... fdatasync resumed>) = 0\n"
        ));
        assert_eq!(files(disk.image(&mut Fate::lost())), [file("a", "onetwo")]);
        assert_eq!(files(disk.image(&mut Fate::kept())), [file("a", "onetwo!")]);
    }

    #[test]
    fn big_writes_tear_at_sectors() {
        let mut disk = Disk::new("/p");
        disk.open("/p/a", true, false);
        let bytes = vec![b'x'; 2048];
        disk.change(1, Change::Write { at: 100, bytes });
        let torn = (0..200).map(|seed| disk.image(&mut Fate::any(seed)).remove(Path::new("a")).flatten());
        let torn = torn.flatten().any(|content| {
            let written = |sector: usize| content.get(sector * 512 + 200) == Some(&b'x');
            !written(1) && written(2) && !content[512..1024].contains(&b'x')
        });
        assert!(torn, "no write was torn");
    }
}
