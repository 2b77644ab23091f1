//! The process's recorder: set once, and shown beside our own metrics.

use pgferry_telemetry::{InstallError, Settings, Telemetry};

use crate::support::{BUILD, OPERATIONS, samples};

#[test]
fn what_libraries_report_through_the_facade_is_shown_and_a_second_install_is_refused() {
    let telemetry = Telemetry::install(BUILD, Settings::new(OPERATIONS)).unwrap();
    metrics::counter!("some_library_things_total").increment(3);
    assert_eq!(samples(&telemetry.render())["some_library_things_total"], 3.0);

    let again = Telemetry::install(BUILD, Settings::new(OPERATIONS)).unwrap_err();
    assert_eq!(again, InstallError::RecorderInstalled);
}
