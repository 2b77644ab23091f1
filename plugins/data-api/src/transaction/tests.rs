use super::*;
use crate::fake::{Fake, failing};

fn work(fake: &Arc<Fake>) -> Transaction<Fake> {
    Transaction::new(Arc::clone(fake), Duration::from_secs(1))
}

fn write(sql: &str) -> (Call, Access) {
    (Call::new(sql), Access::Writes)
}

async fn run(work: &mut Transaction<Fake>, sql: &str) -> Result<Outcome, Failure> {
    let (call, access) = write(sql);
    work.call(call, access).await
}

#[tokio::test(start_paused = true)]
async fn a_transaction_without_statements_costs_no_call() {
    let fake = Fake::answering([]);
    let mut work = work(&fake);
    assert!(work.begin(Scope::Explicit, ""));
    assert_eq!(work.status(), TransactionStatus::InTransaction);
    assert_eq!(work.commit().await.unwrap(), Ended::Committed);
    assert_eq!(work.status(), TransactionStatus::Idle);
    assert!(fake.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_modes_are_set_before_the_first_statement() {
    let fake = Fake::answering([]);
    let mut work = work(&fake);
    work.begin(Scope::Explicit, " ISOLATION LEVEL SERIALIZABLE");
    run(&mut work, "insert").await.unwrap();
    work.commit().await.unwrap();
    assert_eq!(
        fake.calls(),
        ["begin", "t1: SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "t1: insert", "commit t1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_transaction_is_not_committed() {
    let fake = Fake::answering([Ok(Outcome::default()), failing(Effect::Refused)]);
    let mut work = work(&fake);
    work.begin(Scope::Explicit, "");
    run(&mut work, "insert").await.unwrap_err();
    assert_eq!(work.status(), TransactionStatus::Failed);
    assert_eq!(work.commit().await.unwrap(), Ended::RolledBack);
    assert_eq!(fake.calls(), ["begin", "t1: insert", "rollback t1"]);
}

#[tokio::test(start_paused = true)]
async fn a_savepoint_mends_a_failed_transaction() {
    let fake = Fake::answering([Ok(Outcome::default()), failing(Effect::Refused)]);
    let mut work = work(&fake);
    work.begin(Scope::Explicit, "");
    run(&mut work, "insert").await.unwrap_err();
    work.rollback_to("rollback to s".to_owned()).await.unwrap();
    assert_eq!(work.status(), TransactionStatus::InTransaction);
    assert_eq!(work.commit().await.unwrap(), Ended::Committed);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_the_service_ended_never_goes_on_without_one() {
    let fake = Fake::answering([Ok(Outcome::default()), failing(Effect::TransactionGone)]);
    let mut work = work(&fake);
    work.begin(Scope::Explicit, "");
    run(&mut work, "insert").await.unwrap_err();
    run(&mut work, "insert").await.unwrap_err();
    work.rollback_to("rollback to s".to_owned()).await.unwrap_err();
    assert_eq!(work.commit().await.unwrap(), Ended::RolledBack);
    assert_eq!(fake.calls(), ["begin", "t1: insert"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_in_a_transaction_undoes_all_of_it() {
    let fake = Fake::answering([Ok(Outcome::default()), failing(Effect::Unknown)]);
    let mut work = work(&fake);
    work.begin(Scope::Explicit, "");
    run(&mut work, "insert").await.unwrap_err();
    assert_eq!(work.status(), TransactionStatus::Failed);
    assert_eq!(fake.calls(), ["begin", "t1: insert", "rollback t1"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_application_has_set_goes_with_every_statement() {
    let fake = Fake::answering([]);
    let mut work = work(&fake);
    work.carry(&BTreeMap::from([("search_path".to_owned(), "shop".to_owned())]));
    run(&mut work, "insert").await.unwrap();
    assert_eq!(
        fake.calls(),
        ["begin", "t1: SELECT set_config(:n0, :v0, true)", "t1: insert", "commit t1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_never_made_leaves_no_transaction_behind() {
    let done = || Ok(Outcome::default());
    let fake = Fake::answering([done(), done(), failing(Effect::Never)]);
    let mut work = work(&fake);
    work.begin(Scope::Explicit, "");
    run(&mut work, "insert").await.unwrap();
    work.commit().await.unwrap_err();
    assert_eq!(work.status(), TransactionStatus::Idle);
    assert_eq!(fake.calls(), ["begin", "t1: insert", "commit t1", "rollback t1"]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_lost_in_silence_is_an_error_of_its_commit() {
    let done = || Ok(Outcome::default());
    let fake = Fake::answering([done(), done(), failing(Effect::TransactionGone)]);
    let mut work = work(&fake);
    work.begin(Scope::Explicit, "");
    run(&mut work, "insert").await.unwrap();
    work.keep_alive().await;
    assert_eq!(work.status(), TransactionStatus::Failed);
    work.commit().await.unwrap_err();
    assert_eq!(work.status(), TransactionStatus::Idle);
    assert_eq!(work.commit().await.unwrap(), Ended::None);
}
