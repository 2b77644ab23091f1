//! Throwaway PostgreSQL, sshd and network faults for tests, benches and the demo.
