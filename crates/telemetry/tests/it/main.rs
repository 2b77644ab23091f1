//! Drives the public API the way the proxy, a scraper and a probe do.

mod admin;
mod documentation;
mod global;
mod plugin;
mod prometheus;
mod scrape;
mod support;
