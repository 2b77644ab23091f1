//! Secrets in every shape that is met.

use secrecy::ExposeSecret as _;

use super::*;

pub(in crate::secret) fn version(id: &str) -> Version {
    let text = format!(r#"{{"username":"app","password":"{id}"}}"#);
    read_as(&text, &Secret::default(), id).unwrap()
}

fn read_as(text: &str, wanted: &Secret, id: &str) -> Result<Version, CredentialError> {
    let text = Some(Zeroizing::new(text.to_owned()));
    let (secret, id) = ("prod/db".to_owned(), id.to_owned());
    Version::read(Raw { secret, id, created: None, text }, wanted)
}

fn read(text: &str, wanted: &Secret) -> Result<(String, String), String> {
    let version = read_as(text, wanted, "1").map_err(|error| {
        assert!(error.hint().is_some(), "{error}");
        error.to_string()
    })?;
    Ok((version.user, version.password.expose_secret().to_owned()))
}

fn is(user: &str, password: &str) -> (String, String) {
    (user.to_owned(), password.to_owned())
}

#[test]
fn the_shape_of_rds_has_user_and_password_alone() {
    let none = Secret::default();
    assert_eq!(
        read(r#"{"username":"postgres","password":"p\"w"}"#, &none).unwrap(),
        is("postgres", "p\"w")
    );
    let error = version("1").endpoint(None).unwrap_err();
    assert_eq!(error.to_string(), "the secret prod/db does not say where the database is");
    assert!(error.hint().unwrap().contains("cluster"));
}

#[test]
fn a_full_secret_says_where_the_database_is() {
    let text = r#"{"engine":"postgres","host":"db.example","port":5433,"username":"app",
        "password":"pw","dbname":"shop","dbInstanceIdentifier":"db"}"#;
    let version = read_as(text, &Secret::default(), "1").unwrap();
    assert_eq!(version.database.as_deref(), Some("shop"));
    let endpoint = version.endpoint(None).unwrap();
    assert_eq!((endpoint.host.as_str(), endpoint.port), ("db.example", 5433));
    assert_eq!(version.endpoint(Some(1)).unwrap().port, 1, "the configured port wins");
}

#[test]
fn a_port_may_be_a_text_and_is_otherwise_postgresqls() {
    let port = |port: &str| {
        let text = format!(r#"{{"user":"app","password":"pw","hostname":"db"{port}}}"#);
        read_as(&text, &Secret::default(), "1").unwrap().endpoint(None).unwrap().port
    };
    assert_eq!(port(r#","port":"6000""#), 6000);
    for other in ["", r#","port":null"#, r#","port":0"#, r#","port":70000"#, r#","port":"x""#] {
        assert_eq!(port(other), 5432, "{other}");
    }
}

#[test]
fn a_plain_text_is_the_password_of_the_configured_user() {
    let app = Secret { user: Some("app".to_owned()), ..Secret::default() };
    assert_eq!(read("s3cret", &app).unwrap(), is("app", "s3cret"));
    assert_eq!(read("1234\r\n", &app).unwrap(), is("app", "1234"));
    assert_eq!(read(r#"{"not json"#, &app).unwrap(), is("app", r#"{"not json"#));
    let error = read("s3cret", &Secret::default()).unwrap_err();
    assert_eq!(error, "the secret prod/db names no user: it is a plain text");
}

#[test]
fn other_keys_can_be_named_and_are_named_in_errors() {
    let keys = Secret {
        user_key: Some("login".to_owned()),
        password_key: Some("pass".to_owned()),
        ..Secret::default()
    };
    let text = r#"{"login":"app","pass":"pw","username":"x","password":"y"}"#;
    assert_eq!(read(text, &keys).unwrap(), is("app", "pw"));
    let error = read(r#"{"login":"app","pass":""}"#, &Secret::default()).unwrap_err();
    assert_eq!(error, "the secret prod/db names no user; its other keys: login, pass");
    let error = read(r#"{"username":"app","pass":"sesame"}"#, &Secret::default()).unwrap_err();
    assert_eq!(error, "the secret prod/db has no password; its other keys: pass");
    let error = read("sesame", &keys).unwrap_err();
    assert_eq!(error, "the secret prod/db is no JSON object, and so has no keys");
}

#[test]
fn an_empty_or_binary_secret_is_an_error() {
    let app = Secret { user: Some("app".to_owned()), ..Secret::default() };
    assert!(read("", &app).unwrap_err().contains("no password"));
    assert!(read(r#"{"password":17}"#, &app).unwrap_err().contains("no password"));
    let raw = Raw { secret: "s".to_owned(), id: "1".to_owned(), created: None, text: None };
    assert_eq!(Version::read(raw, &app).err().unwrap().to_string(), "the secret s is binary");
}
