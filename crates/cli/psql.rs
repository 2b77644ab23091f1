//! `pgferry psql`: `exec` with the `psql` of PATH.

use std::ffi::OsString;

use crate::args::client::Psql;
use crate::exec;
use crate::exit::Failure;

pub(crate) fn psql(psql: Psql) -> Result<u8, Failure> {
    exec::run_with(&psql.session, &OsString::from("psql"), psql.arguments)
}
