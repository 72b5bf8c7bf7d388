//! `docs/kms-compatibility.md` says which operations there are.

use serde_json::json;

use super::Stage;

#[tokio::test]
async fn the_table_of_operations_is_true() {
    let mut stage = Stage::set().await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kms-compatibility.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('|').map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.len() == 5 && matches!(cells[2], "yes" | "no" | "refused"))
        .collect();
    assert_eq!(rows.len(), 56);
    for cells in rows {
        let operation = cells[1];
        let refusal = stage.client.call(operation, &json!({"KeyId": 1})).await.refusal();
        let is_there = !refusal.starts_with("400 UnknownOperationException: ");
        assert_eq!(is_there, cells[2] != "no", "{operation}: {refusal}");
    }
}
