//! Drives the public API the way the proxy, a scraper and a probe do.
//!
//! The modules are marked `cfg(test)` so that clippy knows their helpers for tests.
#![expect(clippy::float_cmp, reason = "figures are whole or exact: equality is what is meant")]

#[cfg(test)]
mod admin;
#[cfg(test)]
mod documentation;
#[cfg(test)]
mod global;
#[cfg(test)]
mod plugin;
#[cfg(test)]
mod prometheus;
#[cfg(test)]
mod scrape;
#[cfg(test)]
mod support;
