//! Signing, for tests that speak to the simulators without an SDK.

use super::{
    ALGORITHM, Canonical, Credentials, Request, Scope, canonical::encode, signature, timestamp,
};

/// Signs a request that is sent at once: adds `x-amz-date`, the session token and `authorization`.
/// Every header there is gets signed; `host` has to be among them.
pub fn sign(
    request: &mut Request,
    credentials: &Credentials,
    region: &str,
    service: &str,
    now: u64,
) {
    let time = timestamp(now);
    request.headers.push(("x-amz-date".to_owned(), time.clone()));
    if let Some(token) = &credentials.session_token {
        request.headers.push(("x-amz-security-token".to_owned(), token.clone()));
    }
    let mut names: Vec<_> = request.headers.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    let scope = scope(&time, region, service);
    let Some(canonical) = Canonical::new(request, &names) else { return };
    let signature = signature(&credentials.secret_access_key, &scope, &time, &canonical);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{scope}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id, canonical.signed_headers
    );
    request.headers.push(("authorization".to_owned(), authorization));
}

/// Presigns a GET of `host` with the given parameters and returns its query string. `host` carries
/// the port where it is not the scheme's own.
pub fn presign(
    host: &str,
    parameters: &[(&str, &str)],
    credentials: &Credentials,
    (region, service): (&str, &str),
    times: (u64, u64),
) -> String {
    presign_path((host, "/"), parameters, credentials, (region, service), times)
}

/// As [`presign`], of a path other than the root.
pub(crate) fn presign_path(
    (host, path): (&str, &str),
    parameters: &[(&str, &str)],
    credentials: &Credentials,
    (region, service): (&str, &str),
    (now, expires): (u64, u64),
) -> String {
    let time = timestamp(now);
    let scope = scope(&time, region, service);
    let credential = format!("{}/{scope}", credentials.access_key_id);
    let expires = expires.to_string();
    let mut pairs = parameters.to_vec();
    pairs.extend([
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", &credential),
        ("X-Amz-Date", &time),
        ("X-Amz-Expires", &expires),
        ("X-Amz-SignedHeaders", "host"),
    ]);
    pairs.extend(credentials.session_token.as_deref().map(|it| ("X-Amz-Security-Token", it)));
    let encoded: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name.as_bytes()), encode(value.as_bytes())))
        .collect();
    let request = Request {
        method: "GET".to_owned(),
        path: path.to_owned(),
        query: encoded.join("&"),
        headers: vec![("host".to_owned(), host.to_owned())],
        body: Vec::new(),
    };
    let Some(canonical) = Canonical::new(&request, &["host".to_owned()]) else {
        return String::new();
    };
    let signature = signature(&credentials.secret_access_key, &scope, &time, &canonical);
    format!("{}&X-Amz-Signature={signature}", request.query)
}

fn scope(time: &str, region: &str, service: &str) -> Scope {
    let date = time.chars().take(8).collect();
    Scope { date, region: region.to_owned(), service: service.to_owned() }
}
