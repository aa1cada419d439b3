//! Is a hook the source's own? By its signature (HMAC-SHA256, RFC 2104) and its time, or by the secret in its path.
//!
//! Invariant: nothing is compared in a way whose time tells how much of it was right, and no secret is shown.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac as _};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::auth::Refusal;
use crate::config::{HookProof, SignatureSpec, SignatureText};
use crate::limits::HOOK_AGE_MAX;

/// Some leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A hook as it came.
pub struct Hook<'a> {
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// Where its path holds one.
    pub path_secret: Option<&'a str>,
}

/// Checks it at the time `now`, and gives what tells it from others.
pub fn check(proof: &HookProof, hook: &Hook<'_>, now: Timestamp) -> Result<[u8; 32], Refusal> {
    match (proof, hook.path_secret) {
        (HookProof::Signature(spec), None) => check_signature(spec, hook, now),
        (HookProof::Path(secret), Some(given)) => {
            // Digests, so that the lengths do not tell either.
            let (secret, given) = (Sha256::digest(secret.expose_secret()), Sha256::digest(given));
            if bool::from(secret.ct_eq(&given)) { Ok(Sha256::digest(hook.body).into()) } else { Err(Refusal::Unknown) }
        }
        (HookProof::Signature(_), Some(_)) => Err(Refusal::Unknown),
        (HookProof::Path(_), None) => Err(Refusal::Missing),
    }
}

fn check_signature(spec: &SignatureSpec, hook: &Hook<'_>, now: Timestamp) -> Result<[u8; 32], Refusal> {
    let header = |name: &str| hook.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let time = spec.timestamp_header.as_ref().map(|name| header(name).unwrap_or_default());
    let stamp = time.map(|time| format!("{time}.")).unwrap_or_default();
    let key = spec.secret.expose_secret().as_bytes();
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key length");
    let mac = mac.chain_update(&stamp).chain_update(hook.body);
    let given = header(&spec.header);
    let bytes = given.and_then(|given| given.strip_prefix(&spec.prefix)).and_then(|text| decoded(spec.text, text));
    // The same work is done where there is none.
    let is_signed = mac.verify_slice(&bytes.unwrap_or_default()).is_ok();
    if given.is_none() {
        return Err(Refusal::Missing);
    }
    if !is_signed || !time.is_none_or(|time| is_fresh(time, now)) {
        return Err(Refusal::Unknown);
    }
    Ok(Sha256::new().chain_update(&stamp).chain_update(hook.body).finalize().into())
}

/// Is this number of seconds since 1970 close to now?
fn is_fresh(time: &str, now: Timestamp) -> bool {
    let at = time.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.is_some_and(|at| now.duration_since(at).unsigned_abs() <= HOOK_AGE_MAX)
}

