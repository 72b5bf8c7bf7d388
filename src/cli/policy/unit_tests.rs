//! `policy test`.

mod report;
mod schema;
mod world;

use std::path::PathBuf;

use clap::Args;

use self::report::{CaseResult, junit, print_results};
use self::schema::TestFile;
use self::world::World;
use crate::cli::data_dir::read_input;
use crate::cli::error::CliError;
use crate::cli::output::print_json;

/// Bytes of a file of tests at most.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Test a key policy: cases in YAML, each a request and whether it is to be allowed.
///
/// docs/policy-analysis.md has the form of the file. A failing case is shown with its explanation. Exit status 0 when every
/// case comes out as expected, 1 when one does not, 2 when the file cannot be read.
#[derive(Debug, Args)]
pub(in crate::cli) struct Test {
    /// The cases. Other files are found beside this one.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    /// Also write the results as JUnit's XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Test {
    pub(super) fn run(self) -> Result<(), CliError> {
        let wrong =
            |error: &dyn std::fmt::Display| CliError::usage(format!("{}: {error}", self.file.display()));
        let content = read_input(&self.file, MAX_FILE_BYTES)?;
        let content = String::from_utf8(content).map_err(|error| wrong(&error))?;
        // Only true and false are booleans: a tenant may be called no.
        let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
        let file: TestFile =
            serde_saphyr::from_str_with_options(&content, options).map_err(|error| wrong(&error))?;
        if file.cases.is_empty() {
            return Err(wrong(&"there is no case"));
        }
        let world = World::read(&self.file, &file)?;
        let results: Vec<CaseResult> = file
            .cases
            .iter()
            .map(|case| {
                let line = case.referenced.line();
                world
                    .judge(&case.value)
                    .map(|explanation| CaseResult::of(&case.value, line, explanation))
                    .map_err(|error| wrong(&format!("line {line}: case {:?}: {error}", case.value.name)))
            })
            .collect::<Result<_, _>>()?;
        if let Some(path) = &self.junit {
            std::fs::write(path, junit(&self.file, &results))
                .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
        }
        if self.json {
            print_json(&results)?
        } else {
            print_results(&results)?
        }
        let failed = results.iter().filter(|result| !result.is_passed()).count();
        match failed {
            0 => Ok(()),
            failed => Err(CliError::failed(format!("{failed} of {} cases fail", results.len()))),
        }
    }
}
