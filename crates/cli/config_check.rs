//! `pgferry config check`: everything `run` would refuse, without listening anywhere.

use pgferry_config::Plan;
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
        let transport = plan.transports.iter().find(|t| t.name == target.transport);
        let kind = transport.map_or("", |t| t.kind.as_str());
        let endpoint = &target.database.endpoint;
        let listen: Vec<_> = target.listen.iter().map(ToString::to_string).collect();
        lines.push(format!(
            "  {}: {} -> {} ({kind}) -> {}:{}",
            target.name,
            listen.join(", "),
            target.transport,
            endpoint.host,
            endpoint.port
        ));
        targets.push(json!({
            "name": target.name, "listen": listen, "transport": target.transport, "kind": kind,
            "host": endpoint.host, "port": endpoint.port,
        }));
    }
    let json = json!({ "file": plan.file, "targets": targets });
    Shown { json, lines }
}
