//! Commands that give a password, or none.

use secrecy::ExposeSecret as _;

use super::*;

async fn sh(script: &str) -> Result<String, String> {
    let argv = ["sh", "-c", script].map(str::to_owned);
    let password = run(&argv).await.map_err(|error| {
        assert!(error.hint().is_some(), "{error}");
        error.to_string()
    })?;
    Ok(password.expose_secret().to_owned())
}

#[tokio::test]
async fn the_first_line_is_the_password() {
    assert_eq!(sh("printf 's3cret\\r\\nnotes\\n'").await.unwrap(), "s3cret");
    assert_eq!(sh("printf s3cret").await.unwrap(), "s3cret");
}

#[tokio::test]
async fn there_is_no_input_to_wait_for() {
    assert_eq!(sh("cat; echo pw").await.unwrap(), "pw");
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let argv = ["printf", "%s", "$HOME; a *"].map(str::to_owned);
    assert_eq!(run(&argv).await.unwrap().expose_secret(), "$HOME; a *");
}

#[tokio::test]
async fn a_failure_names_the_program_and_how_it_ended_but_nothing_it_said() {
    let error = sh("echo sesame; echo hush >&2; exit 3").await.unwrap_err();
    assert_eq!(error, "sh gave no password: exit status: 3");
    assert!(sh("kill -9 $$").await.unwrap_err().contains("signal: 9"));
    let error = run(&["/nonexistent/pw".to_owned()]).await.unwrap_err();
    assert!(error.to_string().starts_with("cannot run /nonexistent/pw: "), "{error}");
}

#[tokio::test]
async fn an_output_that_is_no_password_is_an_error() {
    assert_eq!(sh("true").await.unwrap_err(), "sh gave no password: its first line is empty");
    assert!(sh("printf '\\377'").await.unwrap_err().ends_with("is not UTF-8"));
    let endless = sh("head -c 1000000 /dev/zero | tr '\\0' x").await.unwrap_err();
    assert!(endless.ends_with("does not end"), "{endless}");
}

#[tokio::test]
async fn more_output_than_is_wanted_stops_nothing() {
    let script = "echo pw; head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2";
    assert_eq!(sh(script).await.unwrap(), "pw");
}

#[tokio::test]
async fn a_process_that_stays_behind_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    let script = format!("mkfifo {0}; cat {0} & echo pw", fifo.display());
    assert_eq!(sh(&script).await.unwrap(), "pw");
    // Ends the one that stayed behind: it waits for somebody to write.
    drop(std::fs::OpenOptions::new().write(true).open(&fifo).unwrap());
}

#[tokio::test]
async fn who_gives_up_ends_the_command() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    // The command holds the pipe open as long as it lives.
    let argv = ["sh", "-c", &format!("mkfifo {0}; exec sleep 1000 3>{0}", fifo.display())];
    let argv = argv.map(str::to_owned);
    let mut running = Box::pin(run(&argv));
    let opened = tokio::task::spawn_blocking(move || {
        while !fifo.exists() {
            std::thread::yield_now();
        }
        std::fs::File::open(&fifo).unwrap()
    });
    let mut opened = tokio::select! {
        opened = opened => opened.unwrap(),
        _ = &mut running => panic!("it sleeps"),
    };
    drop(running);
    let rest = tokio::task::spawn_blocking(move || std::io::Read::read(&mut opened, &mut [0; 1]));
    assert_eq!(rest.await.unwrap().unwrap(), 0, "nobody has the pipe open any more");
}
