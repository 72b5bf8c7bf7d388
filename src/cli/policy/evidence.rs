//! The document of a described request: verified first, and worth nothing where it is not genuine.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::attestation::{self, Pcrs, Requirements, UnverifiedDocument};
use crate::cli::document::{read_document, trust_anchors};
use crate::cli::error::CliError;
use crate::time::UnixTime;

/// The document and how it is judged.
#[derive(Debug, Args)]
pub(in crate::cli) struct EvidenceOptions {
    /// The attestation document: a file, binary or base64, or - for standard input.
    #[arg(long, value_name = "DOC")]
    document: Option<PathBuf>,

    /// Judge the document under this root (PEM) instead of that of AWS.
    #[arg(long, value_name = "PEM")]
    root: Option<PathBuf>,

    /// How old the document may be.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    max_age: u64,

    /// Accept an enclave in debug mode.
    #[arg(long)]
    allow_debug: bool,

    /// Decide by what the document claims even if it is not genuine. The exit status is then never 0.
    #[arg(long, requires = "document")]
    unverified: bool,
}

/// What a document says, and what that is worth.
pub(in crate::cli) struct Evidence {
    pub(in crate::cli) pcrs: Vec<(u8, String)>,
    pub(in crate::cli) standing: Standing,
}

/// What a document is worth.
pub(in crate::cli) enum Standing {
    /// There is none.
    None,
    /// Every step of the verification passed, and an answer can be encrypted to it.
    Genuine { module_id: String },
    /// It was refused, and what follows is only what would be.
    Unverified { module_id: String, refused: String },
}

impl EvidenceOptions {
    /// Reads and verifies the document, if there is one.
    pub(in crate::cli) fn read(&self, at: UnixTime) -> Result<Evidence, CliError> {
        let Some(path) = &self.document else {
            return Ok(Evidence { pcrs: Vec::new(), standing: Standing::None });
        };
        let document = read_document(path)?;
        let requirements = Requirements {
            max_age: Duration::from_secs(self.max_age),
            allow_debug: self.allow_debug,
            ..Requirements::default()
        };
        let anchors = trust_anchors(self.root.as_deref())?;
        let verified = attestation::verify(&document, &anchors, at, &requirements)
            .and_then(|evidence| evidence.recipient_key().map(|_| evidence));
        match verified {
            Ok(evidence) => Ok(Evidence {
                pcrs: shown(evidence.pcrs()),
                standing: Standing::Genuine { module_id: evidence.module_id().to_owned() },
            }),
            Err(error) => {
                let refused = format!("at the step {}: {error}", error.step().name());
                if !self.unverified {
                    return Err(CliError::failed(format!(
                        "nothing is decided, since the document is refused {refused}"
                    ))
                    .hint(
                        "pass --unverified to decide by what it claims, or --at to judge it at another time",
                    ));
                }
                let claims = UnverifiedDocument::parse(&document)
                    .map_err(|error| CliError::failed(format!("not an enclave's document: {error}")))?;
                Ok(Evidence {
                    pcrs: shown(claims.pcrs()),
                    standing: Standing::Unverified { module_id: claims.module_id().to_owned(), refused },
                })
            }
        }
    }
}

impl Standing {
    pub(in crate::cli) fn json(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Genuine { module_id } => json!({"genuine": true, "moduleId": module_id}),
            Self::Unverified { module_id, refused } => {
                json!({"genuine": false, "moduleId": module_id, "refused": refused})
            }
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none: the request is not attested"),
            Self::Genuine { module_id } => write!(f, "genuine, of {module_id}"),
            Self::Unverified { module_id, refused } => {
                write!(f, "NOT GENUINE, claims to be of {module_id}; refused {refused}")
            }
        }
    }
}

fn shown(pcrs: &Pcrs) -> Vec<(u8, String)> {
    pcrs.iter().map(|(index, pcr)| (index, pcr.to_hex())).collect()
}
