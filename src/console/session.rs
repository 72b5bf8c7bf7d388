//! Who is signed in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::{CryptoError, PasswordHash, SHA256_LEN, fill_random, sha256};
use crate::store::{Operator, OperatorName};
use crate::time::UnixTime;

/// A session ends when nobody uses it so long (OWASP Session Management Cheat Sheet: 15 to 30 minutes where little is at
/// risk; the console only reads).
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// A session ends after so long, used or not: a working day.
pub(super) const ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(12 * 60 * 60);
/// Sessions at a time at most; the one that was used longest ago gives way.
const MAX_SESSIONS: usize = 256;
/// 256 random bits, which nobody guesses.
const ID_LEN: usize = 32;

/// The cookie's name where only TLS carries it: the prefix makes browsers refuse it from anywhere else (RFC 6265bis
/// section 4.1.3.2).
const COOKIE_UNDER_TLS: &str = "__Host-nitro-key-broker-console";
const COOKIE: &str = "nitro-key-broker-console";

/// The sessions, by the digest of their ids: what is in memory opens none.
#[derive(Default)]
pub(super) struct Sessions {
    by_digest: Mutex<HashMap<[u8; SHA256_LEN], Session>>,
}

/// Somebody who is signed in.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    pub operator: OperatorName,
    /// Of the password that they signed in with: with another one, the session is no more.
    pub password_hash: PasswordHash,
    created_at: UnixTime,
    used_at: UnixTime,
}

/// Whether a request shows that somebody is there; a page that refreshes itself shows nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Person,
    Page,
}

impl Sessions {
    /// Begins a session and yields its id, which only the cookie has.
    pub(super) fn begin(&self, operator: &Operator, now: UnixTime) -> Result<String, CryptoError> {
        let mut id = [0; ID_LEN];
        fill_random(&mut id)?;
        let id = URL_SAFE_NO_PAD.encode(id);
        let session = Session {
            operator: operator.name.clone(),
            password_hash: operator.password_hash.clone(),
            created_at: now,
            used_at: now,
        };
        self.with(|sessions| {
            sessions.retain(|_, session| session.is_valid(now));
            if sessions.len() >= MAX_SESSIONS
                && let Some(oldest) =
                    sessions.iter().min_by_key(|(_, session)| session.used_at).map(|(digest, _)| *digest)
            {
                sessions.remove(&oldest);
            }
            sessions.insert(digest(&id), session);
        });
        Ok(id)
    }

    /// The session of this id, if it has not ended by `now`.
    pub(super) fn find(&self, id: &str, activity: Activity, now: UnixTime) -> Option<Session> {
        self.with(|sessions| {
            let session = sessions.get_mut(&digest(id)).filter(|session| session.is_valid(now))?;
            if activity == Activity::Person {
                session.used_at = now;
            }
            Some(session.clone())
        })
    }

    /// Ends a session.
    pub(super) fn end(&self, id: &str) {
        self.with(|sessions| sessions.remove(&digest(id)));
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<[u8; SHA256_LEN], Session>) -> T) -> T {
        // A panic while the lock is held leaves at worst a session out.
        look(&mut self.by_digest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Session {
    fn is_valid(&self, now: UnixTime) -> bool {
        now < self.used_at.saturating_add(IDLE_TIMEOUT)
            && now < self.created_at.saturating_add(ABSOLUTE_TIMEOUT)
    }
}

fn digest(id: &str) -> [u8; SHA256_LEN] {
    sha256(&[id.as_bytes()])
}

/// The cookie's name on this kind of connection.
pub(super) const fn cookie_name(tls: bool) -> &'static str {
    if tls { COOKIE_UNDER_TLS } else { COOKIE }
}

/// `Set-Cookie` that gives the browser a session: gone with the browser's own, kept from scripts and other sites.
pub(super) fn set_cookie(id: &str, tls: bool) -> String {
    let secure = if tls { "; Secure" } else { "" };
    format!("{}={id}; Path=/; HttpOnly; SameSite=Strict{secure}", cookie_name(tls))
}

/// `Set-Cookie` that takes it away.
pub(super) fn clear_cookie(tls: bool) -> String {
    format!("{}; Max-Age=0", set_cookie("", tls))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str) -> Operator {
        let hash =
            "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        Operator {
            name: OperatorName::parse(name).unwrap(),
            password_hash: PasswordHash::parse(hash).unwrap(),
            created_at: UnixTime::from_secs(0),
        }
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    #[test]
    fn a_session_ends_when_idle_or_old_or_told_to() {
        let sessions = Sessions::default();
        let id = sessions.begin(&operator("alice"), at(0)).unwrap();
        assert_eq!(id.len(), 43);
        let found =
            |activity, now| sessions.find(&id, activity, at(now)).map(|session| session.operator.to_string());
        assert_eq!(found(Activity::Person, 1799).as_deref(), Some("alice"));
        assert_eq!(found(Activity::Person, 3598).as_deref(), Some("alice"));
        // A page that refreshes itself does not keep it alive.
        assert_eq!(found(Activity::Page, 5397).as_deref(), Some("alice"));
        assert_eq!(found(Activity::Page, 5398), None);

        let id = sessions.begin(&operator("alice"), at(0)).unwrap();
        let mut now = 0;
        while now + 1000 < 43_200 {
            now += 1000;
            assert!(sessions.find(&id, Activity::Person, at(now)).is_some(), "{now}");
        }
        assert!(sessions.find(&id, Activity::Person, at(43_200)).is_none());

        let id = sessions.begin(&operator("alice"), at(0)).unwrap();
        sessions.end(&id);
        assert!(sessions.find(&id, Activity::Person, at(1)).is_none());
        assert!(sessions.find("", Activity::Person, at(1)).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_the_longest_unused_gives_way() {
        let sessions = Sessions::default();
        let first = sessions.begin(&operator("first"), at(0)).unwrap();
        let second = sessions.begin(&operator("second"), at(1)).unwrap();
        assert!(sessions.find(&first, Activity::Person, at(2)).is_some());
        for _ in 0..MAX_SESSIONS - 1 {
            sessions.begin(&operator("other"), at(3)).unwrap();
        }
        assert!(sessions.find(&first, Activity::Person, at(4)).is_some());
        assert!(sessions.find(&second, Activity::Person, at(4)).is_none());
        assert_eq!(sessions.with(|sessions| sessions.len()), MAX_SESSIONS);
    }

    #[test]
    fn cookies_are_for_this_host_and_no_script() {
        assert_eq!(set_cookie("ID", false), "nitro-key-broker-console=ID; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(
            set_cookie("ID", true),
            "__Host-nitro-key-broker-console=ID; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(clear_cookie(true).ends_with("=; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=0"));
    }
}
