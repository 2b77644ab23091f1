//! The closed set of places a credential can come from.

use crate::Password;

/// Where pgferry's own credential for a database comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A fixed user and a password.
    Password {
        /// The database user.
        user: String,
        /// Its password.
        password: Password,
    },
    /// RDS IAM authentication: a token that is signed here, for the endpoint's own name and port.
    Iam {
        /// The database user, in the case it was made in.
        user: String,
    },
    /// User and password from a secret of AWS Secrets Manager.
    SecretsManager(Secret),
    /// Aurora DSQL: a token that is signed here.
    Dsql {
        /// The database user: `admin` needs `dsql:DbConnectAdmin`, every other `dsql:DbConnect`.
        user: String,
    },
    /// A secret of AWS Secrets Manager that is not opened here: the transport names it to the RDS Data
    /// API.
    DataApi {
        /// Its ARN or name; absent, the one that RDS manages for the cluster.
        secret: Option<String>,
    },
    /// The application's own user and password.
    Passthrough,
    /// A TLS certificate, which whoever opens TLS has.
    ClientCert {
        /// The database user.
        user: String,
    },
}

/// Which secret, and how it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    /// Its ARN or name; absent, the one that RDS manages for the database.
    pub id: Option<String>,
    /// The database user, instead of the secret's.
    pub user: Option<String>,
    /// The key of the user in the secret's JSON, where it is not one of the usual.
    pub user_key: Option<String>,
    /// The key of the password in the secret's JSON, where it is not one of the usual.
    pub password_key: Option<String>,
}
