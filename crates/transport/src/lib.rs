//! The host's side of the transport contract: loader, instances, the built-in direct transport.
