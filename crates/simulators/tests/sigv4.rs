//! The signature check, held against AWS's published test vectors.

use pgferry_simulators::sigv4::{
    Claim, Credentials, Refusal, Request, parse_timestamp, presign, sign, timestamp,
};

/// The key, time and scope of the published vectors.
const VECTOR_TIME: u64 = 1_440_938_160;

fn example() -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: None,
    }
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut all = vec![("host".to_owned(), "example.amazonaws.com".to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: all,
        body: body.as_bytes().to_vec(),
    }
}

fn signed(mut request: Request, credentials: &Credentials) -> Request {
    sign(&mut request, credentials, "us-east-1", "service", VECTOR_TIME);
    request
}

fn check(request: &Request) -> Result<(), Refusal> {
    let claim = Claim::from_headers(request)?;
    claim.check_scope("service", "us-east-1")?;
    claim.check_time(VECTOR_TIME, 0)?;
    claim.check_signature(request, &example().secret_access_key)
}

#[test]
fn the_published_vectors_come_out_the_same() {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let folded = [("my-header1", " value1"), ("my-header2", " \"a   b   c\" ")];
    let vectors: &[(&str, &str, &[_], &str, &str)] = &[
        ("GET", "/", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "GET",
            "/?Param2=value2&Param1=value1",
            &[],
            "",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "/?Param1=value1",
            &[],
            "",
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
        (
            "GET",
            "/\u{1234}",
            &[],
            "",
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        ),
        (
            "GET",
            "/example space/",
            &[],
            "",
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741",
        ),
        ("GET", "/./", &[], "", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("POST", "/", &[], "", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "GET",
            "/",
            &folded,
            "",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "POST",
            "/",
            &form,
            "Param1=value1",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ];
    for (method, target, headers, body, signature) in vectors {
        let request = signed(request(method, target, headers, body), &example());
        let header = request.header("authorization").unwrap();
        assert!(header.ends_with(&format!("Signature={signature}")), "{target}: {header}");
        assert_eq!(check(&request), Ok(()), "{target}");
    }
}

#[test]
fn a_request_changed_after_signing_is_refused() {
    let whole = signed(request("POST", "/?a=1", &[("x-one", "1")], "body"), &example());
    assert_eq!(check(&whole), Ok(()));
    let changes: [fn(&mut Request); 5] = [
        |request| request.method = "GET".to_owned(),
        |request| request.path = "/other".to_owned(),
        |request| request.query = "a=2".to_owned(),
        |request| request.body.push(b'!'),
        |request| request.headers.retain(|(name, _)| name != "x-one"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut forged = whole.clone();
        change(&mut forged);
        assert_eq!(check(&forged), Err(Refusal::Mismatch), "change {number}");
    }
}

#[test]
fn host_date_and_session_token_have_to_be_signed() {
    let with_token = Credentials { session_token: Some("a token".to_owned()), ..example() };
    let whole = signed(request("GET", "/", &[], ""), &with_token);
    assert_eq!(check(&whole), Ok(()));
    for name in ["host", "x-amz-date", "x-amz-security-token"] {
        let mut forged = whole.clone();
        for (header, value) in &mut forged.headers {
            if header == "authorization" {
                let (start, names) = value.split_once("SignedHeaders=").unwrap();
                *value = format!("{start}SignedHeaders={}", names.replacen(name, "x-other", 1));
            }
        }
        assert_eq!(check(&forged), Err(Refusal::Unsigned(name.to_owned())));
    }
}

#[test]
fn signatures_hold_for_five_minutes_either_way() {
    let request = signed(request("GET", "/", &[], ""), &example());
    let claim = Claim::from_headers(&request).unwrap();
    for now in [VECTOR_TIME - 300, VECTOR_TIME + 300] {
        assert_eq!(claim.check_time(now, 0), Ok(()));
    }
    let late = claim.check_time(VECTOR_TIME + 301, 0).unwrap_err();
    assert_eq!(
        late.to_string(),
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
         (20150830T124101Z - 5 min.)"
    );
    let early = claim.check_time(VECTOR_TIME - 301, 0).unwrap_err();
    assert!(early.to_string().starts_with("Signature not yet current: 20150830T123600Z"));
}

#[test]
fn a_scope_for_elsewhere_or_another_day_is_refused() {
    let mut request = signed(request("GET", "/", &[], ""), &example());
    let claim = Claim::from_headers(&request).unwrap();
    let service = Refusal::Service { service: "rds".to_owned() };
    assert_eq!(claim.check_scope("rds", "us-east-1"), Err(service));
    let region = Refusal::Region { signed: "us-east-1".to_owned() };
    assert_eq!(claim.check_scope("service", "eu-west-1"), Err(region));
    for (name, value) in &mut request.headers {
        if name == "authorization" {
            *value = value.replace("/20150830/", "/20150831/");
        }
    }
    assert_eq!(check(&request), Err(Refusal::ScopeDate));
}

#[test]
fn a_presigned_query_holds_as_long_as_it_says() {
    let host = "db.example:5432";
    let credentials = Credentials { session_token: Some("a/b+c==".to_owned()), ..example() };
    let query = presign(
        host,
        &[("Action", "connect"), ("DBUser", "some user")],
        &credentials,
        ("us-east-1", "rds-db"),
        (VECTOR_TIME, 900),
    );
    let request = Request {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        query,
        headers: vec![("host".to_owned(), host.to_owned())],
        body: Vec::new(),
    };
    let claim = Claim::from_query(&request).unwrap();
    assert_eq!(claim.session_token.as_deref(), Some("a/b+c=="));
    assert_eq!(claim.check_signature(&request, &example().secret_access_key), Ok(()));
    assert_eq!(claim.check_signature(&request, "another"), Err(Refusal::Mismatch));
    assert_eq!(claim.check_time(VECTOR_TIME + 900, 900), Ok(()));
    assert!(matches!(claim.check_time(VECTOR_TIME + 901, 900), Err(Refusal::Expired { .. })));
    assert_eq!(claim.check_time(VECTOR_TIME, 899), Err(Refusal::Lifetime { limit: 899 }));
    let doubled = Request { query: format!("{}&X-Amz-Expires=900", request.query), ..request };
    assert!(matches!(Claim::from_query(&doubled), Err(Refusal::Incomplete(_))));
}

#[test]
fn nothing_and_nonsense_are_told_apart() {
    assert!(matches!(Claim::from_headers(&request("GET", "/", &[], "")), Err(Refusal::Missing)));
    assert!(matches!(Claim::from_query(&request("GET", "/?a=b", &[], "")), Err(Refusal::Missing)));
    let nonsense = [("authorization", "Basic Zm9v"), ("x-amz-date", "20150830T123600Z")];
    let refused = Claim::from_headers(&request("GET", "/", &nonsense, ""));
    assert!(matches!(refused, Err(Refusal::Incomplete(_))));
}

#[test]
fn credentials_do_not_show_their_secrets() {
    let credentials = Credentials { session_token: Some("hidden".to_owned()), ..example() };
    let shown = format!("{credentials:?}");
    assert!(shown.contains("AKIDEXAMPLE"));
    assert!(!shown.contains("hidden") && !shown.contains("wJalr"), "{shown}");
}

#[test]
fn timestamps_go_both_ways() {
    assert_eq!(parse_timestamp(&timestamp(VECTOR_TIME)), Some(VECTOR_TIME));
}
