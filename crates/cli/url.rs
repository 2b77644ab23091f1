//! `pgferry url`: a target's listener as a connection URI.

use std::io::{self, IsTerminal as _};

use crate::args::client::Url;
use crate::exit::{Exit, Failure};
use crate::{listener, output};

pub(crate) fn url(url: &Url) -> Result<Exit, Failure> {
    let conninfo = listener::conninfo(&url.config, &url.target, &url.listener)?;
    if url.show_password || io::stdout().is_terminal() || conninfo.password.is_none() {
        output::line(conninfo.url().as_str());
    } else {
        output::line(conninfo.masked_url().as_str());
        output::remark("the password is masked; --show-password prints it");
    }
    Ok(Exit::Ok)
}
