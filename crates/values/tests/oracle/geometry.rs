//! Points, and what they make up.

use crate::server::{Server, agree_on, agree_on_texts};

#[tokio::test]
async fn geometry_agrees_with_the_server() {
    let server = Server::start().await;
    let number = "(random() - 0.5) * power(10, g % 40 - 20)";
    let number = number.replace("power(10, g % 40 - 20)", "power(10::float8, g % 40 - 20)");
    let point = format!("point({number}, {number})");
    let made = [
        point.clone(),
        format!("lseg({point}, {point})"),
        format!("box({point}, {point})"),
        format!("circle({point}, abs({number}))"),
        format!("line({point}, {point} + point(1, 1))"),
        format!("polygon(box({point}, {point}))"),
        format!("path(polygon(box({point}, {point})))"),
        format!("popen(path(polygon(box({point}, {point}))))"),
        format!("ARRAY[box({point}, {point}), NULL, box({point}, {point})]"),
    ];
    let made: Vec<&str> = made.iter().map(String::as_str).collect();
    agree_on(&server, &made).await;
    agree_on_texts(&server, SHAPES).await;
}

const SHAPES: &[(&str, &[&str])] = &[
    ("point", &["(0,-0)", "(Infinity,NaN)", "(1e300,1e-300)"]),
    ("line", &["{1,-1,0}", "{0,-1,2.5}"]),
    ("path", &["[(1,2)]", "((1,2))", "[(1,2),(3,4)]", "((1,2),(3,4),(5,6))"]),
    ("polygon", &["((1,2))", "((1,2),(3,4),(5,-6))"]),
    ("circle", &["<(1,2),3>", "<(0,0),Infinity>"]),
    ("box[]", &["{(1,1),(0,0);(3,3),(2,2)}"]),
];
