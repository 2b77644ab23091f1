//! Transports on top of each other.

use pgferry_transport::{InstanceSpec, SearchPath, Status};

use crate::harness::{compile, hostile_spec, listener, refusal, request, start};

fn on_top_of(via: &str, spec: InstanceSpec) -> InstanceSpec {
    InstanceSpec { via: Some(via.to_owned()), ..spec }
}

#[tokio::test]
async fn a_dial_goes_through_the_transport_beneath() {
    let top = on_top_of("below", hostile_spec("top"));
    let (transports, mut reports) = start(vec![top, InstanceSpec::new("below", "direct")]);
    let (server, port) = listener();
    let instance = transports.instance("top").unwrap();
    instance.open(request("dial", port)).await.unwrap();
    drop(server);
    let error = instance.open(request("dial", port)).await.unwrap_err();
    assert_eq!(error.status, Status::Unreachable);
    let both = "transport top (hostile 0.1): transport below (direct ";
    assert!(error.message.starts_with(both), "{error}");
    transports.shutdown().await;
    assert!(!reports.had("violation"));
}

/// The socket that comes from beneath is the one handed over at the top: the same number twice, and
/// nobody's fault.
#[tokio::test]
async fn a_plugins_socket_may_come_from_another_plugin() {
    let (_dir, path) = compile("handover", "handover", &[]);
    let below = InstanceSpec { path: Some(path), ..InstanceSpec::new("below", "handover") };
    let top = on_top_of("below", hostile_spec("top"));
    let (transports, mut reports) = start(vec![top, below]);
    let (_server, port) = listener();
    transports.instance("top").unwrap().open(request("dial", port)).await.unwrap();
    assert!(!reports.had("violation"));
}

#[tokio::test]
async fn a_plugin_that_makes_its_own_sockets_cannot_lie_on_another() {
    let (_dir, path) = compile("handover", "handover", &[]);
    let top = InstanceSpec { path: Some(path), ..InstanceSpec::new("top", "handover") };
    let specs = vec![on_top_of("below", top), InstanceSpec::new("below", "direct")];
    let text = refusal(specs, SearchPath::only([])).to_string();
    assert_eq!(
        text,
        "transport top: handover makes its own sockets, so it cannot run via another transport"
    );
}

#[tokio::test]
async fn direct_lies_on_nothing() {
    let specs = vec![
        on_top_of("below", InstanceSpec::new("top", "direct")),
        InstanceSpec::new("below", "direct"),
    ];
    let text = refusal(specs, SearchPath::only([])).to_string();
    assert!(text.contains("direct makes its own sockets"), "{text}");
}

#[tokio::test]
async fn the_next_generation_keeps_what_is_the_same_down_to_the_bottom() {
    let top = || on_top_of("below", hostile_spec("top"));
    let below = InstanceSpec::new("below", "direct");
    let other = InstanceSpec::new("other", "direct");
    let (first, _reports) = start(vec![top(), below.clone(), other.clone()]);
    let same = |next: &pgferry_transport::Transports, name: &str| {
        let (before, after) = (first.instance(name).unwrap(), next.instance(name).unwrap());
        std::sync::Arc::ptr_eq(&before, &after)
    };
    let next = first.succeed(vec![top(), below.clone()]).unwrap();
    assert!(same(&next, "top") && same(&next, "below"));
    assert!(next.instance("other").is_none());
    let changed = InstanceSpec { max_concurrent_opens: 1, ..below };
    let next = first.succeed(vec![top(), changed, other]).unwrap();
    assert!(!same(&next, "below") && !same(&next, "top"), "what lies on it is made anew");
    assert!(same(&next, "other"));
}
