//! What the operations have in common: parameters from flags and from a JSON document, a skeleton of that document,
//! and an answer that is printed.

use std::fs::File;
use std::io::Read as _;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::{Args, ValueEnum};
use enclave_sample::client::{BrokerClient, ClientError, EncryptionContext, Operation};
use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::output::print;
use super::render::{OutputFormat, SecretValue, render};

/// A request is at most some 20 KiB; the broker reads no more than a megabyte.
const MAX_INPUT_BYTES: u64 = 1024 * 1024;

#[derive(Args, Debug)]
#[command(next_help_heading = "Input and output")]
pub(super) struct CallOptions {
    /// Take parameters from this JSON document, or file://PATH; flags come before it
    #[arg(long, value_name = "JSON")]
    cli_input_json: Option<String>,

    /// Print a document for --cli-input-json, or an example of the answer, and ask nobody
    #[arg(long, value_name = "KIND", num_args = 0..=1, default_missing_value = "input")]
    generate_cli_skeleton: Option<Skeleton>,

    /// How the answer is printed
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    output: OutputFormat,

    /// A JMESPath expression that picks from the answer
    #[arg(long, value_name = "EXPRESSION")]
    query: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Skeleton {
    Input,
    Output,
}

/// Flags that several operations have.
#[derive(Args, Debug)]
pub(super) struct AuthorizationOptions {
    /// Grant tokens, separated by spaces
    #[arg(long, value_name = "TOKEN", num_args = 1..)]
    grant_tokens: Vec<String>,

    /// Only ask whether it would be allowed
    #[arg(long, overrides_with = "no_dry_run")]
    dry_run: bool,

    /// Do ask, whatever the JSON document says
    #[arg(long)]
    no_dry_run: bool,
}

impl AuthorizationOptions {
    pub(super) fn add_to(self, given: &mut Map<String, Value>) {
        let Self { grant_tokens, dry_run, no_dry_run } = self;
        if !grant_tokens.is_empty() {
            given.insert("GrantTokens".to_owned(), json!(grant_tokens));
        }
        if dry_run || no_dry_run {
            given.insert("DryRun".to_owned(), json!(dry_run));
        }
    }
}

/// An operation whose answer can be printed.
pub(super) trait Printed: Operation {
    /// Every parameter, with an example of its value.
    fn input_skeleton() -> Value;
    /// Every member of the answer, with an example of its value.
    fn output_skeleton() -> Value;
    /// Parameters without which nothing can be asked, each with its flag.
    const REQUIRED: &'static [(&'static str, &'static str)];
    /// The answer's members, as KMS answers without a recipient.
    fn members(answer: Self::Answer) -> SecretValue;
}

/// An operation to call.
pub(super) struct Call<O> {
    given: Map<String, Value>,
    options: CallOptions,
    operation: PhantomData<O>,
}

impl<O: Printed> Call<O> {
    /// `given` are the parameters from flags.
    pub(super) fn new(given: Map<String, Value>, options: CallOptions) -> Self {
        Self { given, options, operation: PhantomData }
    }

    pub(super) async fn run(
        self,
        client: impl FnOnce() -> Result<BrokerClient, Failure>,
    ) -> Result<(), Failure> {
        match self.options.generate_cli_skeleton {
            Some(Skeleton::Input) => return print_skeleton(&O::input_skeleton()),
            Some(Skeleton::Output) => return print_skeleton(&O::output_skeleton()),
            None => {}
        }
        let query = self.options.query.as_deref().map(super::render::compile).transpose()?;
        let format = self.options.output;
        let parameters = self.parameters()?;
        let is_dry_run = parameters.get("DryRun") == Some(&Value::Bool(true));
        let request: O = serde_json::from_value(Value::Object(parameters)).map_err(|error| {
            Failure::usage(format!("the parameters are not those of {}: {error}", O::NAME))
        })?;
        match client()?.ask(&request).await {
            Ok(answer) => print(&render(&O::members(answer), query.as_ref(), format)?),
            Err(ClientError::Refused(refusal)) if is_dry_run && refusal.is_successful_dry_run() => {
                eprintln!("dry run: the request would have succeeded");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What the flags say, and what the document says where they say nothing.
    fn parameters(self) -> Result<Map<String, Value>, Failure> {
        let mut parameters = match &self.options.cli_input_json {
            Some(text) => read_document(text)?,
            None => Map::new(),
        };
        parameters.extend(self.given);
        let known = O::input_skeleton();
        if let Some(unknown) = parameters.keys().find(|name| known.get(name).is_none()) {
            return Err(Failure::usage(format!("{} has no parameter {unknown:?}", O::NAME))
                .with_hint("--generate-cli-skeleton prints those that it has"));
        }
        let missing: Vec<&str> = O::REQUIRED
            .iter()
            .filter(|(name, _)| !parameters.contains_key(*name))
            .map(|(_, flag)| *flag)
            .collect();
        if !missing.is_empty() {
            return Err(Failure::usage(format!(
                "the following arguments are required: {}",
                missing.join(", ")
            )));
        }
        Ok(parameters)
    }
}

fn read_document(text: &str) -> Result<Map<String, Value>, Failure> {
    let text = match text.strip_prefix("file://") {
        None => text.to_owned(),
        Some(path) => {
            let mut text = String::new();
            File::open(path)
                .and_then(|file| file.take(MAX_INPUT_BYTES).read_to_string(&mut text))
                .map_err(|error| Failure::failed(format!("cannot read {path}: {error}")))?;
            text
        }
    };
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("--cli-input-json is not a JSON object: {error}")))
}

fn print_skeleton(skeleton: &Value) -> Result<(), Failure> {
    print(format!("{skeleton:#}\n").as_bytes())
}

/// Adds a parameter if it is given.
pub(super) fn add(given: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        given.insert(name.to_owned(), value.into());
    }
}

/// The same for an encryption context.
pub(super) fn add_context(given: &mut Map<String, Value>, context: Option<EncryptionContext>) {
    add(given, "EncryptionContext", context.map(|context| json!(context)));
}

/// A blob as it stands in JSON.
pub(super) fn base64(bytes: &[u8]) -> Value {
    Value::String(BASE64.encode(bytes))
}
