//! Counters, documents, rules and dashboard name the same things.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::DataFolder;
use crate::program::ObservedBroker;

/// Counters of what a collector of telemetry gets, which only a program with that feature has.
const OF_A_COLLECTOR: [&str; 2] = ["nitro_key_broker_otlp_", "nitro_key_broker_audit_sink_"];

#[tokio::test]
async fn the_table_is_what_a_broker_shows() {
    let folder = DataFolder::init();
    let mut documented = documented();
    if cfg!(feature = "otlp") {
        // Nobody listens there.
        let settings = "[otlp]\nendpoint = 'http://127.0.0.1:9'\naudit_log = true\n";
        fs::write(folder.path().join("broker.toml"), settings).unwrap();
    } else {
        documented.retain(|name, _| !OF_A_COLLECTOR.iter().any(|prefix| name.starts_with(prefix)));
    }
    let broker = ObservedBroker::start(&folder);
    broker.first_round().await;
    broker.connect().await.call("ListKeys", &json!({})).await;
    let page = String::from_utf8(broker.get("/metrics", "*/*").await.body.to_vec()).unwrap();
    let shown: BTreeMap<String, String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    assert_eq!(documented, shown);
}

#[test]
fn rules_and_dashboard_use_what_there_is() {
    let documented = documented();
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/nitro-key-broker.json")).unwrap();
    let in_dashboard = names_in(&expressions(&dashboard).join("\n"));
    let in_rules = names_in(&read("deploy/prometheus/rules.yml"));
    for name in in_dashboard.union(&in_rules) {
        assert!(documented.contains_key(name), "{name} is no counter of the broker");
    }
    for name in documented.keys() {
        assert!(in_dashboard.contains(name), "the dashboard does not show {name}");
    }
}

#[test]
fn the_dashboard_can_be_imported() {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/nitro-key-broker.json")).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 36);
    assert_eq!(dashboard["templating"]["list"][0]["type"], "datasource");
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids repeat");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = &panel["title"];
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
    }
    for (one, other) in panels.iter().zip(panels.iter().skip(1)) {
        let place = |panel: &Value, side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place(one, "x") + place(one, "w") <= 24, "{} is too wide", one["title"]);
        let below = place(other, "y") >= place(one, "y");
        assert!(below, "{} is above the one before", other["title"]);
    }
}

/// Name and type of each counter in the document's table.
fn documented() -> BTreeMap<String, String> {
    let text = read("docs/observability.md");
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        let is_counter = name.starts_with("nitro_key_broker_") || name.starts_with("process_");
        is_counter.then(|| (name.to_owned(), cells.next().unwrap().to_owned()))
    });
    rows.collect()
}

fn expressions(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(members) => members
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value) {
                ("expr" | "definition", Value::String(text)) => vec![text.as_str()],
                (_, value) => expressions(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        _ => Vec::new(),
    }
}

/// Everything in a text that looks like a counter's name, without the parts of histograms.
fn names_in(text: &str) -> BTreeSet<String> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("nitro_key_broker_") || word.starts_with("process_"))
        .map(|word| {
            let part = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part));
            part.unwrap_or(word).to_owned()
        })
        .collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
