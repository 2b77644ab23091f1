//! Accounts and discovery against answers of AWS, in processes that have no other AWS.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test ends by panicking")]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use pgferry_aws::{AssumeRole, Aws, AwsErrorKind, Identity, discovery};
use support::{Reply, Server, alone, write};

const KEYS: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "environment"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("AWS_REGION", "eu-west-1"),
];

fn profile(name: &str) -> Identity {
    Identity { profile: Some(name.into()), ..Identity::default() }
}

fn at(server: &Server) -> Identity {
    Identity { endpoint_url: Some(server.url.clone()), ..Identity::default() }
}

fn xml(body: &str) -> Reply {
    (200, "content-type: text/xml\r\n", body.to_owned())
}

fn refused(code: &str, message: &str) -> Reply {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>1</RequestId></ErrorResponse>"
    );
    (400, "content-type: text/xml\r\n", body)
}

#[test]
fn no_credentials_names_the_profiles_that_exist() {
    alone("no_credentials_names_the_profiles_that_exist", &[], async {
        write(".aws/config", "[profile stage]\nregion = us-east-1\n[profile prod]\n");
        let error = Aws::new().account(&Identity::default()).credentials().await.unwrap_err();
        assert_eq!(*error.kind(), AwsErrorKind::NoCredentials);
        assert!(error.hint().unwrap().ends_with("profiles: prod, stage"), "{error:?}");
        let error = Aws::new().account(&profile("prdo")).credentials().await.unwrap_err();
        assert_eq!(error.to_string(), "there is no AWS profile prdo");
    });
}

#[test]
fn a_missing_region_says_where_to_set_it_and_is_looked_up_again() {
    alone("a_missing_region_says_where_to_set_it_and_is_looked_up_again", &[], async {
        let account = Aws::new().account(&Identity::default());
        let error = account.region().await.unwrap_err();
        assert_eq!(*error.kind(), AwsErrorKind::WrongRegion);
        assert!(error.hint().unwrap().contains("AWS_REGION"), "{error:?}");
        write(".aws/config", "[default]\nregion = ap-southeast-7\n");
        assert_eq!(account.region().await.unwrap(), "ap-southeast-7");
    });
}

#[test]
fn a_named_profile_wins_over_the_environment() {
    alone("a_named_profile_wins_over_the_environment", &KEYS, async {
        let keys = "[dev]\naws_access_key_id = profile\naws_secret_access_key = secret\n";
        write(".aws/credentials", keys);
        let aws = Aws::new();
        let unnamed = aws.account(&Identity::default()).credentials().await.unwrap();
        assert_eq!(unnamed.access_key_id(), "environment");
        let named = aws.account(&profile("dev")).credentials().await.unwrap();
        assert_eq!(named.access_key_id(), "profile");
    });
}

#[test]
fn keys_are_kept_until_they_are_forgotten() {
    alone("keys_are_kept_until_they_are_forgotten", &[], async {
        let keys = |key| format!("[dev]\naws_access_key_id = {key}\naws_secret_access_key = x\n");
        write(".aws/credentials", &keys("first"));
        let aws = Aws::new();
        let account = aws.account(&profile("dev"));
        assert_eq!(account.credentials().await.unwrap().access_key_id(), "first");
        write(".aws/credentials", &keys("second"));
        assert_eq!(account.credentials().await.unwrap().access_key_id(), "first");
        aws.account(&profile("dev")).forget();
        assert_eq!(account.credentials().await.unwrap().access_key_id(), "second");
    });
}

/// What `aws sso login` leaves behind. The name is the SHA-1 of the session's, `corp`.
fn log_in(until: &str) {
    let token = format!(
        r#"{{"startUrl":"https://corp.awsapps.com/start","region":"eu-west-1",
        "accessToken":"sso-token","expiresAt":"{until}"}}"#
    );
    write(".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json", &token);
}

