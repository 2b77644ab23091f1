//! Signals, whoever sends them.

use std::process::Command;

use rustix::process::Signal;

use crate::running::Running;
use crate::stage::Stage;
use crate::support::tool::succeed;

#[test]
fn a_signal_to_pgferry_alone_reaches_the_child_once_and_the_childs_code_comes_back() {
    let stage = Stage::get();
    let script = "for s in HUP INT QUIT TERM USR1 USR2; do trap \"echo got $s\" $s; done
                  echo ready; while read line; do echo read $line; done; exit 5";
    let exec = stage.exec("dev", &["bash", "-c", script]);
    // Whoever started the tests may ignore some, as nohup does.
    let mut fresh = Command::new("env");
    fresh.arg("--default-signal=HUP,INT,QUIT,TERM,USR1,USR2");
    fresh.arg(exec.get_program()).args(exec.get_args());
    let mut child = Running::start(&mut fresh);
    child.see("ready");
    let signals = [
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::TERM, "TERM"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ];
    for (signal, name) in signals {
        child.signal(signal);
        // A shell looks at its traps between two commands.
        child.write("line\n");
        let mut lines = [child.line(), child.line()];
        lines.sort();
        assert_eq!(lines, [format!("got {name}"), "read line".to_owned()]);
    }
    assert_eq!(child.end(), (Some(5), vec![]));

    let mut child = stage.waiting("dev");
    child.environment();
    child.signal(Signal::TERM);
    // Its input stays open: nothing else ends it.
    assert_eq!(child.process.wait().unwrap().code(), Some(143));
}

#[test]
fn a_signal_that_was_ignored_before_stays_ignored_by_both() {
    let stage = Stage::get();
    let exec = stage.exec("dev", &["sh", "-c", "kill -HUP $$; kill -HUP $PPID; echo alive"]);
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    nohup.arg(exec.get_program()).args(exec.get_args());
    assert_eq!(succeed(&nohup), "alive\n");
}
