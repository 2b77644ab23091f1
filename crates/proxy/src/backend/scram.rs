//! SCRAM-SHA-256 towards the database.

use bytes::Bytes;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};

use super::login::LoginError;

/// Most iterations a server may demand. PostgreSQL's default is 4096; each one costs us two hashes.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Which mechanism to use, and what binds it to the TLS connection.
pub(crate) struct Choice {
    pub(crate) mechanism: &'static str,
    pub(crate) binding: ChannelBinding,
}

impl Choice {
    /// The strongest mechanism that both sides can do.
    ///
    /// With a binding at hand and no `-PLUS` offered, the message says so: a server that did offer
    /// it then knows that somebody took it off the list.
    pub(crate) fn new(offered: &[Bytes], end_point: Option<Vec<u8>>) -> Option<Self> {
        let offers = |mechanism: &str| offered.iter().any(|o| o.as_ref() == mechanism.as_bytes());
        if let Some(end_point) = end_point {
            if offers(SCRAM_SHA_256_PLUS) {
                let binding = ChannelBinding::tls_server_end_point(end_point);
                return Some(Self { mechanism: SCRAM_SHA_256_PLUS, binding });
            }
            return offers(SCRAM_SHA_256).then(|| Self {
                mechanism: SCRAM_SHA_256,
                binding: ChannelBinding::unrequested(),
            });
        }
        offers(SCRAM_SHA_256)
            .then(|| Self { mechanism: SCRAM_SHA_256, binding: ChannelBinding::unsupported() })
    }
}

/// Works out the proof. The key derivation takes milliseconds of CPU, so it runs off the relay's
/// thread.
///
/// Cancel safety: dropping it abandons the work, which ends by itself.
pub(crate) async fn prove(
    mut exchange: ScramSha256,
    server_first: Bytes,
) -> Result<ScramSha256, LoginError> {
    check_iterations(&server_first)?;
    tokio::task::spawn_blocking(move || {
        exchange.update(&server_first)?;
        Ok(exchange)
    })
    .await
    .map_err(|error| LoginError::Scram(std::io::Error::other(error)))?
    .map_err(LoginError::Scram)
}

/// Bounds the work that a hostile server can make us do. Other flaws are left to the exchange.
fn check_iterations(server_first: &[u8]) -> Result<(), LoginError> {
    let iterations = server_first
        .split(|byte| *byte == b',')
        .find_map(|attribute| attribute.strip_prefix(b"i="))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
    match iterations {
        Some(count) if !(1..=ITERATIONS_MAX).contains(&count) => Err(LoginError::ScramIterations),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(names: &[&'static str]) -> Vec<Bytes> {
        names.iter().map(|name| Bytes::from_static(name.as_bytes())).collect()
    }

    #[test]
    fn the_bound_mechanism_is_preferred_when_tls_gives_a_binding() {
        let both = offered(&[SCRAM_SHA_256_PLUS, SCRAM_SHA_256]);
        let choice = Choice::new(&both, Some(vec![1; 32])).unwrap();
        assert_eq!(choice.mechanism, SCRAM_SHA_256_PLUS);
        let choice = Choice::new(&both, None).unwrap();
        assert_eq!(choice.mechanism, SCRAM_SHA_256);
        assert!(Choice::new(&offered(&["OAUTHBEARER"]), None).is_none());
    }

    #[test]
    fn a_server_cannot_demand_unbounded_work() {
        assert!(check_iterations(b"r=x,s=c2FsdA==,i=4096").is_ok());
        assert!(check_iterations(b"r=x,s=c2FsdA==,i=4000000000").is_err());
        assert!(check_iterations(b"r=x,s=c2FsdA==,i=0").is_err());
    }
}
