//! Whole numbers and `numeric`.

use crate::server::{Server, agree_on, agree_on_texts};

#[tokio::test]
async fn numbers_agree_with_the_server() {
    let server = Server::start().await;
    agree_on(
        &server,
        &[
            "random() < 0.5",
            "((random() - 0.5) * 65534)::int2",
            "((random() - 0.5) * 4294967294)::int4",
            "((random() - 0.5) * 18446744073709500000)::int8",
            "(random() * 4294967295)::int8::oid",
            "(random() * 4294967295)::int8::text::xid",
            "(random() * 4294967295)::int8::text::cid",
            "trunc(random()::numeric * 18446744073709551615)::text::xid8",
            "((random() - 0.5) * power(10, g % 17))::numeric::money",
            "format('(%s,%s)', (random() * 4294967295)::int8, (random() * 65535)::int)::tid",
            "'0/0'::pg_lsn + trunc(random()::numeric * 18446744073709551615)",
            "(random() * 100000)::int::oid::regclass::oid::regrole",
            "ARRAY[g, NULL, -g]::int2[]",
        ],
    )
    .await;
    agree_on_texts(
        &server,
        &[
            ("int2", &["-32768", "32767", "0"]),
            ("int4", &["-2147483648", "2147483647"]),
            ("int8", &["-9223372036854775808", "9223372036854775807"]),
            ("xid8", &["18446744073709551615", "0"]),
            ("money", &["-92233720368547758.08", "92233720368547758.07", "0", "-0.01", "999.99"]),
            ("money", &["1000", "-1000", "100000", "1234567.89"]),
            ("int2vector", &["", "1", "1 -2 3"]),
            ("oidvector", &["", "4294967295", "1 2 3"]),
            ("pg_lsn", &["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"]),
            ("pg_snapshot", &["10:20:", "10:20:10,14,15"]),
            ("txid_snapshot", &["10:20:", "10:20:10,14,15"]),
            ("regclass", &["-", "4294967295"]),
            ("regtype", &["-", "99999"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn numerics_agree_with_the_server() {
    let server = Server::start().await;
    agree_on(
        &server,
        &[
            "(random() - 0.5)::numeric * 10::numeric ^ (g % 200 - 100)",
            "round((random() - 0.5)::numeric * 10::numeric ^ (g % 60), g % 40 - 20)",
            "trunc(random()::numeric * 10::numeric ^ (g % 60))",
            "(repeat('9', 1 + g % 50) || '.' || repeat('0', g % 9))::numeric",
            "('0.' || repeat('0', g % 50) || '1')::numeric",
        ],
    )
    .await;
    let long = format!("{}.{}", "1234567890".repeat(13_000), "0123456789".repeat(1_600));
    agree_on_texts(
        &server,
        &[
            ("numeric", &["NaN", "Infinity", "-Infinity", "0", "0.00", "-0.0", "10000", "1e1000"]),
            ("numeric", &["0.0001", "0.00001", "-12345678.9", "1e-1000", "99999999", &long]),
        ],
    )
    .await;
}
