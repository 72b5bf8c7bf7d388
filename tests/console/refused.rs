//! Requests that no page answers, without a browser: each route without a session, other hosts and sites, other methods.

use std::time::Duration;

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;

use crate::broker::client::{Answer, Client};
use crate::stage::{OPERATOR, PASSWORD, Stage};

const ROUTES: [&str; 10] = [
    "/",
    "/enclaves",
    "/keys",
    "/keys/11111111-2222-3333-4444-555555555555",
    "/keys/11111111-2222-3333-4444-555555555555/access",
    "/audit",
    "/audit/11111111-2222-3333-4444-555555555555",
    "/inspector",
    "/no-such-page",
    "/../../etc/passwd",
];

/// Headers that every answer has, whatever it is.
const HEADERS: [(&str, &str); 8] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("vary", "Cookie"),
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types console",
    ),
];

struct Visitor {
    client: Client,
    host: String,
}

impl Visitor {
    async fn come(stage: &Stage) -> Self {
        Self { client: Client::over_tcp(stage.address()).await, host: stage.address().to_string() }
    }

    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", &self.host);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.client.send(request.body(Full::new(Bytes::from(body.to_owned()))).unwrap()).await;
        for (name, value) in HEADERS {
            assert_eq!(answer.header(name), value, "{method} {path}");
        }
        answer
    }

    /// The cookie of a new session.
    async fn sign_in(&mut self) -> String {
        let form = format!("name={OPERATOR}&password={}", PASSWORD.replace(' ', "+"));
        let answer = self.send("POST", "/sign-in", &[("sec-fetch-site", "same-origin")], &form).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"));
        answer.header("set-cookie").split(';').next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn no_route_answers_without_a_session() {
    let mut stage = Stage::set().await;
    stage.serve_one(true).await;
    let mut visitor = Visitor::come(&stage).await;
    for cookie in ["", "nitro-key-broker-console=", "nitro-key-broker-console=AAAA", "other=1"] {
        for path in ROUTES {
            for method in ["GET", "HEAD"] {
                let answer = visitor.send(method, path, &[("cookie", cookie)], "").await;
                assert_eq!((answer.status, answer.header("location")), (303, "/sign-in"), "{method} {path}");
                assert!(answer.body.is_empty());
            }
            let live = visitor.send("GET", &format!("/live{path}"), &[("cookie", cookie)], "").await;
            assert_eq!((live.status, &live.body[..]), (401, &b"The session has ended."[..]), "{path}");
        }
        let same = [("cookie", cookie), ("sec-fetch-site", "same-origin")];
        let answer = visitor.send("POST", "/inspector", &same, "document=x").await;
        assert_eq!((answer.status, answer.header("location")), (303, "/sign-in"));
    }
    for (path, media_type) in [
        ("/sign-in", "text/html; charset=utf-8"),
        ("/assets/console.css", "text/css; charset=utf-8"),
        ("/assets/console.js", "text/javascript; charset=utf-8"),
        ("/assets/icon.svg", "image/svg+xml"),
    ] {
        let answer = visitor.send("GET", path, &[], "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, media_type), "{path}");
    }
}

#[tokio::test]
async fn other_hosts_and_sites_get_nothing_even_with_a_session() {
    let stage = Stage::set().await;
    let mut visitor = Visitor::come(&stage).await;
    let cookie = visitor.sign_in().await;
    let cookie = ("cookie", cookie.as_str());
    assert_eq!(visitor.send("GET", "/", &[cookie], "").await.status, 200);
    for host in ["evil.example", "10.1.2.3", "localhost.evil.example:80"] {
        assert_eq!(visitor.send("GET", "/", &[cookie, ("host", host)], "").await.status, 421, "{host}");
    }
    for site in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "http://evil.example")]
    {
        for path in ["/sign-in", "/sign-out", "/inspector"] {
            let answer = visitor.send("POST", path, &[cookie, site], "document=x").await;
            assert_eq!(answer.status, 403, "{path} {site:?}");
        }
    }
    // Neither did that sign anybody out.
    assert_eq!(visitor.send("GET", "/", &[cookie], "").await.status, 200);
}

#[tokio::test]
async fn the_console_only_reads() {
    let stage = Stage::set().await;
    let mut visitor = Visitor::come(&stage).await;
    let cookie = visitor.sign_in().await;
    let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/", "/enclaves", "/keys", "/audit", "/live/audit"] {
            let answer = visitor.send(method, path, &headers, "").await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method} {path}");
        }
    }
    let long = format!("document={}", "A".repeat(600_000));
    assert_eq!(visitor.send("POST", "/inspector", &headers, &long).await.status, 413);
    let many = "a=1&".repeat(100);
    assert_eq!(visitor.send("POST", "/inspector", &headers, &many).await.status, 400);
}

#[tokio::test]
async fn a_live_part_is_sent_once_and_then_only_when_it_changed() {
    let mut stage = Stage::set().await;
    let mut visitor = Visitor::come(&stage).await;
    let cookie = visitor.sign_in().await;
    let cookie = ("cookie", cookie.as_str());
    let first = visitor.send("GET", "/live/audit?outcome=allowed", &[cookie], "").await;
    let tag = first.header("etag").to_owned();
    let same =
        visitor.send("GET", "/live/audit?outcome=allowed", &[cookie, ("if-none-match", &tag)], "").await;
    assert_eq!((first.status, same.status, same.body.len()), (200, 304, 0));
    stage.serve_one(true).await;
    // The log is read by a thread of its own.
    let other = loop {
        let known = [cookie, ("if-none-match", &*tag)];
        let answer = visitor.send("GET", "/live/audit?outcome=allowed", &known, "").await;
        if answer.status != 304 {
            break answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(other.status, 200);
    assert!(String::from_utf8_lossy(&other.body).contains("GenerateDataKey"));
}
