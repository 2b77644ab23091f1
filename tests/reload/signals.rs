//! Several signals, and those that win.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgferry_simulators::{Grace, Process};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::PATIENCE;
use crate::support::client::Wire;
use crate::support::pgferry::{Pgferry, binary, write_config};
use crate::{config, start, target, world};

/// A reload of this target hangs until somebody writes to the pipe, which it takes for its roots.
fn hanging(pgferry: &Pgferry, config: &str, ca_file: &Path) -> (String, PathBuf) {
    let pipe = pgferry.directory().join("ca");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let hanging = config.replace(&format!("{ca_file:?}"), &format!("{pipe:?}"));
    (hanging, pipe)
}

const BEGUN: &str = "SIGHUP: reading the configuration again";

#[test]
fn signals_during_a_reload_make_one_more_and_nobody_waits_for_it() {
    let world = world();
    let db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let (config_that_hangs, pipe) = hanging(&pgferry, &config(&[&db]), &world.postgres.ca_file());
    write_config(pgferry.directory(), &config_that_hangs);
    pgferry.process().signal(Signal::HUP).unwrap();
    pgferry.log().wait_for(BEGUN, PATIENCE).unwrap();
    for _ in 0..5 {
        pgferry.process().signal(Signal::HUP).unwrap();
    }
    let mut wire = Wire::open(pgferry.port("db")).unwrap();
    assert_eq!(wire.query("select 1").unwrap(), ["1"], "meanwhile it serves");
    let new = target("new", &world);
    write_config(pgferry.directory(), &config(&[&db, &new]));
    fs::write(&pipe, fs::read(world.postgres.ca_file()).unwrap()).unwrap();
    pgferry.log().wait_for(" reloaded: added new; changed db; ", PATIENCE).unwrap();
    assert_eq!(pgferry.log().count(" reloaded: changed db; "), 1);
    assert_eq!(pgferry.log().count(BEGUN), 2);
}

#[test]
fn sigterm_does_not_wait_for_a_reload() {
    let world = world();
    let db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let (config_that_hangs, _pipe) = hanging(&pgferry, &config(&[&db]), &world.postgres.ca_file());
    write_config(pgferry.directory(), &config_that_hangs);
    pgferry.process().signal(Signal::HUP).unwrap();
    pgferry.log().wait_for(BEGUN, PATIENCE).unwrap();
    pgferry.process().signal(Signal::TERM).unwrap();
    assert_eq!(pgferry.process().wait(PATIENCE).unwrap(), Some(143));
}

#[test]
fn while_it_stops_a_reload_is_out_of_the_question() {
    let world = world();
    let db = target("db", &world);
    let mut pgferry = start(&[&db]);
    let mut busy = Wire::open(pgferry.port("db")).unwrap();
    busy.query("begin").unwrap();
    pgferry.process().signal(Signal::TERM).unwrap();
    pgferry.log().wait_for("stopping: ", PATIENCE).unwrap();
    pgferry.process().signal(Signal::HUP).unwrap();
    busy.query("commit").unwrap();
    assert_eq!(pgferry.process().wait(PATIENCE).unwrap(), Some(143));
    assert_eq!(pgferry.log().count(BEGUN), 0);
}

/// The program in the terminal, which nobody else ends.
struct Orphan(Pid);

impl Drop for Orphan {
    fn drop(&mut self) {
        // It has ended unless the test has failed.
        kill_process(self.0, Signal::KILL).ok();
    }
}

/// `script` is a terminal. When it dies the terminal is gone, and the kernel tells with SIGHUP.
#[test]
fn a_signal_in_a_terminal_reloads_and_the_end_of_the_terminal_ends_it() {
    let world = world();
    let directory = tempfile::tempdir().unwrap();
    let db = target("db", &world);
    let file = write_config(directory.path(), &config(&[&db]));
    let pid = directory.path().join("pid");
    let pgferry = binary();
    let program = pgferry.get_program();
    let run = format!("echo $$ > {pid:?}; exec {program:?} run --config {file:?}");
    let mut script = Command::new("script");
    script.env("SHELL", "/bin/sh").args(["-q", "-f", "-c", &run, "/dev/null"]);
    let (terminal, log) = Process::run(&script, Grace::Kill).unwrap();
    let ready = log.wait_for("ready: target db on ", PATIENCE).unwrap();
    let pid = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let orphan = Orphan(Pid::from_raw(pid).unwrap());
    let address = ready.split_once("ready: target db on ").unwrap().1.split(' ').next().unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    kill_process(orphan.0, Signal::HUP).unwrap();
    log.wait_for("reloaded: 1 unchanged", PATIENCE).unwrap();
    let mut session = Wire::open(port).unwrap();
    terminal.signal(Signal::KILL).unwrap();
    session.fault().assert("db", "57P01", &["shutting down"], "Connect again");
    session.assert_closed();
}
