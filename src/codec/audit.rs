//! What the audit log holds.

use super::convert::millis;
use super::seal::{self, CodecError, Kind};
use super::v1;
use crate::model::{Actor, AuditAction, AuditEntry, TokenId};

pub fn encode_audit_entry(entry: &AuditEntry) -> Vec<u8> {
    let stored = v1::AuditEntry {
        at_ms: entry.at.as_millisecond(),
        token: match &entry.actor {
            Actor::CommandLine => None,
            Actor::Token { id: TokenId(id), name } => Some((*id, name)),
        },
        action: entry.action.as_str(),
        subject: &entry.subject,
        note: &entry.note,
    };
    seal::write(Kind::Audit, &stored)
}

pub fn decode_audit_entry(sealed: &[u8]) -> Result<AuditEntry, CodecError> {
    let stored: v1::AuditEntry<'_> = seal::read(Kind::Audit, sealed)?;
    let action = AuditAction::ALL.into_iter().find(|action| action.as_str() == stored.action);
    Ok(AuditEntry {
        at: millis(Kind::Audit, stored.at_ms)?,
        actor: match stored.token {
            None => Actor::CommandLine,
            Some((id, name)) => Actor::Token { id: TokenId(id), name: name.to_owned() },
        },
        action: action.ok_or_else(|| CodecError::malformed(Kind::Audit, "an unknown action"))?,
        subject: stored.subject.to_owned(),
        note: stored.note.to_owned(),
    })
}
