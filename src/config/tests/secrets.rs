//! Where secrets come from, and that they stay secret.

use std::fs;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::*;

const CANARY: &str = "canary-7f3a";
const BEARER: &str = "source.crm.auth: kind = \"bearer\"";

/// A folder with a configuration whose token is `token`, and with the secrets `good`, `empty` and `binary`.
fn folder(token: &str, mode: u32) -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("rollcall.toml");
    fs::write(&config, edited(&[BEARER, &format!("source.crm.auth: token = {token}")])).expect("written");
    fs::set_permissions(&config, fs::Permissions::from_mode(mode)).expect("chmod");
    fs::write(folder.path().join("good"), format!("{CANARY}\r\n")).expect("written");
    fs::write(folder.path().join("empty"), "\n").expect("written");
    fs::write(folder.path().join("binary"), b"\xff\xfe").expect("written");
    fs::write(folder.path().join("lines"), format!("{CANARY}\n{CANARY}")).expect("written");
    fs::write(folder.path().join("huge"), CANARY.repeat(6000)).expect("written");
    folder
}

/// Loads it: the token, or the faults with the folder's path as `DIR`.
fn load(token: &str, mode: u32) -> Result<String, String> {
    let folder = folder(token, mode);
    let path = folder.path().display().to_string();
    let environment =
        Environment::from_iter([("TOKEN", CANARY), ("EMPTY", ""), ("CREDENTIALS_DIRECTORY", path.as_str())]);
    match Config::load(&folder.path().join("rollcall.toml"), &environment) {
        Ok((config, _)) => {
            assert!(!format!("{config:?}").contains(CANARY), "a secret is in Debug");
            match &config.sources.values().next().expect("there is one source").auth {
                AuthSpec::Bearer { token } => Ok(token.expose_secret().to_owned()),
                other => panic!("{other:?}"),
            }
        }
        Err(error) => {
            let text = format!("{error}\n{error:?}");
            assert!(!text.contains(CANARY), "a secret is in an error: {text}");
            Err(error.to_string().replace(&path, "DIR"))
        }
    }
}

#[test]
fn secrets_are_found() {
    for token in ["{ env = \"TOKEN\" }", "{ file = \"good\" }", "{ credential = \"good\" }"] {
        assert_eq!(load(token, 0o644), Ok(CANARY.to_owned()), "{token}");
    }
    let elsewhere = folder("1", 0o600);
    let token = format!("{{ file = {:?} }}", elsewhere.path().join("good"));
    assert_eq!(load(&token, 0o644), Ok(CANARY.to_owned()), "an absolute path");
    for mode in [0o600, 0o400] {
        assert_eq!(load(&format!("{CANARY:?}"), mode), Ok(CANARY.to_owned()), "{mode:o}");
    }
}

#[test]
fn secrets_that_are_not_found_say_where_they_were_sought() {
    let forms =
        "write { env = \"NAME\" }, { file = \"path\" } or { credential = \"name\" } (systemd's LoadCredential=)";
    let readable = "check the path, and that rollcall's user may read it";
    for (token, expected) in [
        ("{ env = \"NOPE\" }", ".env: the environment variable \"NOPE\" is not set; set it where rollcall is started"),
        ("{ env = \"EMPTY\" }", ".env: the secret found there is empty; put the secret there"),
        ("{ file = \"empty\" }", ".file: the secret found there is empty; put the secret there"),
        (
            "{ file = \"nope\" }",
            &format!(".file: cannot read the secret from DIR/nope: No such file or directory (os error 2); {readable}"),
        ),
        (
            "{ credential = \"nope\" }",
            &format!(
                ".credential: cannot read the secret from DIR/nope: No such file or directory (os error 2); {readable}"
            ),
        ),
        (
            "{ file = \"binary\" }",
            &format!(".file: cannot read the secret from DIR/binary: stream did not contain valid UTF-8; {readable}"),
        ),
        (
            "{ file = \"huge\" }",
            &format!(".file: cannot read the secret from DIR/huge: it is longer than 65536 bytes; {readable}"),
        ),
        (
            "{ file = \"lines\" }",
            ": the secret holds characters that no header can carry; check that it is one line of plain ASCII",
        ),
        (
            "{ credential = \"../good\" }",
            ".credential: must be the name of a credential, not a path (got \"../good\"); use { file = … } for a path",
        ),
        ("{}", &format!(": must name exactly one of env, file and credential; {forms}")),
        ("{ env = \"A\", file = \"b\" }", &format!(": must name exactly one of env, file and credential; {forms}")),
        ("4", ": must be a table (got a number); write its keys in braces or under a header in brackets"),
    ] {
        assert_eq!(load(token, 0o600), Err(format!("DIR/rollcall.toml:16: source.crm.auth.token{expected}")));
    }
}

#[test]
fn a_secret_in_a_file_that_others_may_read_is_a_fault() {
    let expected = "DIR/rollcall.toml:16: source.crm.auth.token: a secret stands in a file that others may read; \
                    make the file private (chmod 600), or write { env = \"NAME\" }, { file = \"path\" } or \
                    { credential = \"name\" } (systemd's LoadCredential=)";
    for mode in [0o644, 0o640, 0o604, 0o660] {
        assert_eq!(load(&format!("{CANARY:?}"), mode), Err(expected.to_owned()), "{mode:o}");
    }
    assert!(
        parse(&edited(&[BEARER, &format!("source.crm.auth: token = {CANARY:?}")])).is_err(),
        "no file, not private"
    );
}

#[test]
fn without_systemd_there_are_no_credentials() {
    assert_eq!(
        faults(&[BEARER, "source.crm.auth: token = { credential = \"crm\" }"]),
        ["source.crm.auth.token.credential: no credential \"crm\": $CREDENTIALS_DIRECTORY is not set; \
          start rollcall by systemd with LoadCredential=, or use { env = … } or { file = … }"]
    );
}

#[test]
fn no_fault_shows_what_stands_where_secrets_may_stand() {
    for edits in [
        vec!["source.crm: base_url = \"https://canary-7f3a@crm.example/\""],
        vec!["source.crm: base_url = \"canary-7f3a\""],
        vec!["source.crm.request: headers = { Authorization = \"canary-7f3a\" }"],
        vec!["source.crm.request: headers = { X-K = \"canary-7f3a\\n\" }"],
        vec!["source.crm.request: query = { key = \"canary-7f3a{\" }"],
        vec!["source.crm.auth: token = \"canary-7f3a\""],
        vec![BEARER, "source.crm.auth: token = \"canary-7f3a\""],
        vec![BEARER, "source.crm.auth: token = [\"canary-7f3a\"]"],
        vec!["source.crm.auth: kind = \"basic\"", "source.crm.auth: username = \"ada:canary-7f3a\""],
        vec![BEARER, "source.crm.auth: token = \"canary-7f3a"],
    ] {
        let text = edited(&edits);
        let error = Config::parse(&text, Path::new("rollcall.toml"), &Environment::default()).expect_err("a fault");
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
}
