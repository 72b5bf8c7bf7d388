//! The configuration for Prometheus, as its own tool judges it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::promtool;

#[test]
fn rules_and_scraping_are_valid() {
    run_promtool(&["check", "rules", "deploy/prometheus/rules.yml"]);
    run_promtool(&["check", "config", "--syntax-only", "deploy/prometheus/scrape.yml"]);
}

#[test]
fn every_alert_is_silent_and_then_raised() {
    run_promtool(&["test", "rules", "tests/observe/rules.test.yml"]);
    let rules = fs::read_to_string(repository().join("deploy/prometheus/rules.yml")).unwrap();
    let tests = fs::read_to_string(repository().join("tests/observe/rules.test.yml")).unwrap();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        // Once where it is silent, once where it is raised.
        assert_eq!(tests.matches(&format!("alertname: {alert}\n")).count(), 2, "{alert}");
    }
}

fn run_promtool(arguments: &[&str]) {
    let done = Command::new(promtool()).args(arguments).current_dir(repository()).output().unwrap();
    let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    assert!(done.status.success(), "{arguments:?}: {said}");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}
