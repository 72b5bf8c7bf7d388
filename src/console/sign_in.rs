//! Signing in and out.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderValue, RETRY_AFTER, SET_COOKIE};
use maud::{Markup, html};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::page::{self, MAIN};
use super::request::{Parameters, Request};
use super::response;
use super::session::{self, Activity, Session, clear_cookie, cookie_name, set_cookie};
use super::throttle::Subject;
use super::{Console, Failure};
use crate::crypto::verify_no_password;
use crate::server::Response;
use crate::store::{Operator, OperatorName};
use crate::text::shorten;

/// Bytes of a password at most: hashing a longer one only costs time.
pub const MAX_PASSWORD_LEN: usize = 1024;
/// Characters of a password at least, as it is the only factor (NIST SP 800-63B-4 section 3.1.1.2).
pub const MIN_PASSWORD_LEN: usize = 15;
/// Passwords that are hashed at a time at most, each in 64 MiB.
pub(super) const MAX_HASHING: usize = 2;
/// How long an attempt waits for its turn.
const MAX_WAIT_FOR_TURN: Duration = Duration::from_secs(10);

/// Why somebody is not signed in.
enum Refused {
    /// There is no such operator, or the password is another one. Which, is nobody's business.
    Wrong,
    /// Too many attempts failed.
    Wait(Duration),
    /// Too many passwords are being checked.
    Busy,
}

impl Console {
    /// The form, or the overview for whoever is signed in.
    pub(super) async fn sign_in_page(&self, request: &Request) -> Result<Response, Failure> {
        if self.session(request, Activity::Person).await?.is_some() {
            return Ok(response::see_other("/"));
        }
        Ok(response::page(StatusCode::OK, self.form("", None)))
    }

    /// Takes name and password, and begins a session.
    pub(super) async fn sign_in(&self, request: &Request, form: &Parameters) -> Result<Response, Failure> {
        let typed = form.get("name").trim();
        let password = Zeroizing::new(form.get("password").to_owned());
        let operator = match self.check_password(request, typed, password).await? {
            Ok(operator) => operator,
            Err(refused) => {
                let peer = &request.peer.address;
                tracing::warn!(name = %shorten(typed), %peer, reason = refused.reason(), "console sign-in refused");
                return Ok(self.refuse_sign_in(typed, &refused));
            }
        };
        let tls = request.peer.tls;
        // A session that the browser had before ends.
        if let Some(id) = request.cookie(cookie_name(tls)) {
            self.sessions.end(id);
        }
        let id = self.sessions.begin(&operator, self.now()).map_err(Failure::Crypto)?;
        tracing::info!(name = %operator.name, peer = %request.peer.address, "console sign-in");
        Ok(with_cookie(response::see_other("/"), &set_cookie(&id, tls)))
    }

    /// Ends the session, if there is one.
    pub(super) fn sign_out(&self, request: &Request) -> Response {
        let tls = request.peer.tls;
        if let Some(id) = request.cookie(cookie_name(tls)) {
            self.sessions.end(id);
            tracing::info!(peer = %request.peer.address, "console sign-out");
        }
        with_cookie(response::see_other("/sign-in"), &clear_cookie(tls))
    }

    /// Who sends this request. A session ends with its operator, and with their password.
    pub(super) async fn session(
        &self,
        request: &Request,
        activity: Activity,
    ) -> Result<Option<Session>, Failure> {
        let id = request.cookie(cookie_name(request.peer.tls));
        let Some(id) = id else { return Ok(None) };
        let Some(session) = self.sessions.find(id, activity, self.now()) else { return Ok(None) };
        let operator = self.store.find_operator(&session.operator).await?;
        if operator.is_some_and(|operator| operator.password_hash == session.password_hash) {
            Ok(Some(session))
        } else {
            self.sessions.end(id);
            Ok(None)
        }
    }

