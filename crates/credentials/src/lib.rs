//! Who pgferry is to the database: a closed enum of sources, each giving a lease.
