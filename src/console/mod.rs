//! Pages for a security team: what was decided and why, by which keys and policies, and whether a document would be
//! believed.
//!
//! The console reads the store and the audit log, and writes neither. Operators sign in; what they get is whole without
//! scripts, and what scripts add is the console's own. It knows no more of the transport than [`crate::server`] tells:
//! limits, timeouts and TLS are that module's.
//!
//! ```text
//! ReceivedRequest ─► request: host, origin, parameters ─► session ─► one file a page ─► response: its headers
//! ```

mod audit;
mod chart;
mod enclaves;
mod filter;
mod follow;
mod inspector;
mod integrity;
mod key;
mod key_access;
mod keys;
mod ledger;
mod names;
mod overview;
mod page;
mod parts;
mod policy_text;
mod record;
mod request;
mod response;
mod session;
mod sign_in;
mod simulator;
mod throttle;

use std::path::PathBuf;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use maud::{Markup, html};
use tokio::sync::Semaphore;

use crate::attestation::{Requirements, TrustAnchors};
use crate::audit::reader::ReadError;
use crate::crypto::CryptoError;
use crate::keys::Realm;
use crate::policy::FactError;
use crate::server::{BodyError, Handler, Limits, ReceivedRequest, Response};
use crate::signed_note::NoteVerifier;
use crate::store::{Store, StoreError};
use crate::time::UnixTime;

use ledger::Ledger;
use page::{MAIN, Section};
use request::{Parameters, Request, Unacceptable};
use session::{Activity, Session, Sessions};
use throttle::Throttle;

pub use sign_in::{MAX_PASSWORD_LEN, MIN_PASSWORD_LEN};

const STYLE: &str = include_str!("assets/console.css");
const SCRIPT: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

/// What the console shows.
pub struct ConsoleSources {
    /// Keys, grants, policies and operators.
    pub store: Arc<dyn Store>,
    /// The roots that documents are judged under.
    pub trust_anchors: TrustAnchors,
    /// What documents are judged by.
    pub requirements: Requirements,
    /// The audit log that a broker writes.
    pub audit_log: PathBuf,
    /// By which its checkpoints are signed, where that is known.
    pub checkpoint_key: Option<NoteVerifier>,
    /// The time.
    pub clock: Arc<dyn Fn() -> UnixTime + Send + Sync>,
}

/// The console. It answers whatever [`crate::server`] brings.
pub struct Console {
    store: Arc<dyn Store>,
    realm: Realm,
    trust_anchors: TrustAnchors,
    requirements: Requirements,
    clock: Arc<dyn Fn() -> UnixTime + Send + Sync>,
    audit_log: PathBuf,
    ledger: Arc<Ledger>,
    /// What is set for development, to be said on every page.
    development: Vec<String>,
    sessions: Sessions,
    throttle: Throttle,
    hashing: Semaphore,
}

/// Why there is no console.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit log is read by a thread of its own.
    #[error("no thread to read the audit log: {0}")]
    Thread(std::io::Error),
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A primitive failed.
    #[error(transparent)]
    Crypto(CryptoError),
    /// The audit log cannot be read.
    #[error("the audit log cannot be read: {0}")]
    Log(#[from] ReadError),
    /// A key or a record has a value that no condition could be asked about.
    #[error("no question about the key: {0}")]
    Facts(FactError),
    /// A task of its own did not finish.
    #[error("a task did not finish")]
    Stopped,
}

/// A request of somebody who is signed in.
struct Visit<'v> {
    console: &'v Console,
    request: &'v Request,
    session: Session,
    now: UnixTime,
}

impl Console {
    /// A console over these sources.
    ///
    /// # Errors
    /// When the store fails, or there is no thread to read the audit log.
    pub async fn new(sources: ConsoleSources) -> Result<Self, ConsoleError> {
        let ConsoleSources { store, trust_anchors, requirements, audit_log, checkpoint_key, clock } = sources;
        Ok(Self {
            realm: store.realm().await?,
            development: development(&trust_anchors, &requirements),
            ledger: Ledger::start(&audit_log, checkpoint_key).map_err(ConsoleError::Thread)?,
            audit_log,
            store,
            trust_anchors,
            requirements,
            clock,
            sessions: Sessions::default(),
            throttle: Throttle::default(),
            hashing: Semaphore::new(sign_in::MAX_HASHING),
        })
    }

    /// What the console takes from clients: a document in a form, few people.
    pub fn limits() -> Limits {
        Limits {
            max_connections: 64,
            // A document of 262,144 bytes in base64, some of whose characters a form writes as three.
            max_body_bytes: 512 * 1024,
            ..Limits::default()
        }
    }

    fn now(&self) -> UnixTime {
        (self.clock)()
    }

    async fn answer(&self, request: &Request, form: &Parameters) -> Result<Response, Failure> {
        let is_reading = [Method::GET, Method::HEAD].contains(&request.method);
        match (request.path.as_str(), is_reading, &request.method) {
            ("/assets/console.css", true, _) => return Ok(response::asset("text/css; charset=utf-8", STYLE)),
            ("/assets/console.js", true, _) => {
                return Ok(response::asset("text/javascript; charset=utf-8", SCRIPT));
            }
            ("/assets/icon.svg", true, _) => return Ok(response::asset("image/svg+xml", ICON)),
            ("/sign-in", true, _) => return self.sign_in_page(request).await,
            ("/sign-in", _, &Method::POST) => return self.sign_in(request, form).await,
            ("/sign-out", _, &Method::POST) => return Ok(self.sign_out(request)),
            _ => {}
        }
        let live = request.path.strip_prefix("/live");
        let activity = if live.is_some() { Activity::Page } else { Activity::Person };
        let Some(session) = self.session(request, activity).await? else {
            return Ok(match live {
                Some(_) => response::text(StatusCode::UNAUTHORIZED, "The session has ended.".to_owned()),
                None => response::see_other("/sign-in"),
            });
        };
        let visit = Visit { console: self, request, session, now: self.now() };
        visit.answer(is_reading, live, form).await
    }

