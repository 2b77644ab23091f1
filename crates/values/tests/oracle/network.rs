//! Addresses.

use crate::server::{Server, agree_on, agree_on_texts};

#[tokio::test]
async fn addresses_agree_with_the_server() {
    let server = Server::start().await;
    agree_on(
        &server,
        &[
            "set_masklen('0.0.0.0'::inet + (random() * 4294967295)::int8, g % 33)",
            "set_masklen('0.0.0.0'::inet + (random() * 4294967295)::int8, g % 33)::cidr",
            "set_masklen('::'::inet + (random() * 1e15)::int8 * (g % 5), g % 129)",
            "set_masklen('fe80::'::inet + (random() * 1e18)::int8, g % 129)::cidr",
            "(SELECT string_agg(CASE WHEN random() < 0.6 THEN '0' \
              ELSE to_hex((random() * 65535)::int) END, ':') \
              FROM generate_series(1, 8) WHERE g >= 0)::inet",
            "left(md5(g::text), 12)::macaddr",
            "left(md5(g::text), 16)::macaddr8",
        ],
    )
    .await;
    agree_on_texts(&server, ADDRESSES).await;
}

const ADDRESSES: &[(&str, &[&str])] = &[
    ("inet", &["192.168.0.1", "192.168.0.1/24", "::1", "::", "::1.2.3.4", "::ffff:1.2.3.4/96"]),
    ("inet", &["1::", "0:0:1::", "1:0:0:2:0:0:0:3", "::0.1.0.0", "::0.0.1.0", "2001:db8::1/64"]),
    ("inet", &["1:2:3:4:5:6:7:0", "0:2:3:4:5:6:7:8", "1:2:3:0:0:6:7:8", "::1:0:0"]),
    ("cidr", &["10.0.0.0/8", "1.2.3.4/32", "::/0", "2001:db8::/32", "::ffff:0.0.0.0/96"]),
];
