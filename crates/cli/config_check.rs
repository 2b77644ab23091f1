//! `pgferry config check`: everything `run` would refuse, without listening anywhere.

use pgferry_config::{Plan, Transport};
use serde_json::json;

use crate::args::ConfigCheck;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::run::{self, Parts};

pub(crate) fn check(check: &ConfigCheck) -> Result<Exit, Failure> {
    let plan = run::plan(&check.config, &[])?;
    let shown = show(&plan);
    // Plugins are created and roots loaded just as a run would; no network is touched.
    let Parts { transports, runtime, .. } = run::assemble(plan, &check.plugins)?;
    runtime.block_on(transports.shutdown());
    if check.json {
        output::json(&shown.json);
    } else {
        shown.lines.iter().for_each(output::line);
    }
    Ok(Exit::Ok)
}

struct Shown {
    json: serde_json::Value,
    lines: Vec<String>,
}

fn show(plan: &Plan) -> Shown {
    let mut lines = vec![format!("{}: the configuration is whole", plan.file.display())];
    let mut targets = Vec::new();
    for target in &plan.targets {
        let layers = layers(plan, &target.transport);
        let kind = layers.first().map_or("", |t| t.kind.as_str());
        let path: Vec<_> = layers.iter().map(|t| format!("{} ({})", t.name, t.kind)).collect();
        let beneath: Vec<_> = layers.iter().skip(1).map(|t| &t.name).collect();
        let endpoint = &target.database.endpoint;
        let listen: Vec<_> = target.listen.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "  {}: {} -> {} -> {}:{}",
            target.name,
            listen.join(", "),
            path.join(" via "),
            endpoint.host,
            endpoint.port
        ));
        targets.push(json!({
            "name": target.name, "listen": listen, "transport": target.transport, "kind": kind,
            "via": beneath,
            "host": endpoint.host, "port": endpoint.port,
        }));
    }
    let json = json!({ "file": plan.file, "targets": targets });
    Shown { json, lines }
}

/// A transport and those beneath it, from the top. Bounded, for a circle is found only later.
fn layers<'plan>(plan: &'plan Plan, top: &str) -> Vec<&'plan Transport> {
    let named = |name: &str| plan.transports.iter().find(|t| t.name == name);
    let below = |transport: &&'plan Transport| named(transport.via.as_deref()?);
    std::iter::successors(named(top), below).take(plan.transports.len()).collect()
}
