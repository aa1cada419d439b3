//! Sources with which people sign in.

use super::*;

/// Beside the smallest configuration, a source of logins.
const WITH_ISSUER: [&str; 9] = [
    "source.id: edit_url = \"https://id.example/account\"",
    "source.id.mapping: email = \".email\"",
    "source.id.mapping: first_name = \".given_name\"",
    "source.id.mapping: last_name = \".family_name\"",
    "source.id.login: issuer = \"https://id.example\"",
    "source.id.login: client_id = \"rollcall\"",
    "source.id.login: client_secret = { env = \"TOKEN\" }",
    "source.id.login: redirect_url = \"https://sync.example/v1/login/id/callback\"",
    "source.id.login: return_to = \"https://app.example/in\"",
];

const WITH_ENDPOINTS: [&str; 6] = [
    "source.id: base_url = \"https://id.example/\"",
    "source.id.request: path = \"me\"",
    "source.id.mapping: external_id = \".id\"",
    "source.id.login: -issuer",
    "source.id.login: authorization_url = \"https://id.example/authorize\"",
    "source.id.login: token_url = \"https://id.example/token\"",
];

fn with(edits: &[&str]) -> Result<SourceSpec, Vec<String>> {
    let edits: Vec<&str> = WITH_ISSUER.iter().chain(edits).copied().collect();
    match parse(&edited(&edits)) {
        Ok((config, _)) => Ok(SourceSpec::clone(&config.sources["id".to_owned().try_into().as_ref().unwrap()])),
        Err(faults) => Err(faults.into_iter().map(|fault| format!("{}: {}", fault.path, fault.problem)).collect()),
    }
}

#[test]
fn a_source_of_logins_has_sensible_defaults() {
    let source = with(&[]).unwrap();
    let spec = source.sign_in.as_deref().unwrap();
    assert!(matches!(&spec.provider, ProviderSpec::Issuer(issuer) if issuer == "https://id.example"), "to the letter");
    assert_eq!(spec.scopes, ["openid", "email", "profile", "offline_access"]);
    assert_eq!((spec.profile, spec.trust_email, spec.accept_opaque_tokens), (ProfileFrom::UserInfo, false, false));
    let minutes = |minutes: u64| std::time::Duration::from_secs(minutes * 60);
    assert_eq!((spec.min_interval, spec.refresh_every), (minutes(5), Some(minutes(24 * 60))));
    assert_eq!(source.request.base_url.as_str(), "https://id.example/");
    assert!(!format!("{spec:?}").contains("canary"), "a secret does not print");
    let never = with(&["source.id.login: refresh_every = \"never\""]).unwrap();
    assert_eq!(never.sign_in.unwrap().refresh_every, None);
}

#[test]
fn a_provider_without_openid_connect_is_known_by_its_endpoints() {
    let source = with(&WITH_ENDPOINTS).unwrap();
    let spec = source.sign_in.as_deref().unwrap();
    assert!(matches!(&spec.provider, ProviderSpec::Endpoints(_)) && spec.scopes.is_empty());
    assert_eq!(spec.profile, ProfileFrom::Request);
}

#[test]
fn every_fault_is_named() {
    for (edits, fault) in [
        (&["source.id.login: -client_id"][..], "source.id.login.client_id: missing"),
        (&["source.id.login: -return_to"], "source.id.login.return_to: missing"),
        (&["source.id.login: return_to = []"], "source.id.login.return_to: nobody could go anywhere"),
        (&["source.id.login: -issuer"], "source.id.login: the provider is known by its issuer, or by its endpoints"),
        (
            &["source.id.login: token_url = \"https://id.example/token\""],
            "source.id.login: the provider is known by its issuer, or by its endpoints",
        ),
        (
            &["source.id.login: revocation_url = \"https://id.example/revoke\""],
            "source.id.login.revocation_url: is found by the issuer",
        ),
        (
            &["source.id.login: issuer = \"http://id.example\""],
            "source.id.login.issuer: http would send people and keys unencrypted",
        ),
        (&["source.id.login: issuer = \"id.example\""], "source.id.login.issuer: must be an address"),
        (
            &["source.id.login: redirect_url = \"/v1/login/id/callback\""],
            "source.id.login.redirect_url: must be an address",
        ),
        (&["source.id.login: scope = \"email\""], "source.id.login.scope: must hold openid"),
        (
            &["source.id.login: params = { nonce = \"mine\" }"],
            "source.id.login.params.nonce: the parameter nonce is set by Rollcall itself",
        ),
        (
            &["source.id.login: redirect_url = \"https://sync.example/v1/login/other/callback\""],
            "source.id.login.redirect_url: must be the address of this source's callback, as browsers reach it",
        ),
        (
            &["source.id.login: redirect_url = \"https://sync.example/v1/login/id/callback?x=1\""],
            "source.id.login.redirect_url: must be the address of this source's callback, as browsers reach it",
        ),
        (
            &["source.id.login: return_to = [\"javascript:alert(1)\"]"],
            "source.id.login.return_to[0]: is no place to send people to (got \"javascript\")",
        ),
        (
            &["source.id.login: return_to = \"http://app.example/in\""],
            "source.id.login.return_to: http would send people and keys unencrypted",
        ),
        (
            &["source.id.login: return_to = \"https://app.example/in?next=x\""],
            "source.id.login.return_to: must not hold a query, fragment, username or password",
        ),
        (
            &["source.id.login: refresh_every = \"1s\""],
            "source.id.login.refresh_every: must be from 1m to 30d (got \"1s\")",
        ),
        (
            &["source.id: auth = { kind = \"none\" }"],
            "source.id.auth: is about lists, and a source with which people sign in has none",
        ),
        (
            &["source.id: pagination = { kind = \"page\", param = \"p\" }"],
            "source.id.pagination: is about lists, and a source with which people sign in has none",
        ),
        (
            &["source.id.states: removed_when = \".gone\""],
            "source.id.states: removed_when is about attendees, and who signs in becomes none by that",
        ),
        (
            &["source.id.mapping: badge_url = \".badge\""],
            "source.id.mapping: what belongs to an event is about attendees, and who signs in becomes none by that",
        ),
        (
            &["source.id.mapping: external_id = \".id\""],
            "source.id.mapping: external_id is the `sub` that the provider vouches for",
        ),
        (
            &["event.summit: feed = [{ source = \"crm\" }, { source = \"id\" }]"],
            "event.summit.feed[1].source: people sign in with the source id, which has no list",
        ),
    ] {
        let faults = with(edits).err().unwrap_or_else(|| panic!("{edits:?} is taken"));
        assert!(faults.iter().any(|found| found.starts_with(fault)), "{edits:?}: {faults:?}");
    }
    let without = |edit: &str| {
        let edits: Vec<&str> = WITH_ENDPOINTS.iter().copied().chain([edit]).collect();
        with(&edits).unwrap_err()
    };
    let faults = without("source.id.mapping: -external_id");
    assert!(faults[0].starts_with("source.id.mapping: a provider without `issuer`"), "{faults:?}");
    let faults = without("source.id.request: path = \"people/{param.id}\"");
    assert!(faults.iter().any(|fault| fault.starts_with("source.id.request: a profile is asked for")), "{faults:?}");
    let faults = with(&WITH_ENDPOINTS[3..]).unwrap_err();
    assert!(faults.iter().any(|fault| fault == "source.id.login: nothing says where profiles are"), "{faults:?}");
}
