//! A target at run time: everything a connection needs, made once.

use std::sync::Arc;

use pgferry_config::Limits;
use pgferry_credentials::Access;
use pgferry_telemetry::{TargetHealth, TargetMetrics};
use pgferry_transport::Instance;
use rustls::pki_types::UnixTime;
use rustls::sign::CertifiedKey;

use crate::backend::client_certificate::ClientCertificate;
use crate::backend::route::Routes;
use crate::backend::tls::TrustError;
use crate::certificate::CertificateError;
use crate::error::Subject;
use crate::frontend::auth::{LocalAuth, LocalAuthError};
use crate::frontend::identity::{self, IdentityError, LocalTls};
use crate::sessions::Sessions;

/// One database as an application sees it, ready to serve. Shared by its connections.
pub struct Target {
    pub(crate) name: String,
    /// What errors about it have to name.
    pub(crate) subject: Subject,
    /// The ways to its endpoints.
    pub(crate) routes: Routes,
    pub(crate) instance: Arc<Instance>,
    pub(crate) access: Access,
    certificate: Option<ClientCertificate>,
    /// Whether applications log in at the database themselves.
    pub(crate) carries_logins: bool,
    pub(crate) local_auth: LocalAuth,
    pub(crate) local_tls: Option<LocalTls>,
    warnings: Vec<String>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) metrics: Arc<TargetMetrics>,
    pub(crate) health: TargetHealth,
    pub(crate) sessions: Arc<Sessions>,
}

/// What the rest of the program gives a target.
pub struct Parts {
    /// The transport that opens its paths.
    pub instance: Arc<Instance>,
    /// Where the database is, and who pgferry is to it.
    pub access: Access,
    /// How long each step may take.
    pub limits: Arc<Limits>,
    /// What is counted for it.
    pub metrics: Arc<TargetMetrics>,
    /// What is known about its readiness.
    pub health: TargetHealth,
    /// The target of that name before a reload. Its sessions go on as they are; they count against
    /// the limit of the new one, and can be cancelled through it.
    pub before: Option<Arc<Target>>,
}

/// A target that cannot be served. The user's fault, found at the start.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Its roots or its host name.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Its certificate towards the database.
    #[error("credential: {0}")]
    ClientCertificate(#[from] CertificateError),
    /// Its transport logs in at the database itself, with a secret of Secrets Manager.
    #[error(
        "credential.kind is {0:?}, but this transport logs in itself, with a secret: set kind = \
         \"secrets-manager\""
    )]
    NeedsSecret(&'static str),
    /// Its transport leads to the writer alone.
    #[error("database.role is reader, but this transport leads to the writer alone: leave it out")]
    WriterAlone,
    /// Its local password.
    #[error("local_auth: {0}")]
    LocalAuth(#[from] LocalAuthError),
    /// Its certificate towards applications.
    #[error("local_tls: {0}")]
    LocalTls(#[from] IdentityError),
}

impl Target {
    /// Loads the roots of `ca_file` and, where the endpoint is known by now, those that belong to it;
    /// local password and local certificate. Touches no network.
    pub fn new(plan: &pgferry_config::Target, parts: Parts) -> Result<Self, TargetError> {
        let Parts { instance, access, limits, metrics, health, before } = parts;
        if instance.speaks_postgres() {
            fits_a_server(plan)?;
        }
        let routes = Routes::new(&plan.database, instance.speaks_postgres())?;
        if let Some(host) = access.host() {
            routes.learn(host)?;
        }
        Ok(Self {
            name: plan.name.clone(),
            subject: Subject::new(&plan.name, &plan.credential, &plan.database),
            routes,
            certificate: ClientCertificate::new(&plan.credential)?,
            carries_logins: matches!(plan.credential, pgferry_config::Credential::Passthrough),
            local_auth: LocalAuth::new(&plan.local_auth)?,
            local_tls: plan
                .local_tls
                .as_ref()
                .map(|tls| LocalTls::new(tls, &plan.listen))
                .transpose()?,
            warnings: identity::warnings(plan, UnixTime::now()),
            sessions: before.map(|before| Arc::clone(&before.sessions)).unwrap_or_default(),
            instance,
            access,
            limits,
            metrics,
            health,
        })
    }

    /// Its name in configuration, metrics and messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The transport that opens its paths.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }

    /// What is counted for it.
    pub fn metrics(&self) -> &Arc<TargetMetrics> {
        &self.metrics
    }

    /// What is known about its readiness.
    pub fn health(&self) -> &TargetHealth {
        &self.health
    }

    /// The certificate to show to the database now, if that is the credential.
    ///
    /// Cancel safety: may be dropped at any time.
    pub(crate) async fn certificate(&self) -> Result<Option<Arc<CertifiedKey>>, CertificateError> {
        match &self.certificate {
            Some(certificate) => certificate.read().await.map(Some),
            None => Ok(None),
        }
    }

    /// What the user should know about it, though it can be served.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// What a transport can do with a target that is the server itself. The Data API leads to the writer.
/// Source: Aurora user guide, "Limitations with RDS Data API".
fn fits_a_server(plan: &pgferry_config::Target) -> Result<(), TargetError> {
    use pgferry_config::{Credential, Location, Role};
    if !matches!(plan.credential, Credential::SecretsManager { .. }) {
        return Err(TargetError::NeedsSecret(plan.credential.kind()));
    }
    match plan.database.location {
        Location::Cluster { role: Role::Reader, .. } => Err(TargetError::WriterAlone),
        _ => Ok(()),
    }
}
