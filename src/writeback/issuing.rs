//! Which events have login links, and what wants them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::SourceSpec;
use crate::model::{Digest, Event, EventName, FeedSettings, Issuing, SourceName, Target};

/// The events with login links.
pub fn issuing<'e>(
    events: impl IntoIterator<Item = &'e Event>,
    sources: &BTreeMap<SourceName, Arc<SourceSpec>>,
) -> BTreeMap<EventName, Issuing> {
    let of_event = |event: &Event| Some((event.name.clone(), of(event, sources)?));
    events.into_iter().filter_map(of_event).collect()
}

fn of(event: &Event, sources: &BTreeMap<SourceName, Arc<SourceSpec>>) -> Option<Issuing> {
    let links = event.links.as_ref()?;
    let targets = |feed: &FeedSettings| {
        let pushes = sources.get(&feed.source).map_or(&[][..], |spec| &spec.pushes).iter();
        let target = |push: &Arc<crate::config::PushSpec>| Target {
            source: feed.source.clone(),
            push: push.name.clone(),
            withdraw: push.withdraw,
        };
        pushes.map(target).collect::<Vec<_>>()
    };
    let link = Digest::seed(&[links.link.as_bytes(), &[u8::from(links.password_length > 0)]]);
    let targets = event.feeds.iter().flat_map(targets).collect();
    Some(Issuing { link, password_length: links.password_length, targets })
}
