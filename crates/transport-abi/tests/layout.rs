//! The header and its Rust mirror have to agree, and neither may drift from what was released.

#![expect(clippy::unwrap_used, reason = "a test helper has nobody to hand an error to")]

use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgferry_transport_abi::{
    ABI_MAJOR, ABI_MINOR, Flags, Host, LogLevel, MetricKind, NO_SOCK, Op, Plugin, Sock, State,
    Status, Str, has,
};

#[test]
#[cfg(target_pointer_width = "64")]
fn the_header_has_the_layout_of_the_released_minor() {
    let golden = std::fs::read_to_string(crate_dir().join("golden/layout-1.0.txt")).unwrap();
    assert_eq!(layout_in_c(), golden);
}

#[test]
fn the_rust_mirror_has_the_layout_of_the_header() {
    assert_eq!(layout_in_rust(), layout_in_c());
}

#[test]
fn the_header_alone_is_clean_c11_and_cpp11() {
    for (compiler, standard, language) in [("cc", "-std=c11", "c"), ("c++", "-std=c++11", "c++")] {
        let output = Command::new(compiler)
            .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x"])
            .arg(language)
            .arg(header())
            .output()
            .unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{compiler} {standard}: {complaints}");
    }
}

#[test]
fn the_header_stays_short_enough_to_be_read() {
    let lines = std::fs::read_to_string(header()).unwrap().lines().count();
    assert!(lines < 300, "{lines} lines");
}

#[test]
fn a_field_beyond_the_end_of_a_shorter_table_is_not_there() {
    let whole = u32::try_from(size_of::<Host>()).unwrap();
    assert!(has!(Host, metric_record, whole));
    assert!(!has!(Host, metric_record, whole - 1));
    assert!(has!(Host, metric, whole - 8));
    assert!(has!(Host, struct_size, 4));
    assert!(!has!(Host, struct_size, 3));
}

#[test]
fn an_unknown_status_counts_as_internal() {
    assert_eq!(Status(-12).known(), Status::INTERNAL);
    assert_eq!(Status(1).known(), Status::INTERNAL);
    assert_eq!(Status::PANIC.known(), Status::PANIC);
    assert_eq!(Status(-99).name(), "INTERNAL");
}

/// Compiles `layout.c` and gives what it prints; it fails when `PGFERRY_HAS` is wrong.
fn layout_in_c() -> String {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("layout");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(header().parent().unwrap())
        .arg(crate_dir().join("tests/layout.c"))
        .arg("-o")
        .arg(&program)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let run = Command::new(&program).output().unwrap();
    assert!(run.status.success(), "PGFERRY_HAS gives wrong answers");
    String::from_utf8(run.stdout).unwrap()
}

/// What `layout.c` prints, from the Rust types.
fn layout_in_rust() -> String {
    let mut lines = Vec::new();
    tables(&mut lines);
    constants(&mut lines);
    lines.concat()
}

fn tables(lines: &mut Vec<String>) {
    /// Lists the fields of one table in the order they are declared in.
    macro_rules! table {
        ($type:ident as $c:literal { $($field:ident),* }) => {
            lines.push(format!("size {} {}\n", $c, size_of::<$type>()));
            $(
                let (at, size) = (offset_of!($type, $field), size_of_field(|t: &$type| &t.$field));
                lines.push(format!("field {}.{} {at} {size}\n", $c, stringify!($field)));
            )*
        };
    }
    table!(Str as "pgferry_str" { ptr, len });
    lines.push(format!("size pgferry_sock {}\n", size_of::<Sock>()));
    lines.push(format!("size pgferry_op {}\n", size_of::<Op>()));
    lines.push(format!("size pgferry_status {}\n", size_of::<Status>()));
    table!(Host as "pgferry_host" {
        struct_size, abi_major, abi_minor, ctx, op_done, stream_closed, state, log_level, log,
        socketpair, dial, dial_cancel, secret, metric, metric_record
    });
    table!(Plugin as "pgferry_plugin" {
        struct_size, abi_major, abi_minor, min_host_minor, reserved, reserved2, flags, name,
        version, about, config_schema, create, open, cancel, probe, destroy
    });
}

fn constants(lines: &mut Vec<String>) {
    let numbers: [(&str, i64); 29] = [
        ("ABI_MAJOR", ABI_MAJOR.into()),
        ("ABI_MINOR", ABI_MINOR.into()),
        ("NO_SOCK", NO_SOCK as i64),
        ("OK", Status::OK.0.into()),
        ("CONFIG", Status::CONFIG.0.into()),
        ("AUTH", Status::AUTH.0.into()),
        ("DENIED", Status::DENIED.0.into()),
        ("UNREACHABLE", Status::UNREACHABLE.0.into()),
        ("TIMEOUT", Status::TIMEOUT.0.into()),
        ("THROTTLED", Status::THROTTLED.0.into()),
        ("CANCELLED", Status::CANCELLED.0.into()),
        ("UNSUPPORTED", Status::UNSUPPORTED.0.into()),
        ("PROTOCOL", Status::PROTOCOL.0.into()),
        ("INTERNAL", Status::INTERNAL.0.into()),
        ("PANIC", Status::PANIC.0.into()),
        ("F_SPEAKS_POSTGRES", Flags::SPEAKS_POSTGRES.0.try_into().unwrap()),
        ("F_DIALS_VIA_HOST", Flags::DIALS_VIA_HOST.0.try_into().unwrap()),
        ("LOG_OFF", LogLevel::OFF.0.into()),
        ("LOG_ERROR", LogLevel::ERROR.0.into()),
        ("LOG_WARN", LogLevel::WARN.0.into()),
        ("LOG_INFO", LogLevel::INFO.0.into()),
        ("LOG_DEBUG", LogLevel::DEBUG.0.into()),
        ("LOG_TRACE", LogLevel::TRACE.0.into()),
        ("STATE_UP", State::UP.0.into()),
        ("STATE_DEGRADED", State::DEGRADED.0.into()),
        ("STATE_DOWN", State::DOWN.0.into()),
        ("METRIC_COUNTER", MetricKind::COUNTER.0.into()),
        ("METRIC_GAUGE", MetricKind::GAUGE.0.into()),
        ("METRIC_HISTOGRAM", MetricKind::HISTOGRAM.0.into()),
    ];
    lines.extend(numbers.map(|(name, value)| format!("const PGFERRY_{name} {value}\n")));
}

fn size_of_field<Table, Field>(_: fn(&Table) -> &Field) -> usize {
    size_of::<Field>()
}

fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn header() -> PathBuf {
    crate_dir().join("include/pgferry_transport.h")
}
