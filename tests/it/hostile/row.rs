//! A row of the table: how a source misbehaves, and what must come of it.

use std::sync::Arc;
use std::time::Duration;

use super::list;
use super::server::{Asked, Reply};
use super::tls::Certificate;

/// How the row's source is paged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paging {
    Page,
    /// By page, with the total that the source tells.
    Total,
    Cursor,
    NextUrl,
    Link,
}

impl Paging {
    pub const fn toml(self) -> &'static str {
        match self {
            Self::Page => "kind = \"page\"\nparam = \"page\"\nsize = 2",
            Self::Total => "kind = \"page\"\nparam = \"page\"\nsize = 2\ntotal = \".total\"",
            Self::Cursor => "kind = \"cursor\"\nquery = \"cursor\"\nfrom = \".next\"",
            Self::NextUrl => "kind = \"next_url\"\nfrom = \".next\"",
            Self::Link => "kind = \"link_header\"",
        }
    }
}

type Answer = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// How the source misbehaves.
#[derive(Clone)]
pub enum Malice {
    Answers(Answer),
    /// Does this on every connection, whatever is asked.
    Blind(Reply),
    Shut,
    /// Shows this instead of the good certificate.
    Certificate(Certificate),
    /// There has never been such a host.
    NoHost,
}

#[derive(Clone)]
pub enum Expected {
    Failed {
        reason: &'static str,
        message: &'static str,
        hint: &'static str,
    },
    /// So many `unchanged`, most often everybody, so many records skipped and rejected besides, nobody missing.
    Done {
        complete: bool,
        unchanged: u64,
        skip: u64,
        reject: u64,
    },
}

#[derive(Clone)]
pub struct Row {
    pub name: &'static str,
    pub paging: Paging,
    /// Lines of `[source.<name>.limits]`.
    pub limits: &'static str,
    pub tls: bool,
    pub malice: Malice,
    pub expected: Expected,
    /// What a failure's message begins with: page and place.
    pub place: &'static str,
    /// Requests that the run counts.
    pub requests: u64,
    /// Requests that the server saw, where they are not the same.
    pub asked: Option<usize>,
    pub last_given_up: bool,
    /// The least time between one request and the next, counted from 0.
    pub pauses: Vec<(usize, Duration)>,
    /// The source's own pause outlasts the run: the next run obeys it, and asks nothing.
    pub stays_closed: bool,
}

/// Tries of a row's source, if it does not say otherwise.
pub const TRIES: u64 = 3;

impl Row {
    fn new(name: &'static str, malice: Malice, expected: Expected) -> Self {
        Self {
            name,
            paging: Paging::Page,
            limits: "tries = 3",
            tls: false,
            malice,
            expected,
            place: "page 2: GET http://127.",
            requests: 0,
            asked: None,
            last_given_up: false,
            pauses: Vec::new(),
            stays_closed: false,
        }
    }

    /// Fails at once: the first page comes, tampered with, and then this. The message and the hint are parts.
    pub fn lasting(name: &'static str, reason: &'static str, message: &'static str, reply: Reply) -> Self {
        let answer = move |asked: &Asked| match asked.before {
            0 => list::tampered(name, Paging::Page),
            _ => reply.clone(),
        };
        Self::new(name, Malice::Answers(Arc::new(answer)), failed(reason, message)).requests(2)
    }

    /// Fails after all tries: the first page comes, tampered with, and then nothing but this.
    pub fn transient(name: &'static str, reason: &'static str, message: &'static str, reply: Reply) -> Self {
        Self::lasting(name, reason, message, reply).requests(1 + TRIES)
    }

    /// Fails on what the first page says already, so in all pagings.
    pub fn failing(
        name: &'static str,
        reason: &'static str,
        message: &'static str,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, Malice::Answers(Arc::new(answer)), failed(reason, message)).place("page ")
    }

    /// Fails before anything is answered.
    pub fn unanswered(name: &'static str, reason: &'static str, message: &'static str, malice: Malice) -> Self {
        Self::new(name, malice, failed(reason, message)).place("page 1: GET http")
    }

    /// Ends well, with everybody unchanged.
    pub fn done(name: &'static str, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let expected = Expected::Done { complete: true, unchanged: list::PEOPLE as u64, skip: 0, reject: 0 };
        Self::new(name, Malice::Answers(Arc::new(answer)), expected).requests(list::PAGES as u64)
    }

    /// Ends well: the second page is once answered like this before it comes.
    pub fn once(name: &'static str, reply: Reply) -> Self {
        let answer = move |asked: &Asked| match asked.before {
            1 => reply.clone(),
            _ => list::good(name, Paging::Page, asked),
        };
        Self::done(name, answer).requests(list::PAGES as u64 + 1)
    }

    pub fn paging(self, paging: Paging) -> Self {
        Self { paging, ..self }
    }

    pub fn limits(self, limits: &'static str) -> Self {
        Self { limits, ..self }
    }

    pub fn tls(self) -> Self {
        Self { tls: true, ..self }
    }

    pub fn place(self, place: &'static str) -> Self {
        Self { place, ..self }
    }

    pub fn requests(self, requests: u64) -> Self {
        Self { requests, ..self }
    }

    /// The last of the requests was foreseen, wrongly, and given up: it may have come or not.
    pub fn last_given_up(self) -> Self {
        Self { last_given_up: true, ..self }
    }

    pub fn asked(self, asked: usize) -> Self {
        Self { asked: Some(asked), ..self }
    }

    /// The request after the one of this number comes no sooner.
    pub fn pause(mut self, after: usize, pause: Duration) -> Self {
        self.pauses.push((after, pause));
        self
    }

    pub fn stays_closed(self) -> Self {
        Self { stays_closed: true, ..self }
    }

    /// Part of a failure's hint.
    pub fn hint(mut self, part: &'static str) -> Self {
        if let Expected::Failed { hint, .. } = &mut self.expected {
            *hint = part;
        }
        self
    }

    pub fn incomplete(mut self) -> Self {
        if let Expected::Done { complete, .. } = &mut self.expected {
            *complete = false;
        }
        self
    }

    pub fn unchanged(mut self, people: u64) -> Self {
        if let Expected::Done { unchanged, .. } = &mut self.expected {
            *unchanged = people;
        }
        self
    }

    pub fn skips(mut self, records: u64) -> Self {
        if let Expected::Done { skip, .. } = &mut self.expected {
            *skip = records;
        }
        self
    }

    pub fn rejects(mut self, records: u64) -> Self {
        if let Expected::Done { reject, .. } = &mut self.expected {
            *reject = records;
        }
        self
    }
}

const fn failed(reason: &'static str, message: &'static str) -> Expected {
    Expected::Failed { reason, message, hint: "" }
}
