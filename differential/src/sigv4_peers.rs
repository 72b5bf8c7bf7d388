//! AWS's own signer of requests, and a published verifier of signatures, behind one line protocol.
//!
//! Each line of standard input is a request in JSON, each line of standard output its answer:
//!
//! ```text
//! {"sign": {"message": …, "credential": …, "place": "header"}}      → {"headers": [[name, value], …], "query": []}
//! {"sign": {"message": …, "credential": …, "place": {"query": 60}}} → {"headers": [], "query": [[name, value], …]}
//! {"verify": {"message": …, "credential": …, "now_secs": …}}        → {"accepted": true, "why": ""}
//! ```

use std::future::Future;
use std::io::{self, BufRead, Write};
use std::pin::pin;
use std::str::FromStr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use scratchstack_aws_signature::principal::User;
use scratchstack_aws_signature::{
    GetSigningKeyRequest, GetSigningKeyResponse, KSecretKey, NO_ADDITIONAL_SIGNED_HEADERS, SignatureOptions,
    service_for_signing_key_fn, sigv4_validate_request,
};
use serde::{Deserialize, Serialize};

fn main() -> io::Result<()> {
    let mut answers = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Request::Sign(request) => serde_json::to_string(&request.answer().map_err(invalid)?)?,
            Request::Verify(request) => serde_json::to_string(&request.answer().map_err(invalid)?)?,
        };
        writeln!(answers, "{answer}")?;
        answers.flush()?;
    }
    Ok(())
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    Sign(Sign),
    Verify(Verify),
}

/// An HTTP request; the body in hexadecimal.
#[derive(Deserialize)]
struct Message {
    method: String,
    path_and_query: String,
    headers: Vec<(String, String)>,
    body: String,
}

#[derive(Deserialize)]
struct Credential {
    access_key_id: String,
    secret: String,
    session_token: Option<String>,
    region: String,
    service: String,
}

#[derive(Deserialize)]
struct Sign {
    message: Message,
    credential: Credential,
    now_secs: u64,
    place: Place,
    /// Whether to put the body's hash into a header, too.
    content_sha256: bool,
}

/// Where the signature goes: into a header, or into the query for so many seconds.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Header,
    Query(u64),
}

/// What the signer adds.
#[derive(Serialize)]
struct Signed {
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

impl Sign {
    fn answer(&self) -> Result<Signed, String> {
        let Credential { access_key_id, secret, session_token, region, service } = &self.credential;
        let identity = Credentials::new(access_key_id, secret, session_token.clone(), None, "peer").into();
        let mut settings = SigningSettings::default();
        if self.content_sha256 {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        if let Place::Query(expires_secs) = self.place {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(expires_secs));
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(UNIX_EPOCH + Duration::from_secs(self.now_secs))
            .settings(settings)
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let body = hex::decode(&self.message.body).map_err(|error| error.to_string())?;
        // The signer takes the host of the URL when there is no header of that name; there always is one.
        let url = format!("https://unused{}", self.message.path_and_query);
        let headers = self.message.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let request = SignableRequest::new(&self.message.method, url, headers, SignableBody::Bytes(&body))
            .map_err(|error| error.to_string())?;
        let (instructions, _) = sign(request, &parameters).map_err(|error| error.to_string())?.into_parts();
        let (headers, query) = instructions.into_parts();
        Ok(Signed {
            headers: headers
                .iter()
                .map(|header| (header.name().to_owned(), header.value().to_owned()))
                .collect(),
            query: query.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect(),
        })
    }
}

#[derive(Deserialize)]
struct Verify {
    message: Message,
    credential: Credential,
    now_secs: u64,
}

#[derive(Serialize)]
struct Verdict {
    accepted: bool,
    why: String,
}

impl Verify {
    fn answer(&self) -> Result<Verdict, String> {
        let Message { method, path_and_query, headers, body } = &self.message;
        let mut request = http::Request::builder().method(method.as_str()).uri(path_and_query);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = hex::decode(body).map_err(|error| error.to_string())?;
        let request = match request.body(body) {
            Ok(request) => request,
            // No HTTP server would hand such a request on.
            Err(error) => return Ok(Verdict { accepted: false, why: error.to_string() }),
        };
        let now = chrono::DateTime::from_timestamp(
            i64::try_from(self.now_secs).map_err(|error| error.to_string())?,
            0,
        )
        .ok_or("no such time")?;
        let Credential { access_key_id, secret, session_token, region, service } = &self.credential;
        let (known_id, known_token) = (access_key_id.clone(), session_token.clone());
        let secret = KSecretKey::from_str(secret).map_err(|error| error.to_string())?;
        let signing_key = move |request: GetSigningKeyRequest| {
            let is_known =
                request.access_key() == known_id && request.session_token() == known_token.as_deref();
            let key = secret.to_ksigning(request.request_date(), request.region(), request.service());
            async move {
                if !is_known {
                    return Err("no such credential".into());
                }
                let user = User::new("aws", "111122223333", "/", "peer")?;
                Ok(GetSigningKeyResponse::builder().principal(user).signing_key(key).build()?)
            }
        };
        let mut signing_keys = service_for_signing_key_fn(signing_key);
        let validation = sigv4_validate_request(
            request,
            region,
            service,
            &mut signing_keys,
            now,
            &NO_ADDITIONAL_SIGNED_HEADERS,
            SignatureOptions::default(),
        );
        Ok(match ready(validation)? {
            Ok(_) => Verdict { accepted: true, why: String::new() },
            Err(error) => Verdict { accepted: false, why: error.to_string() },
        })
    }
}

/// The result of a future that waits for nothing.
fn ready<T>(future: impl Future<Output = T>) -> Result<T, String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Ok(result),
        Poll::Pending => Err("the verifier waits".to_owned()),
    }
}
