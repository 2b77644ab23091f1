//! Dates, times and intervals.

use crate::server::{Server, agree_on, agree_on_texts};

#[tokio::test]
async fn dates_and_times_agree_with_the_server() {
    let server = Server::start().await;
    agree_on(
        &server,
        &[
            "'2000-01-01'::date + ((random() - 0.002) * 1e9)::int",
            "'2000-01-01'::date + (g - 500)",
            "'0001-01-01'::date + (g - 500)",
            "(random() * interval '1 day')::time",
            "((random() * 100)::int / 100.0 * interval '1 day')::time",
            "(random() * interval '1 day')::time AT TIME ZONE ((random() - 0.5) * interval '31 h')",
            "'2000-01-01'::timestamp + (random() - 0.02) * interval '290000 years'",
            "'2000-01-01'::timestamp - random() * interval '1 day'",
            "'2000-01-01'::timestamptz + (random() - 0.02) * interval '290000 years'",
            "'0001-01-01'::timestamptz + (random() - 0.5) * interval '2 years'",
            "make_interval(secs => (random() - 0.5) * 1e6)",
            "make_interval(months => ((random() - 0.5) * 99)::int, \
             days => (random() * 9)::int - 4, secs => (random() * 9)::int - 4)",
            "make_interval(years => g - 500, days => 500 - g, secs => (g % 3 - 1) * 0.5)",
        ],
    )
    .await;
    agree_on_texts(&server, DATES_AND_TIMES).await;
}

const DATES_AND_TIMES: &[(&str, &[&str])] = &[
    ("date", &["infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "0001-12-31 BC"]),
    ("date", &["2000-02-29", "1900-02-28", "0004-02-29", "0005-02-28 BC", "10000-01-01"]),
    ("time", &["24:00:00", "00:00:00", "23:59:59.999999", "12:00:00.1"]),
    ("timetz", &["24:00:00+00", "12:00:00+15:59:59", "12:00:00-15:59:59", "01:02:03.4-07:53:01"]),
    ("timestamp", &["infinity", "-infinity", "4714-11-24 00:00:00 BC", "0044-03-15 12:00:00 BC"]),
    ("timestamp", &["294276-12-31 23:59:59.999999", "1999-12-31 23:59:59.999999"]),
    ("timestamptz", &["infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "2024-05-06 07:08+02"]),
    (
        "interval",
        &["0", "1 day", "-1 day", "-1 day +00:00:01", "1 mon -1 day", "1 year", "-1 year"],
    ),
    (
        "interval",
        &["178956970 years 7 mons", "-178956970 years -8 mons", "100:00:00", "-0.000001 s"],
    ),
    ("interval", &["2562047788:00:54.775807", "-2562047788:00:54.775807", "-1 mon 1 day -1 s"]),
];