    /// The operator with this name and password. A name that is nobody's takes the same work, and counts the same.
    async fn check_password(
        &self,
        request: &Request,
        typed: &str,
        password: Zeroizing<String>,
    ) -> Result<Result<Operator, Refused>, Failure> {
        let subjects: Vec<Subject> =
            [Some(Subject::Name(shorten(typed))), request.address().map(Subject::Address)]
                .into_iter()
                .flatten()
                .collect();
        if let Err(wait) = self.throttle.begin(&subjects, self.now()) {
            return Ok(Err(Refused::Wait(wait)));
        }
        let operator = match OperatorName::parse(typed) {
            Ok(name) => self.store.find_operator(&name).await?,
            Err(_) => None,
        };
        let Ok(turn) = timeout(MAX_WAIT_FOR_TURN, self.hashing.acquire()).await else {
            return Ok(Err(Refused::Busy));
        };
        let hash = operator.as_ref().map(|operator| operator.password_hash.clone());
        let is_right = tokio::task::spawn_blocking(move || {
            let password = password.get(..MAX_PASSWORD_LEN).unwrap_or(&password).as_bytes();
            match hash {
                Some(hash) => hash.verify(password),
                None => {
                    verify_no_password(password);
                    false
                }
            }
        })
        .await
        .unwrap_or(false);
        drop(turn);
        match operator.filter(|_| is_right) {
            Some(operator) => {
                self.throttle.succeeded(&subjects);
                Ok(Ok(operator))
            }
            None => Ok(Err(Refused::Wrong)),
        }
    }

    fn refuse_sign_in(&self, typed: &str, refused: &Refused) -> Response {
        let markup = self.form(typed, Some(&refused.message()));
        let mut response = response::page(refused.status(), markup);
        if let Refused::Wait(wait) = refused {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(*wait)));
        }
        response
    }

    fn form(&self, typed: &str, problem: Option<&str>) -> Markup {
        let minutes = session::IDLE_TIMEOUT.as_secs() / 60;
        page::bare(
            if problem.is_some() { "Sign-in refused" } else { "Sign in" },
            html! {
                main id=(MAIN) class="sign-in" tabindex="-1" {
                    (page::mark())
                    h1 { "Sign in" }
                    p.muted { "Account " (self.realm.account()) ", " (self.realm.region()) }
                    @if let Some(problem) = problem {
                        p.problem role="alert" id="problem" { (problem) }
                    }
                    form method="post" action="/sign-in" {
                        label for="name" { "Operator" }
                        input #name name="name" type="text" autocomplete="username" required maxlength="64"
                            autocapitalize="none" spellcheck="false" autofocus value=(typed)
                            aria-describedby=[problem.map(|_| "problem")];
                        label for="password" { "Password" }
                        input #password name="password" type="password" autocomplete="current-password" required
                            maxlength=(MAX_PASSWORD_LEN);
                        button.primary type="submit" { "Sign in" }
                    }
                    p.muted.small {
                        "A session ends after " (minutes) " minutes without use. Operators are added with "
                        code { "nitro-key-broker console operator add" } "."
                    }
                }
            },
        )
    }
}

impl Refused {
    fn reason(&self) -> &'static str {
        match self {
            Refused::Wrong => "wrong name or password",
            Refused::Wait(_) => "too many failures",
            Refused::Busy => "too many at a time",
        }
    }

    fn message(&self) -> String {
        match self {
            Refused::Wrong => "The name or the password is wrong.".to_owned(),
            Refused::Wait(wait) => {
                format!("Too many sign-ins failed. Try again in {} seconds.", seconds(*wait))
            }
            Refused::Busy => "Too many people sign in at the moment. Try again in a few seconds.".to_owned(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Refused::Wrong => StatusCode::UNAUTHORIZED,
            Refused::Wait(_) => StatusCode::TOO_MANY_REQUESTS,
            Refused::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Rounded up: whoever waits so long is not told to wait again.
fn seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}
