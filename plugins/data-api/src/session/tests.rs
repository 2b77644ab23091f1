use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;
use crate::api::Outcome;
use crate::fake::{Fake, failing};

const IDLE_LIMIT: Duration = Duration::from_mins(10);

/// A session, served, and the application's end of it.
fn served(api: Arc<Fake>) -> DuplexStream {
    let (near, far) = duplex(64 * 1024);
    let session = Session {
        connection: Connection::new(far),
        work: Transaction::new(api, Duration::from_secs(1)),
        shapes: Shapes::new(Arc::default()),
        prepared: Prepared::default(),
        settings: Settings::default(),
        facts: Arc::default(),
        interruption: Arc::default(),
        idle_limit: IDLE_LIMIT,
        label: String::new(),
        skipping: false,
    };
    tokio::spawn(session.serve());
    near
}

async fn query(near: &mut DuplexStream, sql: &str) -> Vec<u8> {
    let length = u32::try_from(sql.len() + 5).unwrap();
    near.write_all(&[b"Q", &length.to_be_bytes()[..], sql.as_bytes(), b"\0"].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"I") && !answer.ends_with(b"T") && !answer.ends_with(b"E")
        || !answer.windows(5).any(|bytes| bytes == b"Z\0\0\0\x05")
    {
        answer.push(near.read_u8().await.unwrap());
    }
    answer
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_kept_alive_while_the_application_thinks_and_not_for_ever() {
    let fake = Fake::answering([]);
    let mut near = served(Arc::clone(&fake));
    query(&mut near, "BEGIN; INSERT INTO t VALUES (1)").await;
    tokio::time::sleep(Duration::from_mins(9)).await;
    let alive = fake.calls().iter().filter(|call| *call == "t1: SELECT 1").count();
    assert_eq!(alive, 5, "{:?}", fake.calls());
    tokio::time::sleep(Duration::from_mins(2)).await;
    assert_eq!(fake.calls().last().unwrap(), "rollback t1");
    let answer = query(&mut near, "COMMIT").await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.contains("25P03") && !answer.contains("ROLLBACK"), "{answer}");
    assert!(answer.ends_with('I'), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_application_that_sends_no_protocol_is_told_so_and_left() {
    let mut near = served(Fake::answering([]));
    near.write_all(b"B\0\0\0\x05x").await.unwrap();
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("08P01"));
}

#[tokio::test(start_paused = true)]
async fn a_statement_in_a_transaction_that_expired_is_told_so_once() {
    let mut near = served(Fake::answering([]));
    query(&mut near, "BEGIN; INSERT INTO t VALUES (1)").await;
    tokio::time::sleep(Duration::from_mins(11)).await;
    for expected in ["25P03", "25P02"] {
        let answer = query(&mut near, "INSERT INTO t VALUES (2)").await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains(expected) && answer.ends_with('E'), "{answer}");
    }
    let answer = query(&mut near, "COMMIT").await;
    assert!(String::from_utf8_lossy(&answer).contains("ROLLBACK"));
}

/// A message of the extended protocol.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes()[..], body].concat()
}

/// Parse, Bind and Execute of a statement without parameters.
fn executed(sql: &str) -> Vec<u8> {
    let parse = [b"\0", sql.as_bytes(), b"\0\0\0"].concat();
    [message(b'P', &parse), message(b'B', &[0; 8]), message(b'E', &[0; 5])].concat()
}

/// What is answered up to `ReadyForQuery`.
async fn answered(near: &mut DuplexStream, messages: &[u8]) -> String {
    near.write_all(messages).await.unwrap();
    let mut answer = Vec::new();
    while answer.len() < 6 || !answer[..answer.len() - 1].ends_with(b"Z\0\0\0\x05") {
        answer.push(near.read_u8().await.unwrap());
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_whose_transaction_was_lost_does_not_end_as_if_it_were_committed() {
    let gone = failing(crate::failure::Effect::TransactionGone);
    let fake = Fake::answering([Ok(Outcome::default()), Ok(Outcome::default()), gone]);
    let mut near = served(Arc::clone(&fake));
    let insert = [executed("INSERT INTO t VALUES (1)"), message(b'H', b"")].concat();
    near.write_all(&insert).await.unwrap();
    tokio::time::sleep(Duration::from_mins(3)).await;
    let answer = answered(&mut near, &message(b'S', b"")).await;
    assert!(answer.contains("it failed"), "{answer}");
    assert!(!fake.calls().contains(&"commit t1".to_owned()), "{:?}", fake.calls());
}

/// The same with a Describe of the portal before the Execute.
fn described(sql: &str) -> Vec<u8> {
    let parse = [b"\0", sql.as_bytes(), b"\0\0\0"].concat();
    let describe = message(b'D', b"P\0");
    [message(b'P', &parse), message(b'B', &[0; 8]), describe, message(b'E', &[0; 5])].concat()
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_transaction_is_described_before_it_comes_and_told_once() {
    let fake = Fake::answering([]);
    let mut near = served(Arc::clone(&fake));
    query(&mut near, "BEGIN; INSERT INTO t VALUES (1); SAVEPOINT s").await;
    for (sql, tag, status) in [("ROLLBACK TO s", "ROLLBACK", 'T'), ("COMMIT", "COMMIT", 'I')] {
        let answer = answered(&mut near, &[described(sql), message(b'S', b"")].concat()).await;
        let no_data_then_tag = format!(
            "n\0\0\0\u{4}C\0\0\0{}{tag}\0Z",
            char::from(5 + u8::try_from(tag.len()).unwrap())
        );
        assert!(answer.contains(&no_data_then_tag) && answer.ends_with(status), "{answer:?}");
    }
    assert_eq!(fake.calls().last().unwrap(), "commit t1");
}

#[tokio::test(start_paused = true)]
async fn an_error_after_a_statement_of_a_pipeline_undoes_it() {
    let fake = Fake::answering([]);
    let mut near = served(Arc::clone(&fake));
    let nothing = message(b'D', b"Snothing\0");
    let sent = [executed("INSERT INTO t VALUES (1)"), nothing, message(b'S', b"")].concat();
    let answer = answered(&mut near, &sent).await;
    assert!(answer.contains("26000"), "{answer:?}");
    assert_eq!(fake.calls(), ["begin", "t1: INSERT INTO t VALUES (1)", "rollback t1"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_but_sync_is_heard_after_an_error() {
    let fake = Fake::answering([]);
    let mut near = served(Arc::clone(&fake));
    let wrong = [message(b'D', b"Snothing\0"), message(b'H', b"")].concat();
    let others = [message(b'Q', b"INSERT INTO t VALUES (1)\0"), message(b'F', b"")].concat();
    let answer = answered(&mut near, &[wrong, others, message(b'S', b"")].concat()).await;
    assert_eq!(answer.matches("SERROR").count(), 1, "{answer:?}");
    assert!(fake.calls().is_empty(), "{:?}", fake.calls());
}

#[tokio::test(start_paused = true)]
async fn a_procedure_without_results_and_unlisten_are_answered_by_their_tags() {
    let fake = Fake::answering([]);
    let mut near = served(Arc::clone(&fake));
    for (sql, tag) in [("UNLISTEN *", "UNLISTEN"), ("CALL p()", "CALL")] {
        let answer = query(&mut near, sql).await;
        assert!(
            answer.starts_with(b"C") && String::from_utf8_lossy(&answer).contains(tag),
            "{sql}"
        );
    }
    assert_eq!(fake.calls(), ["CALL p()"]);
}
