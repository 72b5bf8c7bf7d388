//! Published evaluators of IAM policies, asked over a line protocol: each line a JSON object with a policy and a request, each
//! answer a line with what each evaluator makes of it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::panic::catch_unwind;

use chrono::{DateTime, Utc};
use iam_rs::{
    Arn as IamArn, Context as IamContext, ContextValue, IAMPolicy, IAMRequest, Principal as IamPrincipal,
    PrincipalId,
};
use scratchstack_arn::Arn;
use scratchstack_aspen::{Context, Decision, Policy};
use scratchstack_aws_principal::{Principal, SessionData, SessionValue, User};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Request {
    policy: Value,
    principal: String,
    action: String,
    resource: String,
    context: BTreeMap<String, Typed>,
}

/// A condition key's value, with the type that AWS gives the key.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Typed {
    Text(String),
    Texts(Vec<String>),
    Bool(bool),
    Number(i64),
    Time(String),
    Address(String),
}

fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut stdout = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line.expect("standard input is readable");
        let answer = match serde_json::from_str::<Request>(&line) {
            Ok(request) => {
                let ask = |judge: fn(&Request) -> Result<&'static str, String>| match catch_unwind(
                    std::panic::AssertUnwindSafe(|| judge(&request)),
                ) {
                    Ok(Ok(verdict)) => verdict.to_owned(),
                    Ok(Err(error)) => format!("error: {error}"),
                    Err(_) => "panicked".to_owned(),
                };
                json!({"scratchstack-aspen": ask(aspen), "iam-rs": ask(iam_rs)})
            }
            Err(error) => json!({"error": error.to_string()}),
        };
        writeln!(stdout, "{answer}").and_then(|()| stdout.flush()).expect("standard output is open");
    }
}

fn aspen(request: &Request) -> Result<&'static str, String> {
    let policy: Policy = request.policy.to_string().parse().map_err(|error| format!("{error}"))?;
    let mut session = SessionData::new();
    for (key, value) in &request.context {
        let value = match value {
            Typed::Text(text) => SessionValue::String(text.clone()),
            // It has no keys of several values, nor the operators that ask about them.
            Typed::Texts(_) => continue,
            Typed::Bool(flag) => SessionValue::Bool(*flag),
            Typed::Number(number) => SessionValue::Integer(*number),
            Typed::Time(time) => SessionValue::Timestamp(parse_time(time)?),
            Typed::Address(address) => {
                SessionValue::IpAddr(address.parse().map_err(|error| format!("{error}"))?)
            }
        };
        session.insert(key, value);
    }
    // Identity policies name nobody: who asks makes no difference.
    let user = User::new("aws", "111122223333", "/", "alice").map_err(|error| error.to_string())?;
    let (service, api) = request.action.split_once(':').ok_or("no action")?;
    let resource: Arn = request.resource.parse().map_err(|error| format!("{error}"))?;
    let context = Context::builder()
        .service(service)
        .api(api)
        .actor(Principal::from(vec![user.into()]))
        .resources(vec![resource])
        .session_data(session)
        .build()
        .map_err(|error| error.to_string())?;
    match policy.evaluate(&context).map_err(|error| error.to_string())? {
        Decision::Allow => Ok("allow"),
        Decision::Deny => Ok("deny"),
        Decision::DefaultDeny => Ok("silent"),
    }
}

fn iam_rs(request: &Request) -> Result<&'static str, String> {
    let policy: IAMPolicy =
        serde_json::from_value(request.policy.clone()).map_err(|error| error.to_string())?;
    let mut context = IamContext::new();
    for (key, value) in &request.context {
        let value = match value {
            Typed::Text(text) | Typed::Address(text) => ContextValue::String(text.clone()),
            Typed::Texts(texts) => ContextValue::StringList(texts.clone()),
            Typed::Bool(flag) => ContextValue::Boolean(*flag),
            Typed::Number(number) => ContextValue::Number(*number as f64),
            Typed::Time(time) => ContextValue::DateTime(parse_time(time)?),
        };
        context.insert(key.clone(), value);
    }
    let resource = IamArn::parse(&request.resource).map_err(|error| format!("{error}"))?;
    let principal = IamPrincipal::Aws(PrincipalId::String(request.principal.clone()));
    let asked = IAMRequest::new_with_context(principal, request.action.as_str(), resource, context);
    match iam_rs::evaluate_policy(&policy, &asked).map_err(|error| error.to_string())? {
        iam_rs::Decision::Allow => Ok("allow"),
        iam_rs::Decision::Deny => Ok("deny"),
        iam_rs::Decision::NotApplicable => Ok("silent"),
    }
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text).map(Into::into).map_err(|error| error.to_string())
}
