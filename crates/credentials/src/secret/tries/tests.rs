//! Which version comes next, without a secret or a database.

use super::*;
use crate::secret::version::tests::version;

fn snapshot(current: &str, pending: Option<&str>) -> Snapshot {
    let created = SystemTime::UNIX_EPOCH + Duration::from_hours(1);
    let version = |id| {
        let mut version = version(id);
        version.created = Some(created);
        version
    };
    let (current, pending) = (version(current), pending.map(version));
    let believed = Duration::MAX;
    Snapshot { fetched: created, believed, current, pending, changed: None, managed: false }
}

fn refused(id: &str) -> Tries {
    let mut tries = Tries { given: Some(id.to_owned()), ..Tries::default() };
    tries.refuse();
    tries
}

/// Takes steps, with every version refused, until nothing comes. Gives versions and waits.
fn until_over(mut tries: Tries, snapshot: &Snapshot) -> (usize, Duration) {
    let (mut given, mut waited) = (0, Duration::ZERO);
    loop {
        match tries.step(snapshot) {
            Step::Give(which) => {
                given += 1;
                tries.given = Some(snapshot.version(which).id.clone());
                tries.refuse();
            }
            Step::Wait(wait) => waited += wait,
            Step::Over => return (given, waited),
        }
    }
}

#[test]
fn a_version_that_became_current_is_next() {
    assert_eq!(refused("old").step(&snapshot("new", None)), Step::Give(Which::Current));
}

#[test]
fn a_pending_version_is_next_where_the_current_one_is_refused() {
    let mut tries = refused("old");
    let snapshot = snapshot("old", Some("new"));
    assert_eq!(tries.step(&snapshot), Step::Give(Which::Pending));
    tries.given = Some("new".to_owned());
    tries.refuse();
    assert_eq!(tries.step(&snapshot), Step::Wait(Duration::from_secs(1)));
    assert_eq!(tries.step(&snapshot), Step::Give(Which::Current), "it is tried again");
}

#[test]
fn a_wrong_password_without_a_rotation_is_given_up_soon() {
    let (given, waited) = until_over(refused("wrong"), &snapshot("wrong", None));
    assert_eq!((given, waited), (0, Duration::from_secs(3)));
}

#[test]
fn a_rotation_that_hangs_is_not_waited_for() {
    let mut snapshot = snapshot("wrong", Some("never"));
    snapshot.fetched += Duration::from_hours(2);
    let (given, waited) = until_over(refused("wrong"), &snapshot);
    assert_eq!((given, waited), (1, Duration::from_secs(3)));
}

#[test]
fn a_rotation_on_its_way_is_waited_for_longer_than_a_minute_and_not_for_ever() {
    let pending = snapshot("old", Some("new"));
    let changed = Snapshot { changed: Some(pending.fetched), ..snapshot("new", None) };
    let managed = Snapshot { managed: true, ..snapshot("old", None) };
    for snapshot in [pending, changed, managed] {
        let (given, waited) = until_over(refused("old"), &snapshot);
        assert!(given >= 10, "{given}");
        assert!((61..120).contains(&waited.as_secs()), "{waited:?}");
    }
}

#[test]
fn those_who_come_later_begin_with_what_nobody_has_refused() {
    let snapshot = snapshot("old", Some("new"));
    let refused = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(snapshot.first(&refused(&[])), Which::Current);
    assert_eq!(snapshot.first(&refused(&["old"])), Which::Pending);
    assert_eq!(snapshot.first(&refused(&["old", "new"])), Which::Current);
}