#[test]
fn an_expired_sso_session_names_the_login_and_the_login_is_noticed() {
    let server = Server::start(|_| {
        let body = r#"{"roleCredentials":{"accessKeyId":"sso-key","secretAccessKey":"s",
            "sessionToken":"t","expiration":4102444800000}}"#;
        (200, "content-type: application/json\r\n", body.to_owned())
    });
    let envs = [("AWS_ENDPOINT_URL", server.url.as_str())];
    let name = "an_expired_sso_session_names_the_login_and_the_login_is_noticed";
    alone(name, &envs, async {
        write(
            ".aws/config",
            "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Dev\n\
             region = eu-west-1\n[sso-session corp]\nsso_region = eu-west-1\n\
             sso_start_url = https://corp.awsapps.com/start\n",
        );
        let account = Aws::new().account(&profile("dev"));
        let never = account.credentials().await.unwrap_err();
        assert_eq!(*never.kind(), AwsErrorKind::SsoExpired, "{never:?}");
        log_in("2020-01-01T00:00:00Z");
        let expired = account.credentials().await.unwrap_err();
        assert_eq!(*expired.kind(), AwsErrorKind::SsoExpired, "{expired:?}");
        assert_eq!(expired.hint(), Some("run: aws sso login --profile dev"));
        log_in("2099-01-01T00:00:00Z");
        assert_eq!(account.credentials().await.unwrap().access_key_id(), "sso-key");
    });
}

#[test]
fn many_users_of_a_role_assume_it_once() {
    alone("many_users_of_a_role_assume_it_once", &KEYS, async {
        let server = Server::start(|_| {
            xml("<AssumeRoleResponse><AssumeRoleResult><Credentials>\
                 <AccessKeyId>role-key</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
                 <SessionToken>t</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
                 </Credentials></AssumeRoleResult></AssumeRoleResponse>")
        });
        let role = AssumeRole {
            role_arn: "arn:aws:iam::123456789012:role/reader".into(),
            external_id: Some("shibboleth".into()),
            session_name: None,
        };
        let account = Aws::new().account(&Identity { assume_role: Some(role), ..at(&server) });
        let mut users = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let account = account.clone();
            users.spawn(async move { account.credentials().await.unwrap() });
        }
        let keys = users.join_all().await;
        assert!(keys.iter().all(|key| key.access_key_id() == "role-key"));
        assert_eq!(server.asked("ExternalId=shibboleth"), 1);
        assert_eq!(server.asked("RoleSessionName=pgferry"), 1);
    });
}

#[test]
fn a_cluster_is_found_with_what_is_allowed() {
    alone("a_cluster_is_found_with_what_is_allowed", &KEYS, async {
        let server = Server::start(|request| match request {
            r if r.contains("Action=DescribeDBClusterEndpoints") => refused(
                "AccessDenied",
                "User is not authorized to perform: rds:DescribeDBClusterEndpoints",
            ),
            r if r.contains("Action=DescribeDBClusters") => xml(CLUSTERS),
            r if r.contains("Marker=more") => xml(INSTANCES_2),
            _ => xml(INSTANCES_1),
        });
        let account = Aws::new().account(&at(&server));
        let found = discovery::find_cluster("shop", &account).await.unwrap();
        assert_eq!(found.writer.as_deref(), Some(WRITER));
        assert_eq!((found.port, found.iam, found.data_api), (5433, true, true));
        assert_eq!(found.resource_id.as_deref(), Some("cluster-ABC"));
        assert_eq!(found.secret_arn.as_deref(), Some("arn:aws:secretsmanager:x"));
        let serverless = found.serverless.unwrap();
        assert_eq!(serverless.pauses_after, Some(Duration::from_mins(5)));
        let hosts: Vec<_> = found.members.iter().map(|m| m.host.as_deref().unwrap()).collect();
        assert_eq!(hosts, ["w.example", "r.example"], "the writer first, from both pages");
        assert_eq!(found.custom[0].name, "reports");
        assert_eq!(server.asked("Action=DescribeDBInstances"), 2);
        let same = discovery::find_by_host(&WRITER.to_uppercase(), &account).await.unwrap();
        assert_eq!(same, found);
    });
}

#[test]
fn a_misspelt_cluster_names_the_one_that_was_meant() {
    alone("a_misspelt_cluster_names_the_one_that_was_meant", &KEYS, async {
        let server = Server::start(|request| {
            let named = request.contains("DBClusterIdentifier=");
            if named { refused("DBClusterNotFoundFault", "shpo not found") } else { xml(CLUSTERS) }
        });
        let account = Aws::new().account(&at(&server));
        let error = discovery::find_cluster("shpo", &account).await.unwrap_err();
        assert_eq!(*error.kind(), AwsErrorKind::NotFound);
        assert_eq!(error.to_string(), "there is no cluster shpo in eu-west-1");
        assert_eq!(error.hint(), Some("did you mean shop?"));
    });
}

