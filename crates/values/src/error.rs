//! What can be wrong with a value.

/// Why a value has no other form. It names the type, never the value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// The text is in no form a server prints for the type. The server's fault, or ours.
    #[error("the text is in no form that PostgreSQL prints for type {ty}")]
    Text {
        /// The type's name.
        ty: String,
    },
    /// The value is well formed and too large for the type. The sender's fault.
    #[error("value out of range for type {ty}")]
    OutOfRange {
        /// The type's name.
        ty: String,
    },
    /// The bytes are not the binary form of the type. The sender's fault.
    #[error("incorrect binary data for type {ty}: {reason}")]
    Binary {
        /// The type's name.
        ty: String,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The binary form is an OID, and the text a name: it is in the server's catalog.
    #[error("the OID behind a name of type {ty} is known to the server alone")]
    Lookup {
        /// The type's name.
        ty: String,
    },
    /// PostgreSQL has no binary form of the type, or one that its text does not tell.
    #[error("no binary form is available for type {ty}")]
    NoBinary {
        /// The type's name.
        ty: String,
    },
    /// What the type is made of is not said: a `record` without fields, an `anyarray`.
    #[error("what type {ty} is made of is not known")]
    Undescribed {
        /// The type's name.
        ty: String,
    },
    /// The value's text would be larger than [`crate::Type::MAX_TEXT`]. The sender's fault.
    #[error("the text of a value of type {ty} would be too long")]
    TooLong {
        /// The type's name.
        ty: String,
    },
}

impl ValueError {
    /// The code PostgreSQL reports in the same case.
    ///
    /// Source: "`PostgreSQL` Error Codes" in the documentation.
    pub const fn sql_state(&self) -> &'static str {
        match self {
            Self::Text { .. } => "22P02",
            Self::OutOfRange { .. } => "22003",
            Self::Binary { .. } => "22P03",
            Self::Lookup { .. } | Self::Undescribed { .. } => "0A000",
            Self::NoBinary { .. } => "42883",
            Self::TooLong { .. } => "54000",
        }
    }
}

/// A [`ValueError`] before anybody has said of which type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Text,
    OutOfRange,
    Binary(&'static str),
    Lookup,
    NoBinary,
    Undescribed,
    TooLong,
}

impl Fault {
    pub(crate) const SHORT: Self = Self::Binary("it ends too early");

    pub(crate) fn of(self, ty: &str) -> ValueError {
        let ty = ty.to_owned();
        match self {
            Self::Text => ValueError::Text { ty },
            Self::OutOfRange => ValueError::OutOfRange { ty },
            Self::Binary(reason) => ValueError::Binary { ty, reason },
            Self::Lookup => ValueError::Lookup { ty },
            Self::NoBinary => ValueError::NoBinary { ty },
            Self::Undescribed => ValueError::Undescribed { ty },
            Self::TooLong => ValueError::TooLong { ty },
        }
    }
}
