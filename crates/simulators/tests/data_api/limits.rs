//! Sizes.

use pgferry_simulators::RowLimit;
use serde_json::json;

use crate::client::Ferry;

#[test]
fn a_result_ends_at_a_megabyte_but_the_statement_was_run() {
    let ferry = Ferry::start();
    ferry.execute("CREATE TABLE large (u uuid)").ok();
    let sql = |rows| {
        format!(
            "INSERT INTO large SELECT gen_random_uuid() FROM generate_series(1, {rows}) \
                 RETURNING u"
        )
    };
    let fits = ferry.execute(&sql(24_800)).ok();
    assert_eq!(fits["records"].as_array().unwrap().len(), 24_800);
    let reply = ferry.execute(&sql(25_000));
    let expected = "The result exceeds the size limit 1 MB.";
    assert_eq!(reply.error(), (400, "UnsupportedResultException", expected));
    assert_eq!(ferry.records("SELECT count(*) FROM large"), json!([[{"longValue": 49_800}]]));
}

#[test]
fn a_row_may_end_at_64_kilobytes() {
    let ferry = Ferry::start();
    let sql = "SELECT repeat('x', 65530), 1";
    let reply = ferry.execute(sql);
    assert!(reply.error().2.ends_with("exceeds the size limit 64 KB."), "{reply:?}");
    ferry.execute("SELECT repeat('x', 65530)").ok();
    ferry.aws.data_api().suppose(|it| it.row_limit = RowLimit::None);
    ferry.execute(sql).ok();
}

#[test]
fn a_request_ends_at_four_megabytes() {
    let ferry = Ferry::start();
    let request = |length| {
        let value = json!({"stringValue": "x".repeat(length)});
        let parameters = json!([{"name": "t", "value": value}]);
        ferry.call("/Execute", json!({"sql": "SELECT length(:t)", "parameters": parameters}))
    };
    assert_eq!(request(4_000_000).ok()["records"], json!([[{"longValue": 4_000_000}]]));
    let expected = "The request exceeds the size limit 4 MB.";
    assert_eq!(request(4 * 1024 * 1024).error(), (400, "ValidationException", expected));
}
