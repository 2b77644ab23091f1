//! Memory: what a resting connection holds, and what many queries leave behind.

use crate::accounting::{pss_kib, rss_kib};
use crate::client::Client;
use crate::peers::{Field, PGFERRY};
use crate::wire;

/// Connections that rest.
const IDLE: u32 = 1000;
/// Queries that nobody scrapes, in pipelines of this depth.
const QUERIES: usize = 5_000_000;
const DEPTH: usize = 100;

/// KiB per resting connection of each peer; fewer connections where a bastion cannot take as many.
pub(crate) fn idle(field: &Field) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let mut figures = Vec::new();
    for peer in field.peers.iter().skip(1) {
        // The first connection pays for what all share.
        let first = Client::idle(peer.address)?;
        let before = pss_kib(&peer.processes());
        let clients: Vec<Client> =
            (0..IDLE).map(|_| Client::idle(peer.address)).collect::<Result<_, _>>()?;
        let after = pss_kib(&peer.processes());
        drop((first, clients));
        figures.push((peer.name, (after - before) / f64::from(IDLE)));
    }
    Ok(figures)
}

/// How much pgferry's resident memory grows over so many queries without a scrape: the number of
/// queries, and KiB.
pub(crate) fn unscraped(field: &Field) -> anyhow::Result<Option<(usize, f64)>> {
    let Some(peer) = field.find(PGFERRY) else { return Ok(None) };
    let Some(process) = peer.processes().first().copied() else { return Ok(None) };
    let mut client = Client::connect(peer.address)?;
    let (request, answer) = (wire::execute(), wire::execute_answer().len());
    client.pipelined(&request, answer, (DEPTH, 1000))?;
    let before = rss_kib(process);
    client.pipelined(&request, answer, (DEPTH, QUERIES / DEPTH))?;
    Ok(Some((QUERIES, rss_kib(process) - before)))
}
