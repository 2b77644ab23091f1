//! Lines of a password file, and files that libpq would not read.

use secrecy::ExposeSecret as _;

use super::*;

const SESSION: [&str; 4] = ["db.example", "5432", "shop", "app"];

fn found(content: &str) -> Option<String> {
    let password = password_for(content.as_bytes(), SESSION)?;
    Some(String::from_utf8(password.to_vec()).unwrap())
}

#[test]
fn the_first_line_that_fits_counts() {
    let lines = "other:5432:shop:app:no\ndb.example:5432:shop:app:first\n*:*:*:*:second\n";
    assert_eq!(found(lines).as_deref(), Some("first"));
    assert_eq!(found("*:*:*:app:pw").as_deref(), Some("pw"));
    assert_eq!(found("*:*:*:*:pw\r\n").as_deref(), Some("pw"));
    assert_eq!(found(""), None);
}

#[test]
fn every_field_has_to_fit() {
    for other in [
        "x:5432:shop:app",
        "db.example:5433:shop:app",
        "db.example:5432:x:app",
        "db.example:5432:shop:x",
        "db.exampl:5432:shop:app",
        "db.example.:5432:shop:app",
        "DB.example:5432:shop:app",
        "db.*:5432:shop:app",
        "**:5432:shop:app",
        "*:5432:shop",
    ] {
        assert_eq!(found(&format!("{other}:pw\n")), None, "{other}");
    }
}

#[test]
fn comments_and_incomplete_lines_are_passed_over() {
    assert_eq!(found("# *:*:*:*:no\n\n*:*:*\n*:*:*:*:pw").as_deref(), Some("pw"));
    assert_eq!(found("#:*:*:*:no"), None);
}

#[test]
fn a_backslash_escapes_and_a_colon_ends() {
    assert_eq!(found(r"*:*:*:*:a\:b\\c:rest").as_deref(), Some(r"a:b\c"));
    assert_eq!(found(r"*:*:*:*:end\").as_deref(), Some(r"end\"));
    assert_eq!(found(r"db\.example:\5432:s\hop:app:pw").as_deref(), Some("pw"));
    let colon = password_for(br"a\:b:1:d\\:u:pw", ["a:b", "1", r"d\", "u"]);
    assert_eq!(colon.unwrap().as_slice(), b"pw");
    assert_eq!(password_for(br"\*:1:d:u:pw", ["x", "1", "d", "u"]), None);
}

fn file(mode: u32, content: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    file
}

async fn read(path: &Path) -> Result<String, CredentialError> {
    let opening = Opening { host: "db:1", port: 5432, database: Some("shop") };
    let password = find(Some(path), "app", &opening).await?;
    Ok(password.expose_secret().to_owned())
}

#[tokio::test]
async fn a_file_of_ones_own_is_read() {
    for mode in [0o600, 0o400, 0o700] {
        let file = file(mode, "db\\:1:5432:shop:app:pw\n");
        assert_eq!(read(file.path()).await.unwrap(), "pw", "{mode:o}");
    }
}

#[tokio::test]
async fn a_file_that_others_may_read_is_refused_with_the_fix() {
    for mode in [0o640, 0o604, 0o620, 0o610] {
        let file = file(mode, "*:*:*:*:pw\n");
        let error = read(file.path()).await.unwrap_err();
        assert!(error.to_string().ends_with("can be read or written by others"), "{error}");
        assert!(error.hint().unwrap().contains("chmod 600"), "{error}");
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = read(directory.path()).await.unwrap_err();
    assert!(error.to_string().ends_with("is no plain file"), "{error}");
    let error = read(&directory.path().join("none")).await.unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
    let file = file(0o600, "*:*:*:other:sesame\n*:*:*:app:\n");
    let error = read(file.path()).await.unwrap_err();
    assert!(error.to_string().contains("empty password"), "{error}");
    std::fs::write(file.path(), "*:*:*:other:sesame\n").unwrap();
    let error = read(file.path()).await.unwrap_err();
    assert!(error.to_string().ends_with(r"has no line for db\:1:5432:shop:app"), "{error}");
}