fn decoded(text: SignatureText, signature: &str) -> Option<Vec<u8>> {
    match text {
        SignatureText::Hex => unhex(signature),
        SignatureText::Base64 => BASE64.decode(signature).ok(),
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let (pairs, []) = digits.as_ref()?.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use secrecy::SecretString;

    use super::*;

    const BODY: &[u8] = b"{\"id\": 7}";
    /// `printf '{"id": 7}' | openssl dgst -sha256 -hmac secret`
    const HEX: &str = "562bbf422ae72a60078c14ec5b216efa4bc1708051c2af4bd495ed3b0c2009c6";

    fn signed(text: SignatureText, timestamp: bool, prefix: &str) -> HookProof {
        HookProof::Signature(SignatureSpec {
            secret: SecretString::from("secret"),
            header: "X-Signature".into(),
            timestamp_header: timestamp.then(|| "X-Time".into()),
            text,
            prefix: prefix.into(),
        })
    }

    fn checked(
        proof: &HookProof,
        headers: &[(&'static str, &str)],
        path_secret: Option<&str>,
    ) -> Result<[u8; 32], Refusal> {
        let header = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        let headers = headers.iter().map(header).collect();
        let hook = Hook { headers: &headers, body: BODY, path_secret };
        check(proof, &hook, Timestamp::from_second(1_000_000).unwrap())
    }

    fn mac(text: &str) -> Vec<u8> {
        Hmac::<Sha256>::new_from_slice(b"secret").unwrap().chain_update(text).finalize().into_bytes().to_vec()
    }

    #[test]
    fn the_body_is_signed_in_hex_or_base64() {
        let hex = signed(SignatureText::Hex, false, "sha256=");
        let base64 = signed(SignatureText::Base64, false, "");
        let padded = base64::engine::general_purpose::STANDARD.encode(unhex(HEX).unwrap());
        let (upper, bare) = (HEX.to_uppercase(), padded.trim_end_matches('='));
        for (proof, signature, good) in [
            (&hex, format!("sha256={HEX}"), true),
            (&hex, format!("sha256={upper}"), true),
            (&hex, HEX.to_owned(), false),
            (&hex, format!("sha256={}", &HEX[..62]), false),
            (&hex, format!("sha256={}0", &HEX[..63]), false),
            (&hex, "sha256=".into(), false),
            (&hex, "sha256=+1é".escape_default().to_string(), false),
            (&base64, padded.clone(), true),
            (&base64, bare.to_owned(), true),
            (&base64, HEX.to_owned(), false),
        ] {
            let found = checked(proof, &[("x-signature", &signature)], None);
            assert_eq!(found.is_ok(), good, "{signature}");
            assert_eq!(found.err(), (!good).then_some(Refusal::Unknown), "{signature}");
        }
        assert_eq!(checked(&hex, &[], None), Err(Refusal::Missing));
        assert_eq!(checked(&hex, &[], Some("secret")), Err(Refusal::Unknown), "a path proves nothing here");
    }

    #[test]
    fn a_time_is_signed_too_and_close_to_now() {
        let proof = signed(SignatureText::Hex, true, "");
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let body = std::str::from_utf8(BODY).unwrap();
        for (time, good) in [
            ("1000000", true),
            ("999700", true),
            ("1000300", true),
            ("999699", false),
            ("1000301", false),
            ("1000000.0", false),
            ("-9223372036854775808", false),
            ("", false),
        ] {
            let signature = hex(mac(&format!("{time}.{body}")));
            let found = checked(&proof, &[("x-signature", &signature), ("x-time", time)], None);
            assert_eq!(found.is_ok(), good, "{time:?}");
        }
        let other = hex(mac(&format!("1000001.{body}")));
        assert!(checked(&proof, &[("x-signature", &other), ("x-time", "1000000")], None).is_err(), "another's time");
        let bare = hex(mac(body));
        assert!(checked(&proof, &[("x-signature", &bare), ("x-time", "1000000")], None).is_err(), "an unsigned time");
        assert!(checked(&proof, &[("x-signature", &bare)], None).is_err(), "no time");
        let at = |time: &str| {
            let signature = hex(mac(&format!("{time}.{body}")));
            checked(&proof, &[("x-signature", &signature), ("x-time", time)], None).unwrap()
        };
        assert_ne!(at("1000000"), at("1000001"), "a body sent again later is another hook");
    }

    #[test]
    fn a_path_is_its_secret_or_not() {
        let proof = HookProof::Path(SecretString::from("0123456789abcdef"));
        assert!(checked(&proof, &[], Some("0123456789abcdef")).is_ok());
        for (given, refusal) in [
            (Some("0123456789abcdeF"), Refusal::Unknown),
            (Some("0123456789abcde"), Refusal::Unknown),
            (Some(""), Refusal::Unknown),
            (None, Refusal::Missing),
        ] {
            assert_eq!(checked(&proof, &[("x-signature", HEX)], given), Err(refusal), "{given:?}");
        }
    }
}
