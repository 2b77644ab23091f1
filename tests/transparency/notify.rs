//! LISTEN and NOTIFY: messages that nobody asked for.

use crate::stage::Stage;
use crate::support::message::V3_0;
use crate::support::wire::Wire;
use crate::support::world::Way;

#[test]
fn notifications_arrive_from_the_same_session_and_while_idle_from_another() {
    Stage::get().same_everywhere(|scene| {
        scene.query("listen news; listen \"other news\"");
        scene.query("notify news, 'from myself'");
        scene.query(
            "begin; notify news, 'once'; notify news, 'twice'; notify \"other news\"; commit",
        );
        scene.elsewhere("notify news, 'from another session'");
        scene.hear(b'A');
        scene.elsewhere("select pg_notify('other news', repeat('p', 7999))");
        scene.hear(b'A');
        scene.query("unlisten *");
        scene.elsewhere("notify news, 'to nobody'");
        scene.query("select 'nothing before this'");
    });
}

#[test]
fn a_notification_names_the_process_that_the_cancel_key_names() {
    let stage = Stage::get();
    for way in Way::ALL {
        let parameters = [("user", "me"), ("database", "app")];
        let (mut wire, greeting) = Wire::greeted(stage.proxied(way), V3_0, &parameters);
        let key = greeting.iter().find(|message| message.tag == b'K').expect("a cancel key");
        let answer = wire.query("listen own_pid; notify own_pid");
        let told = answer.iter().find(|message| message.tag == b'A').expect("a notification");
        assert_eq!(told.body[..4], key.body[..4], "{way:?}");
    }
}

#[test]
fn a_setting_changed_from_outside_is_reported_while_idle() {
    let stage = Stage::get();
    stage.prepare("alter role app_trust reset IntervalStyle");
    stage.same_everywhere(|scene| {
        scene.query("set IntervalStyle = 'iso_8601'");
        scene.query("begin; set local IntervalStyle = 'sql_standard'; rollback");
        scene.query("reset all");
        scene.query("discard all");
    });
}