    fn refuse(&self, unacceptable: Unacceptable) -> Response {
        let status = match unacceptable {
            Unacceptable::Host => StatusCode::MISDIRECTED_REQUEST,
            Unacceptable::CrossSite => StatusCode::FORBIDDEN,
            Unacceptable::Body(BodyError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Unacceptable::Body(BodyError::Timeout { .. }) => StatusCode::REQUEST_TIMEOUT,
            Unacceptable::Body(BodyError::Incomplete) | Unacceptable::Parameters => StatusCode::BAD_REQUEST,
        };
        response::text(status, format!("{unacceptable}\n"))
    }
}

impl Handler for Console {
    async fn handle(&self, received: ReceivedRequest) -> Response {
        let tls = received.peer.tls;
        let mut response = match Request::read(received) {
            Err(unacceptable) => self.refuse(unacceptable),
            Ok((request, form)) => self.answer(&request, &form).await.unwrap_or_else(|failure| {
                tracing::error!(path = request.path, error = %failure, "the console has no page");
                let markup = page::bare("Failed", message("This page cannot be shown", "The log says why."));
                response::page(StatusCode::INTERNAL_SERVER_ERROR, markup)
            }),
        };
        if tls {
            response::insist_on_tls(&mut response);
        }
        response
    }
}

impl Visit<'_> {
    async fn answer(
        &self,
        is_reading: bool,
        live: Option<&str>,
        form: &Parameters,
    ) -> Result<Response, Failure> {
        let path = live.unwrap_or(&self.request.path);
        let (first, rest) =
            path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        match (first, rest, is_reading) {
            ("", "", true) => self.overview_page(live.is_some()),
            ("enclaves", "", true) => self.enclaves_page().await,
            ("audit", "", true) => self.audit_page(live.is_some()).await,
            ("audit", event_id, true) => self.record_page(event_id).await,
            ("keys", "", true) => self.keys_page().await,
            ("keys", rest, true) => match rest.strip_suffix("/access") {
                Some(id) => self.key_access_page(id).await,
                None => self.key_page(rest).await,
            },
            ("inspector", "", true) => self.inspector_page().await,
            ("inspector", "", false) if self.request.method == Method::POST => self.inspect(form).await,
            (_, _, false) => Ok(self.not_allowed()),
            _ => Ok(self.not_found("There is no page of this name.")),
        }
    }

    fn not_allowed(&self) -> Response {
        let content = html! { h1 { "Not allowed" } p { "The console only reads." } };
        let page = self.page(StatusCode::METHOD_NOT_ALLOWED, Section::Overview, "Not allowed", &content);
        response::allow(page, "GET, HEAD")
    }

    fn page(&self, status: StatusCode, section: Section, title: &str, content: &Markup) -> Response {
        response::page(status, page::shell(self, section, title, content))
    }

    fn not_found(&self, what: &str) -> Response {
        let content = html! { h1 { "Not found" } p { (what) } };
        self.page(StatusCode::NOT_FOUND, Section::Overview, "Not found", &content)
    }
}

fn message(title: &str, text: &str) -> Markup {
    html! { main.sign-in id=(MAIN) { h1 { (title) } p { (text) } } }
}

/// What everybody who looks should know.
fn development(trust_anchors: &TrustAnchors, requirements: &Requirements) -> Vec<String> {
    let anchors = trust_anchors
        .configured()
        .map(|anchor| format!("evidence under {anchor} is accepted: whoever holds its key can forge it"));
    let debug = requirements.allow_debug.then(|| {
        "enclaves in debug mode are accepted: their parent instances can read their memory".to_owned()
    });
    anchors.chain(debug).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::audit::record::AuditRecord;
    use crate::time::UnixTime;

    /// A line of the log, of a request that was refused at this time.
    pub(super) fn record_line(event_id: &str, at: u64) -> Vec<u8> {
        line(event_id, "arn:aws:iam::111122223333:user/alice", at)
    }

    /// The record of a request of this principal.
    pub(super) fn record_by(principal: &str, at: u64) -> AuditRecord {
        AuditRecord::parse(&line("id", principal, at)).unwrap()
    }

    fn line(event_id: &str, principal: &str, at: u64) -> Vec<u8> {
        let key = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555";
        let record = json!({
            "eventVersion": "1.11",
            "userIdentity": {"type": "IAMUser", "arn": principal, "accountId": "111122223333"},
            "eventTime": UnixTime::from_secs(at).to_string(),
            "eventSource": "kms.amazonaws.com",
            "eventName": "Decrypt",
            "sourceIPAddress": "127.0.0.1",
            "userAgent": "test",
            "errorCode": "AccessDeniedException",
            "errorMessage": format!("User: {principal} is not authorized to perform: kms:Decrypt"),
            "requestParameters": null,
            "responseElements": null,
            "additionalEventData": {
                "recipient": {
                    "attestationDocumentModuleId": "i-0bee-enc0194",
                    "attestationDocumentEnclaveImageDigest": "ab".repeat(48),
                    "attestationDocumentTimestamp": UnixTime::from_secs(at).to_string(),
                    "attestationDocumentTrustAnchorSha256": "cd".repeat(32),
                },
                "decision": {"outcome": "denied", "reasons": ["Statement[0]: Condition PCR0 does not match"]},
            },
            "requestID": event_id,
            "eventID": event_id,
            "readOnly": true,
            "resources": [{"ARN": key}],
        });
        let mut line = record.to_string().into_bytes();
        line.push(b'\n');
        line
    }
}
