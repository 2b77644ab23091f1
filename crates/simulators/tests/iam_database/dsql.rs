//! Aurora DSQL's own kind of token.

use pgferry_simulators::{Aws, Flaw, IamDatabase, Postgres, sigv4::presign};

use crate::{psql, said};

const ENDPOINT: &str = "abcdefghijklmnopqrstuvwxyz.dsql.us-east-1.on.aws";
const WEEK: u64 = 7 * 24 * 3600;

#[test]
fn admin_and_other_roles_take_different_tokens() {
    let (aws, postgres) = (Aws::start(), Postgres::start());
    let database = IamDatabase::builder(&aws, &postgres).endpoint(ENDPOINT).dsql().start();
    let signed = |action: &str, life: u64| {
        let scope = ("us-east-1", "dsql");
        let times = (aws.clock().now(), life);
        let query = presign(ENDPOINT, &[("Action", action)], aws.credentials(), scope, times);
        format!("{ENDPOINT}/?{query}")
    };
    let ask = |user: &str, name: &str, token: &str| {
        let settings = format!("user={user} dbname={name}");
        said(&mut psql(&postgres, &database, &settings, token, "SELECT current_user"))
    };
    let (admin, other) = (signed("DbConnectAdmin", WEEK), signed("DbConnect", 900));
    assert_eq!(ask("admin", "postgres", &admin), Ok("admin".to_owned()));
    assert_eq!(ask("app_scram", "postgres", &other), Ok("app_scram".to_owned()));
    assert_eq!(database.token(aws.credentials(), "admin").split_once(':'), None);
    for (user, token, flaw) in [
        ("admin", &other, Flaw::Action("DbConnect".to_owned())),
        ("app_scram", &admin, Flaw::Action("DbConnectAdmin".to_owned())),
    ] {
        let refusal = ask(user, "postgres", token).unwrap_err();
        assert!(refusal.ends_with("unable to accept connection, access denied"), "{refusal}");
        assert_eq!(database.logins().pop().unwrap().outcome, Err(flaw));
    }
    let refusal = ask("admin", "app", &admin).unwrap_err();
    assert!(refusal.ends_with("database \"app\" does not exist"), "{refusal}");
    aws.allow_only(&aws.credentials().access_key_id, &["dsql:DbConnect"]);
    ask("admin", "postgres", &admin).unwrap_err();
    let outcome = database.logins().pop().unwrap().outcome;
    assert_eq!(outcome, Err(Flaw::NotAllowed("dsql:DbConnectAdmin")));
}
