//! Metrics, health and the admin listener.
