//! What reading a file brought to light: faults, warnings, and which keys exist.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::Place;
use crate::config::fault::{Fault, Warning};
use crate::config::suggest::nearest;

/// Collects; shared by every section of one file.
pub(in crate::config) struct Findings {
    /// The offsets at which lines start, ascending.
    line_starts: Vec<usize>,
    found: RefCell<Found>,
}

#[derive(Default)]
struct Found {
    faults: Vec<Fault>,
    warnings: Vec<Warning>,
    unknown: Vec<UnknownKey>,
    /// The patterns of all keys asked for so far, and `pattern = "value"` for the values of a choice.
    accepted: BTreeSet<String>,
}

struct UnknownKey {
    key: String,
    place: Place,
    /// The keys its section was asked for.
    known: Vec<&'static str>,
}

impl Findings {
    pub fn new(text: &str) -> Self {
        let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { line_starts: std::iter::once(0).chain(after_newlines).collect(), found: RefCell::default() }
    }

    /// The line, from 1, of an offset in bytes.
    pub fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// The line of what stands at an offset below `place`; a preset's text has no lines that the operator sees.
    pub(super) fn line_below(&self, place: &Place, offset: usize) -> usize {
        if place.preset.is_some() { place.line } else { self.line(offset) }
    }

    /// The column, from 1 and in bytes, of an offset.
    pub fn column(&self, offset: usize) -> usize {
        // Line 1 starts at 0, so some line starts at or before any offset.
        let start = self.line_starts[self.line(offset) - 1];
        offset - start + 1
    }

    pub fn fault(&self, place: &Place, problem: impl Into<String>, mend: impl Into<String>) {
        self.fault_with_detail(place, problem, mend, String::new());
    }

    pub fn fault_with_detail(
        &self,
        place: &Place,
        problem: impl Into<String>,
        mend: impl Into<String>,
        detail: impl Into<String>,
    ) {
        let (path, line) = (place.path.clone(), Some(place.line));
        let mut problem = problem.into();
        if let Some(preset) = place.preset {
            problem.push_str(&format!(" (from preset {preset})"));
        }
        let fault = Fault { path, line, problem, mend: mend.into(), detail: detail.into() };
        self.found.borrow_mut().faults.push(fault);
    }

    pub fn warn(&self, place: &Place, text: impl Into<String>) {
        let warning = Warning { path: place.path.clone(), line: Some(place.line), text: text.into() };
        self.found.borrow_mut().warnings.push(warning);
    }

    /// Notes that a key exists, whether or not the file has it.
    pub(super) fn accept(&self, pattern: String) {
        self.found.borrow_mut().accepted.insert(pattern);
    }

    pub(super) fn unknown(&self, key: &str, place: Place, known: Vec<&'static str>) {
        self.found.borrow_mut().unknown.push(UnknownKey { key: key.to_owned(), place, known });
    }

    /// Every key and choice that was asked for, as patterns such as `source.<name>.auth.kind` and
    /// `source.<name>.auth.kind = "basic"`.
    #[cfg(test)]
    pub fn accepted(&self) -> BTreeSet<String> {
        self.found.borrow().accepted.clone()
    }

    /// Everything found, in the order of the file.
    pub fn into_parts(self) -> (Vec<Fault>, Vec<Warning>) {
        let Found { mut faults, mut warnings, unknown, accepted } = self.found.into_inner();
        faults.extend(unknown.into_iter().map(|key| key.into_fault(&accepted)));
        faults.sort_by_key(|fault| fault.line);
        warnings.sort_by_key(|warning| warning.line);
        (faults, warnings)
    }
}

impl UnknownKey {
    fn into_fault(self, accepted: &BTreeSet<String>) -> Fault {
        let mend = if let Some(meant) = nearest(&self.key, self.known.iter().copied()) {
            format!("did you mean {meant}?")
        } else if let Some(section) = self.home(accepted) {
            format!("it belongs in [{section}]")
        } else {
            format!("known here: {}", self.known.join(", "))
        };
        let problem = "no such key".to_owned();
        Fault { path: self.place.path, line: Some(self.place.line), problem, mend, detail: String::new() }
    }

    /// The one other section, below the same source or event, that has such a key.
    fn home(&self, accepted: &BTreeSet<String>) -> Option<String> {
        let mut names = self.place.path.split('.');
        let (kind, name) = (names.next()?, names.next()?);
        let below = format!("{kind}.<name>.");
        let mut homes = accepted.iter().filter_map(|pattern| {
            let (section, key) = pattern.strip_prefix(&below)?.rsplit_once('.')?;
            (key == self.key && !section.contains('<')).then(|| format!("{kind}.{name}.{section}"))
        });
        homes.next().filter(|_| homes.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_have_lines_and_columns() {
        let findings = Findings::new("ab\n\ncd");
        for (offset, line, column) in [(0, 1, 1), (2, 1, 3), (3, 2, 1), (4, 3, 1), (6, 3, 3)] {
            assert_eq!((findings.line(offset), findings.column(offset)), (line, column), "{offset}");
        }
    }

    #[test]
    fn faults_come_in_the_order_of_the_file() {
        let findings = Findings::new("");
        let place = |line| Place::default().key("k", line);
        findings.fault(&place(2), "b", "");
        findings.unknown("x", place(1), vec!["abc", "def"]);
        findings.warn(&place(3), "w");
        let (faults, warnings) = findings.into_parts();
        assert_eq!(
            faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["k: no such key; known here: abc, def", "k: b"]
        );
        assert_eq!(warnings.len(), 1);
    }
}
