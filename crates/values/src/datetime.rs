//! Dates, times and intervals, with `DateStyle` ISO and `IntervalStyle` postgres.

mod calendar;
mod clock;
mod interval;
mod timestamp;

pub(crate) use calendar::{decode_date, encode_date};
pub(crate) use clock::{decode_time, decode_timetz, encode_time, encode_timetz};
pub(crate) use interval::{decode_interval, encode_interval};
pub(crate) use timestamp::{
    decode_timestamp, decode_timestamptz, encode_timestamp, encode_timestamptz,
};

const INFINITY: &str = "infinity";
const MINUS_INFINITY: &str = "-infinity";