#[test]
fn failures_on_the_way_are_told_apart() {
    alone("failures_on_the_way_are_told_apart", &KEYS, async {
        let kind = async |reply: fn(&str) -> Reply| {
            let server = Server::start(reply);
            let account = Aws::new().account(&at(&server));
            discovery::find_cluster("shop", &account).await.unwrap_err()
        };
        let denied = kind(|_| refused("AccessDenied", "no")).await;
        let action = "rds:DescribeDBClusters".to_owned();
        assert_eq!(*denied.kind(), AwsErrorKind::AccessDenied { action });
        let page = kind(|_| (403, "content-type: text/html\r\n", "<html>blocked".into())).await;
        assert_eq!(*page.kind(), AwsErrorKind::Proxy, "{page:?}");
        let refusing =
            Identity { endpoint_url: Some("http://127.0.0.1:1".into()), ..Identity::default() };
        let account = Aws::new().account(&refusing);
        let nobody = discovery::find_cluster("shop", &account).await.unwrap_err();
        assert_eq!(*nobody.kind(), AwsErrorKind::Unreachable, "{nobody:?}");
    });
}

#[test]
fn a_wrong_clock_is_measured_by_the_date_of_the_reply() {
    alone("a_wrong_clock_is_measured_by_the_date_of_the_reply", &KEYS, async {
        let server = Server::start(|_| {
            let (status, _, body) = refused("SignatureDoesNotMatch", "no");
            (status, "date: Thu, 01 Jan 1970 00:20:00 GMT\r\n", body)
        });
        let clock = aws_smithy_async::time::StaticTimeSource::new(UNIX_EPOCH);
        let account = Aws::with_clock(clock).account(&at(&server));
        let error = discovery::find_cluster("shop", &account).await.unwrap_err();
        assert_eq!(*error.kind(), AwsErrorKind::ClockSkew, "{error:?}");
        assert!(error.to_string().contains("20 min behind AWS's"), "{error}");
    });
}

const WRITER: &str = "shop.cluster-abc.eu-west-1.rds.amazonaws.com";

const CLUSTERS: &str = "<DescribeDBClustersResponse><DescribeDBClustersResult><DBClusters><DBCluster>\
    <DBClusterIdentifier>shop</DBClusterIdentifier><DbClusterResourceId>cluster-ABC\
    </DbClusterResourceId><Status>available</Status><Engine>aurora-postgresql</Engine>\
    <Endpoint>shop.cluster-abc.eu-west-1.rds.amazonaws.com</Endpoint><Port>5433</Port>\
    <CustomEndpoints><member>reports.cluster-custom-abc.eu-west-1.rds.amazonaws.com</member>\
    </CustomEndpoints><DBClusterMembers><DBClusterMember><DBInstanceIdentifier>shop-r\
    </DBInstanceIdentifier><IsClusterWriter>false</IsClusterWriter></DBClusterMember>\
    <DBClusterMember><DBInstanceIdentifier>shop-w</DBInstanceIdentifier><IsClusterWriter>true\
    </IsClusterWriter></DBClusterMember></DBClusterMembers><IAMDatabaseAuthenticationEnabled>true\
    </IAMDatabaseAuthenticationEnabled><HttpEndpointEnabled>true</HttpEndpointEnabled>\
    <MasterUserSecret><SecretArn>arn:aws:secretsmanager:x</SecretArn></MasterUserSecret>\
    <ServerlessV2ScalingConfiguration><MinCapacity>0</MinCapacity><MaxCapacity>4</MaxCapacity>\
    <SecondsUntilAutoPause>300</SecondsUntilAutoPause></ServerlessV2ScalingConfiguration>\
    </DBCluster></DBClusters></DescribeDBClustersResult></DescribeDBClustersResponse>";

const INSTANCES_1: &str = "<DescribeDBInstancesResponse><DescribeDBInstancesResult><Marker>more\
    </Marker><DBInstances><DBInstance><DBInstanceIdentifier>shop-r</DBInstanceIdentifier><Endpoint>\
    <Address>r.example</Address></Endpoint></DBInstance></DBInstances></DescribeDBInstancesResult>\
    </DescribeDBInstancesResponse>";

const INSTANCES_2: &str = "<DescribeDBInstancesResponse><DescribeDBInstancesResult><DBInstances>\
    <DBInstance><DBInstanceIdentifier>shop-w</DBInstanceIdentifier><Endpoint><Address>w.example\
    </Address></Endpoint></DBInstance></DBInstances></DescribeDBInstancesResult>\
    </DescribeDBInstancesResponse>";
