//! The database clusters and instances that RDS describes.

/// What RDS knows of the databases in this account.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) page_size: Option<usize>,
}

/// An Aurora PostgreSQL cluster. Made with one writer, IAM login on, the Data API off, available.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(crate) name: String,
    pub(crate) members: Vec<Instance>,
    pub(crate) custom: Vec<CustomEndpoint>,
    pub(crate) port: u16,
    pub(crate) iam: bool,
    pub(crate) data_api: bool,
    pub(crate) secret_arn: Option<String>,
    pub(crate) serverless: Option<ServerlessV2>,
    pub(crate) status: String,
    pub(crate) database: Option<String>,
}

/// A DB instance, in a cluster or alone.
#[derive(Clone, Debug)]
pub struct Instance {
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) iam: bool,
    pub(crate) secret_arn: Option<String>,
    pub(crate) status: String,
    pub(crate) database: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct CustomEndpoint {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) members: Vec<String>,
}

/// The capacity a Serverless v2 cluster may have, in Aurora capacity units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerlessV2 {
    /// 0 lets the cluster pause.
    pub min_capacity: f64,
    /// The most it grows to.
    pub max_capacity: f64,
    /// Idle seconds until it pauses.
    pub seconds_until_auto_pause: Option<u32>,
}

impl Cluster {
    /// A cluster whose writer is `NAME-1`.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            members: vec![Instance::new(&format!("{name}-1"))],
            custom: Vec::new(),
            port: 5432,
            iam: true,
            data_api: false,
            secret_arn: None,
            serverless: None,
            status: "available".to_owned(),
            database: None,
        }
    }

    /// Adds a reader, `NAME-2` and so on.
    #[must_use]
    pub fn reader(mut self) -> Self {
        let name = format!("{}-{}", self.name, self.members.len() + 1);
        self.members.push(Instance::new(&name));
        self
    }

    /// Adds a custom endpoint of type READER for the instances named.
    #[must_use]
    pub fn custom_endpoint(mut self, name: &str, members: &[&str]) -> Self {
        let members = members.iter().map(|member| (*member).to_owned()).collect();
        self.custom.push(CustomEndpoint { name: name.to_owned(), kind: "READER", members });
        self
    }

    /// The database port it advertises.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Whether IAM login is on.
    #[must_use]
    pub fn iam(mut self, enabled: bool) -> Self {
        self.iam = enabled;
        self
    }

    /// Turns the Data API on.
    #[must_use]
    pub fn data_api(mut self) -> Self {
        self.data_api = true;
        self
    }

    /// Says where RDS keeps the master user's password.
    #[must_use]
    pub fn managed_secret(mut self, arn: &str) -> Self {
        self.secret_arn = Some(arn.to_owned());
        self
    }

    /// Makes it Serverless v2.
    #[must_use]
    pub fn serverless(mut self, scaling: ServerlessV2) -> Self {
        self.serverless = Some(scaling);
        self
    }

    /// Another status than `available`.
    #[must_use]
    pub fn status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.status);
        self
    }

    /// The database made with the cluster.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.database = Some(name.to_owned());
        self
    }

    pub(crate) fn writer_endpoint(&self, region: &str) -> String {
        host(&format!("{}.cluster", self.name), region)
    }

    pub(crate) fn reader_endpoint(&self, region: &str) -> String {
        host(&format!("{}.cluster-ro", self.name), region)
    }

    pub(crate) fn resource_id(&self) -> String {
        resource_id("cluster", &self.name)
    }
}

impl Instance {
    /// An available instance on port 5432, with IAM login.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            port: 5432,
            iam: true,
            secret_arn: None,
            status: "available".to_owned(),
            database: None,
        }
    }

    /// The database port it advertises.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Whether IAM login is on.
    #[must_use]
    pub fn iam(mut self, enabled: bool) -> Self {
        self.iam = enabled;
        self
    }

    /// Says where RDS keeps the master user's password.
    #[must_use]
    pub fn managed_secret(mut self, arn: &str) -> Self {
        self.secret_arn = Some(arn.to_owned());
        self
    }

    /// Another status than `available`.
    #[must_use]
    pub fn status(mut self, status: &str) -> Self {
        status.clone_into(&mut self.status);
        self
    }

    /// The database made with the instance.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.database = Some(name.to_owned());
        self
    }

    pub(crate) fn endpoint(&self, region: &str) -> String {
        format!("{}.{SUFFIX}.{region}.{DOMAIN}", self.name)
    }

    pub(crate) fn resource_id(&self) -> String {
        resource_id("db", &self.name)
    }
}

impl CustomEndpoint {
    pub(crate) fn host(&self, region: &str) -> String {
        host(&format!("{}.cluster-custom", self.name), region)
    }
}

fn host(start: &str, region: &str) -> String {
    format!("{start}-{SUFFIX}.{region}.{DOMAIN}")
}

/// The same for the same name: 26 capitals and digits, as RDS has them.
fn resource_id(kind: &str, name: &str) -> String {
    let digest = crate::sigv4::sha256_hex(name.as_bytes()).to_ascii_uppercase();
    format!("{kind}-{}", digest.chars().take(26).collect::<String>())
}

/// What all endpoints of one account in one region share; it is in [`crate::SERVER_NAME`] too.
const SUFFIX: &str = "abc123";
const DOMAIN: &str = "rds.amazonaws.com";
