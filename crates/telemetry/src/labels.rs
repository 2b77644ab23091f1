//! The closed label sets: an event is one of these words, so no caller can invent a series.

/// Declares an enum whose variants are label values.
macro_rules! label_values {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it appears in a series.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Every value as it appears in a series.
            pub(crate) fn labels() -> Vec<&'static str> {
                Self::ALL.iter().map(|value| value.label()).collect()
            }
        }
    };
}

label_values! {
    /// How a statement ended.
    Outcome {
        /// The server completed it.
        Ok = "ok",
        /// The server answered with an error.
        Error = "error",
        /// The server answered that it was cancelled (SQLSTATE 57014).
        Cancelled = "cancelled",
    }
}

label_values! {
    /// A phase of setting up one connection, in the order in which they run.
    Phase {
        /// The application proves that it may connect.
        LocalLogin = "local_login",
        /// The credential for the database is looked up.
        Credentials = "credentials",
        /// The transport opens a path to the database.
        Transport = "transport",
        /// TLS with the database.
        Tls = "tls",
        /// The login at the database.
        Auth = "auth",
        /// From the accepted login to the first `ReadyForQuery`.
        Parameters = "parameters",
    }
}

label_values! {
    /// How a phase ended.
    PhaseOutcome {
        /// It succeeded.
        Ok = "ok",
        /// It failed, and the connection with it.
        Error = "error",
    }
}

label_values! {
    /// Why a connection of an application ended.
    CloseReason {
        /// The application said Terminate or closed its socket.
        ClientClosed = "client_closed",
        /// The application's socket broke.
        ClientLost = "client_lost",
        /// The database ended the session.
        ServerClosed = "server_closed",
        /// The path to the database broke.
        TransportLost = "transport_lost",
        /// It never got as far as the database's first `ReadyForQuery`.
        ConnectFailed = "connect_failed",
        /// It was only a cancel request.
        CancelRequest = "cancel_request",
        /// It was above a limit and refused.
        Refused = "refused",
        /// One side broke the protocol.
        ProtocolError = "protocol_error",
        /// A time limit ran out.
        TimedOut = "timed_out",
        /// pgferry is stopping.
        Shutdown = "shutdown",
        /// Its task ended without giving a reason.
        Aborted = "aborted",
    }
}

label_values! {
    /// The severity of an error.
    Severity {
        /// The statement failed, the session lives.
        Error = "ERROR",
        /// The session ended.
        Fatal = "FATAL",
        /// The server is going down.
        Panic = "PANIC",
    }
}

label_values! {
    /// Where an error was made.
    Origin {
        /// By the database.
        Server = "server",
        /// By pgferry.
        Proxy = "proxy",
        /// By pgferry, because the transport failed.
        Transport = "transport",
    }
}

label_values! {
    /// Whose socket bytes went through.
    Side {
        /// The application's.
        Client = "client",
        /// The database's.
        Server = "server",
    }
}

label_values! {
    /// Which way bytes went, as pgferry sees it.
    Direction {
        /// Received.
        Rx = "rx",
        /// Sent.
        Tx = "tx",
    }
}

label_values! {
    /// What became of a cancel request.
    CancelResult {
        /// It was sent to the database.
        Forwarded = "forwarded",
        /// Its key belongs to no session.
        NotFound = "not_found",
        /// Nothing was running any more.
        Late = "late",
        /// The database could not be reached to deliver it.
        Failed = "failed",
    }
}

label_values! {
    /// What became of a reload.
    ReloadResult {
        /// The new configuration is in use.
        Applied = "applied",
        /// Something was wrong with it, and nothing changed.
        Refused = "refused",
    }
}
