//! Somebody signs out: their tokens are revoked where the provider offers that (RFC 7009), and forgotten. Their profile stays.

use super::denial::Denial;
use super::logins::Logins;
use super::tokens::Tokens;
use crate::model::{Actor, AuditAction, AuditEntry, Person, SignIn, SourceName};
use crate::store::{ChangeSet, SignInChange, SignInWrite};

/// What came of signing out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedOut {
    /// The provider said that the tokens are good no more.
    pub is_revoked: bool,
}

impl Logins {
    /// Signs a person out of a source; `None` where they are not signed in. Their tokens are forgotten whatever the provider
    /// says.
    pub async fn sign_out(
        &self,
        source: &SourceName,
        person: &Person,
        actor: Actor,
    ) -> Result<Option<SignedOut>, Denial> {
        let sign_ins = self.sign_ins_of(source, person)?;
        if sign_ins.is_empty() {
            return Ok(None);
        }
        let forget = |sign_in: &SignIn| SignInWrite {
            source: source.clone(),
            external_id: sign_in.external_id.clone(),
            change: SignInChange::Forget,
        };
        let note = format!("from {source}");
        let (at, subject) = (self.inner.clock.now(), person.id.to_string());
        let audit = vec![AuditEntry { at, actor, action: AuditAction::SignedOut, subject, note }];
        let writes = sign_ins.iter().map(forget).collect();
        // Before the provider is asked: whoever signs out is out, whether it answers or not.
        self.inner.store.commit_async(ChangeSet { sign_ins: writes, audit, ..ChangeSet::default() }).await?;
        let mut is_revoked = true;
        for sign_in in &sign_ins {
            is_revoked &= self.revoke(source, sign_in).await;
        }
        Ok(Some(SignedOut { is_revoked }))
    }

    async fn revoke(&self, source: &SourceName, sign_in: &SignIn) -> bool {
        let sealed = sign_in.tokens.as_deref();
        let tokens = sealed.and_then(|sealed| Tokens::open(&self.inner.store, source, &sign_in.external_id, sealed));
        let (Some(tokens), Ok(identity)) = (tokens, self.identity(source)) else { return false };
        match identity.revoke(tokens.refresh.as_ref().unwrap_or(&tokens.access)).await {
            Ok(is_revoked) => is_revoked,
            Err(error) => {
                // It is told there.
                let _ = self.of_identity(source, error);
                false
            }
        }
    }
}
