//! `[event.<name>.access]`: who may enter, and which pages; and its bounds, which events of the API share.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::read::{Item, Section, shown};
use crate::limits::{GROUP_NAME_BYTES_MAX, GROUPS_OF_PAGE_MAX, PAGES_OF_EVENT_MAX};
use crate::model::{Access, Admission, GroupKey, Page, PageName};

pub(super) fn read_access(mut section: Section<'_>) -> Option<Access> {
    let words = [("open", Admission::Open), ("restricted", Admission::Restricted)];
    let admission = section.choice("admission", &words, Admission::default());
    let mut pages = Some(BTreeMap::new());
    for (name, item) in section.section("pages").named() {
        let page = PageName::parse(name).map_err(|error| {
            item.fault(format!("no legal name (got {})", shown(name)), error.to_string());
        });
        match (pages.as_mut(), page, read_page(item.section())) {
            (Some(pages), Ok(name), Some(page)) => drop(pages.insert(name, page)),
            _ => pages = None,
        }
    }
    section.finish();
    Some(Access { admission: admission?, pages: pages? })
}

fn read_page(mut section: Section<'_>) -> Option<Page> {
    let groups = match section.optional("groups") {
        Some(item) => item.list_or_one().iter().map(read_group).collect::<Option<BTreeSet<_>>>().map(Some),
        None => Some(None),
    };
    section.finish();
    Some(Page { groups: groups? })
}

fn read_group(item: &Item<'_>) -> Option<GroupKey> {
    // Never `None` here: such a text is not empty.
    GroupKey::of(item.text()?)
}

/// What is out of its bounds: the path, what is wrong, what to write.
pub(super) fn access_objections(access: &Access) -> Vec<(String, String, String)> {
    let mut objections = Vec::new();
    let mut object = |path: String, problem: &str, mend: &str| {
        objections.push((path, problem.to_owned(), mend.to_owned()));
    };
    if access.pages.len() > PAGES_OF_EVENT_MAX {
        let problem = format!("more than {PAGES_OF_EVENT_MAX} pages");
        object("access.pages".to_owned(), &problem, "let several pages of the app share one of these");
    }
    for (name, page) in &access.pages {
        let Some(groups) = &page.groups else { continue };
        let path = format!("access.pages.{name}.groups");
        if groups.is_empty() {
            let mend = "name a group, or leave groups out to let in everybody who may enter the event";
            object(path, "no group, so that nobody could open the page", mend);
        } else if groups.len() > GROUPS_OF_PAGE_MAX {
            object(path, &format!("more than {GROUPS_OF_PAGE_MAX} groups"), "name fewer groups");
        } else if groups.iter().any(|group| group.as_str().len() > GROUP_NAME_BYTES_MAX) {
            object(path, &format!("a group has at most {GROUP_NAME_BYTES_MAX} bytes"), "shorten it");
        }
    }
    objections
}
