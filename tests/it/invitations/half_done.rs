//! Those who attend already are invited in several batches. Killed between any two steps on the disk, the next start invites
//! the rest, and nobody anew.

use std::collections::BTreeMap;
use std::path::Path;

use rollcall::limits::INVITED_PER_BATCH;
use rollcall::model::{EventName, Invitation, InvitationState, UserId};
use rollcall::store::Store;
use serde_json::json;

use super::post::{INVITATION, Place, Post, settings, with_mail};
use crate::by_hand::world::{World, record};
use crate::support::{Album, check_indexes};

/// So many are there when invitations are switched on: a batch and a bit.
const PEOPLE: u32 = INVITED_PER_BATCH as u32 + 7;
/// So many of them were invited before.
const INVITED: u32 = 3;

async fn bring(place: &Place, people: u32) {
    let records: Vec<_> = (1..=people).map(|n| record(n, &format!("p{n}"), json!({}))).collect();
    place.bring_records(&records).await;
}

async fn switch(place: &Place, enabled: bool) {
    place.world.put(INVITATION, settings(json!({"enabled": enabled, "existing": "invite"}))).await.good();
}

/// Who is invited to the gala.
fn invited(store: &Store) -> BTreeMap<UserId, Invitation> {
    let gala = EventName::parse("gala").unwrap();
    let people = store.users(None, usize::MAX).into_iter().map(|user| store.person(user).unwrap().unwrap());
    people.filter_map(|person| Some((person.id, person.invitation(&gala)?.clone()))).collect()
}

fn invited_at(data: &Path) -> BTreeMap<UserId, Invitation> {
    invited(&Store::open(data).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_step_the_rest_of_those_who_attend_are_invited_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let (album, faults) = Album::of(&folder);
    let post = Post::start().await;
    let place = Place::of(World::failing(folder, |config| with_mail(config, post.address), faults).await, post).await;
    bring(&place, INVITED).await;
    switch(&place, true).await;
    assert_eq!(place.send().await, u64::from(INVITED));
    switch(&place, false).await;
    bring(&place, PEOPLE).await;
    album.turn(true);
    switch(&place, true).await;
    album.turn(false);
    let Place { world, post } = place;
    drop(world);
    let (mut before, mut half_done) = (0, 0);
    for (number, image) in album.images().enumerate() {
        let what = format!("{} (no. {number})", image.what());
        let found = invited_at(&image.folder.path().join("data"));
        let world = World::failing(image.folder, |config| with_mail(config, post.address), Default::default()).await;
        let place = Place { world, post: post.clone() };
        let is_on = place.world.get(INVITATION).await["enabled"] == true;
        let after = invited(&place.world.appliance.app.store);
        assert!(found.iter().all(|(user, known)| after.get(user) == Some(known)), "{what}: somebody is invited anew");
        let waiting = after.values().filter(|known| known.state == InvitationState::Queued).count();
        let expected = if is_on { PEOPLE - INVITED } else { 0 };
        assert_eq!((waiting, after.len()), (expected as usize, (INVITED + expected) as usize), "{what}");
        before += u32::from(!is_on);
        half_done += u32::from(found.len() > INVITED as usize && found.len() < PEOPLE as usize);
        check_indexes(&place.world.appliance.app.store, &["gala", "e", "f"]);
    }
    assert!(before > 0 && half_done > 5, "{before} images are of before, {half_done} of half-way");
}
