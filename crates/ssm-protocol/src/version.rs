use std::fmt;
use std::str::FromStr;

/// The version we report: the oldest that AWS's documents still support, and above 1.2.331.0, from which on
/// the agent neither sends keep-alives inside the session nor ends it after 30 seconds of silence.
///
/// Source: `agent/session/plugins/port/port.go` of aws/amazon-ssm-agent, Session Manager plugin version history.
pub const CLIENT_VERSION: &str = "1.2.764.0";

/// Version of an agent or client: four numbers. Nothing else compares on either side.
///
/// Source: `version/versionvalidator.go` of aws/session-manager-plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u32; 4]);

impl Version {
    /// Agents above it carry several connections in one session.
    pub const MUX_ABOVE: Self = Self([3, 0, 196, 0]);
    /// Agents above it do without keep-alives inside the session, if the client's version says that it does too.
    pub const NO_KEEP_ALIVE_ABOVE: Self = Self([3, 1, 1511, 0]);
    /// Agents above it obey [`Flag::TerminateSession`](crate::Flag::TerminateSession).
    pub const TERMINATE_FLAG_ABOVE: Self = Self([2, 3, 722, 0]);
    /// Agents from it on forward to hosts other than their own.
    pub const REMOTE_HOST_FROM: Self = Self([3, 1, 1188, 0]);

    /// Whether several connections may share a session.
    pub fn can_mux(self) -> bool {
        self > Self::MUX_ABOVE
    }

    /// Whether keep-alives inside the session are off on both sides.
    pub fn has_no_keep_alive(self) -> bool {
        self > Self::NO_KEEP_ALIVE_ABOVE
    }

    /// Whether a flag ends the session; otherwise the `TerminateSession` call has to.
    pub fn obeys_terminate_flag(self) -> bool {
        self > Self::TERMINATE_FLAG_ABOVE
    }

    /// Whether it forwards to another host than its own.
    pub fn reaches_remote_hosts(self) -> bool {
        self >= Self::REMOTE_HOST_FROM
    }
}

impl FromStr for Version {
    type Err = NotFourNumbers;

    fn from_str(text: &str) -> Result<Self, NotFourNumbers> {
        let mut numbers = [0; 4];
        let mut parts = text.split('.');
        for number in &mut numbers {
            let part = parts.next().ok_or(NotFourNumbers)?;
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            *number = part.parse().ok().filter(|_| digits).ok_or(NotFourNumbers)?;
        }
        parts.next().map_or(Ok(Self(numbers)), |_| Err(NotFourNumbers))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch, build] = self.0;
        write!(f, "{major}.{minor}.{patch}.{build}")
    }
}

/// Not a version as Session Manager writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not four numbers with dots between")]
#[non_exhaustive]
pub struct NotFourNumbers;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_four_numbers_and_compares_by_number() {
        let old: Version = "3.1.9.0".parse().unwrap();
        let new: Version = "3.1.1511.1".parse().unwrap();
        assert!(old < new);
        assert_eq!(new.to_string(), "3.1.1511.1");
        for wrong in
            ["", "3", "3.1.1", "3.1.1.1.1", "3.1.x.1", "+3.1.1.1", "3..1.1", "3.1.1.99999999999"]
        {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_gate_opens_where_the_peers_open_it() {
        let at = |text: &str| text.parse::<Version>().unwrap();
        assert!(!at("3.0.196.0").can_mux() && at("3.0.196.1").can_mux());
        assert!(!at("3.1.1511.0").has_no_keep_alive() && at("3.1.1512.0").has_no_keep_alive());
        assert!(!at("2.3.722.0").obeys_terminate_flag() && at("2.3.723.0").obeys_terminate_flag());
        assert!(
            !at("3.1.1187.9").reaches_remote_hosts() && at("3.1.1188.0").reaches_remote_hosts()
        );
    }

    #[test]
    fn the_version_we_report_is_one_for_which_the_agent_drops_keep_alives() {
        assert!(CLIENT_VERSION.parse::<Version>().unwrap() > Version([1, 2, 331, 0]));
    }
}
