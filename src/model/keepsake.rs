//! What a source must not forget when the process ends.

/// One value of a source, put and taken as a whole. Its bytes are the source engine's own matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Keepsake {
    /// What its login gave: tokens, encrypted.
    Credential,
    /// Which of its allowance is used.
    Ledger,
}

impl Keepsake {
    pub const ALL: [Self; 2] = [Self::Credential, Self::Ledger];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Credential => "credential",
            Self::Ledger => "ledger",
        }
    }
}
