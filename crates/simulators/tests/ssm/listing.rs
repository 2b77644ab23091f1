//! What the calls that list machines and sessions say.

use pgferry_simulators::ManagedInstance;
use serde_json::{Value, json};

use crate::calls::{INSTANCE, aws, call, ec2, error, remote, start};

fn ids(reply: &Value) -> Vec<&str> {
    let list = reply["InstanceInformationList"].as_array().unwrap();
    list.iter().map(|instance| instance["InstanceId"].as_str().unwrap()).collect()
}

#[test]
fn instances_are_found_by_tag_and_by_ping() {
    let aws = aws();
    aws.add_managed_instance(ManagedInstance::new("i-2").tag("role", "bastion").offline());
    aws.add_managed_instance(ManagedInstance::new("mi-3").name("on premises"));
    aws.add_ecs_task("cluster_task_runtime");
    let listed = |body: Value| {
        let (status, reply) = call(&aws, aws.credentials(), "DescribeInstanceInformation", &body);
        assert_eq!(status, 200, "{reply}");
        reply
    };
    let filter = |key: &str, value: &str| json!({"Filters": [{"Key": key, "Values": [value]}]});
    assert_eq!(ids(&listed(json!({}))), [INSTANCE, "i-2", "mi-3"]);
    assert_eq!(ids(&listed(filter("tag:Name", "bastion"))), [INSTANCE]);
    assert_eq!(ids(&listed(filter("tag:role", "bastion"))), ["i-2"]);
    assert_eq!(ids(&listed(filter("PingStatus", "Online"))), [INSTANCE, "mi-3"]);
    let offline = listed(filter("InstanceIds", "i-2"));
    assert_eq!(offline["InstanceInformationList"][0]["PingStatus"], "ConnectionLost");
    aws.session_manager().set_page_size(2);
    let first = listed(json!({}));
    assert_eq!(ids(&first), [INSTANCE, "i-2"]);
    let second = listed(json!({"NextToken": first["NextToken"]}));
    assert_eq!((ids(&second), &second["NextToken"]), (vec!["mi-3"], &Value::Null));
    let refused = error(&aws, "DescribeInstanceInformation", &filter("Colour", "blue"));
    assert_eq!(refused.0, "InvalidFilterKey");
}

#[test]
fn sessions_and_connections_are_listed() {
    let aws = aws();
    let (first, second) =
        (start(&aws, &remote("db.internal", 5432)), start(&aws, &remote("db.internal", 5432)));
    call(&aws, aws.credentials(), "TerminateSession", &json!({"SessionId": first.id}));
    for (state, id) in [("History", first.id), ("Active", second.id)] {
        let body = json!({"State": state});
        let (_, reply) = call(&aws, aws.credentials(), "DescribeSessions", &body);
        assert_eq!(reply["Sessions"].as_array().unwrap().len(), 1);
        assert_eq!(reply["Sessions"][0]["SessionId"], id.as_str());
    }
    let status = |target: &str| {
        let body = json!({"Target": target});
        call(&aws, aws.credentials(), "GetConnectionStatus", &body).1["Status"].clone()
    };
    assert_eq!((status(INSTANCE), status("i-9")), (json!("connected"), json!("notconnected")));
}

#[test]
fn ec2_finds_instances_by_tag_and_state() {
    let aws = aws();
    aws.add_managed_instance(ManagedInstance::new("i-2").name("bastion").offline());
    aws.add_managed_instance(ManagedInstance::new("mi-3").name("bastion"));
    let found = |parameters: &[(&str, &str)]| {
        let (status, body) = ec2(&aws, aws.credentials(), parameters);
        assert_eq!(status, 200, "{body}");
        let parts = body.split("<instanceId>").skip(1);
        parts.map(|part| part.split('<').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let name = [("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "bastion")];
    assert_eq!(found(&name), [INSTANCE, "i-2"]);
    let running = [("Filter.2.Name", "instance-state-name"), ("Filter.2.Value.1", "running")];
    assert_eq!(found(&[name, running].concat()), [INSTANCE]);
    assert_eq!(found(&[("InstanceId.1", "i-2")]), ["i-2"]);
    let (status, body) = ec2(&aws, aws.credentials(), &[("InstanceId.1", "i-9")]);
    assert_eq!(status, 400);
    assert!(body.starts_with("<Response><Errors><Error><Code>InvalidInstanceID.NotFound<"));
    let nobody = aws.add_user("nobody", &["ssm:*"]);
    let (status, body) = ec2(&aws, &nobody, &name);
    assert!(status == 403 && body.contains("ec2:DescribeInstances"), "{body}");
}

#[test]
fn who_may_not_call_learns_nothing() {
    let aws = aws();
    let nobody = aws.add_user("nobody", &["sts:*"]);
    let body = json!({"SessionId": "s", "Target": INSTANCE, "State": "Active"});
    for action in [
        "StartSession",
        "ResumeSession",
        "TerminateSession",
        "DescribeInstanceInformation",
        "DescribeSessions",
        "GetConnectionStatus",
    ] {
        let (status, reply) = call(&aws, &nobody, action, &body);
        assert_eq!((status, &reply["__type"]), (400, &json!("AccessDeniedException")), "{action}");
        let wanted = format!("is not authorized to perform: ssm:{action} on resource");
        assert!(reply["message"].as_str().unwrap().contains(&wanted), "{reply}");
    }
    assert_eq!(error(&aws, "StartAutomation", &body).0, "UnknownOperationException");
}
