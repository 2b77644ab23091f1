//! Connections in simulated time.

use pgferry_ssm_protocol::smux::{Command, Header};
use pgferry_ssm_protocol::{Flag, PayloadType};
use tokio::time::timeout;

use super::*;
use crate::config::Config;
use crate::far::{AGENT, Clock, Far, driven};
use crate::line::Line;
use crate::pool::Kind;

const LIMIT: Duration = Duration::from_mins(1);

fn connection(line: &Arc<Line>, clock: &Clock) -> Connection<Clock> {
    let config = Config { name: Some("bastion".to_owned()), ..Config::default() };
    let pool = Pool::new(config, clock.clone()).unwrap();
    let order = Order {
        to: line.to.clone(),
        deadline: Instant::now() + LIMIT,
        first_answer: LIMIT,
        renew_after: LIMIT,
        idle_limit: LIMIT,
        agent_silence: AGENT,
        kind: Kind::Session,
    };
    let stream = line.open().expect("an open session");
    let (line, started_at) = (Arc::clone(line), Instant::now());
    Connection::new(pool, order, stream, Session { line, id: "s-1".into(), started_at })
}

/// The agent could not connect for the stream of this number.
async fn refuse(far: &mut Far, stream: u32) {
    assert!(far.agent.send_control(PayloadType::Flag, Flag::ConnectToPortError.encode()));
    let mut fin = BytesMut::new();
    Header { command: Command::Fin, length: 0, stream }.encode(&mut fin);
    assert_eq!(far.agent.write(&fin), fin.len());
    far.serve(Duration::from_millis(500)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_said_to_a_database_that_refused_already_does_not_hide_the_refusal() {
    let clock = Clock::new();
    let (line, _ended, mut far) = driven(&clock).await;
    far.shake_hands().await;
    // Which of two things that have happened is seen first is a matter of chance.
    for number in (3_u32..).step_by(2).take(20) {
        let connection = connection(&line, &clock);
        far.serve(Duration::from_millis(500)).await;
        refuse(&mut far, number).await;
        let (mut near, theirs) = UnixStream::pair().unwrap();
        near.write_all(b"a startup message").await.unwrap();
        theirs.readable().await.unwrap();
        let ended = timeout(LIMIT, connection.carry(theirs)).await.expect("an end");
        let error = ended.expect_err("a refusal");
        assert!(error.message().contains("could not connect"), "{error}");
        far.serve(Duration::from_millis(500)).await;
    }
}
