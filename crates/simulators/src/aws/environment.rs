//! What a child process has to be told to use the simulated AWS, and nothing else.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{Aws, sso::SSO_START_URL};
use crate::{
    error::{Context as _, Error},
    sigv4::Credentials,
};

impl Aws {
    /// The environment of a child process whose keys come from the environment.
    ///
    /// A child also inherits what its parent has: remove `AWS_PROFILE` and `AWS_SESSION_TOKEN`
    /// where that matters.
    pub fn envs(&self) -> Vec<(&'static str, String)> {
        let mut envs = self.envs_without_keys();
        envs.push(("AWS_ACCESS_KEY_ID", self.credentials.access_key_id.clone()));
        envs.push(("AWS_SECRET_ACCESS_KEY", self.credentials.secret_access_key.clone()));
        envs
    }

    /// As [`Self::envs`] for a child whose keys come from a profile, or from nowhere.
    pub fn envs_without_keys(&self) -> Vec<(&'static str, String)> {
        let path = |path: PathBuf| path.display().to_string();
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint_url()),
            ("AWS_REGION", self.region().to_owned()),
            // The name Python's SDK and the AWS CLI know.
            ("AWS_DEFAULT_REGION", self.region().to_owned()),
            // Without it an SDK looks for the metadata service of a virtual machine.
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", path(self.config_file())),
            ("AWS_SHARED_CREDENTIALS_FILE", path(self.credentials_file())),
        ]
    }

    /// The file that takes the place of `~/.aws/config`.
    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// The file that takes the place of `~/.aws/credentials`.
    pub fn credentials_file(&self) -> PathBuf {
        self.directory.path().join("credentials")
    }

    /// Adds a section such as `profile dev` or `sso-session corp` to [`Self::config_file`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be written.
    pub fn add_config(&self, section: &str, settings: &[(&str, &str)]) -> Result<(), Error> {
        append(&self.config_file(), section, settings)
    }

    /// Adds a profile with keys to [`Self::credentials_file`].
    ///
    /// # Errors
    ///
    /// As [`Self::add_config`].
    pub fn add_profile(&self, profile: &str, credentials: &Credentials) -> Result<(), Error> {
        let mut settings = vec![
            ("aws_access_key_id", credentials.access_key_id.as_str()),
            ("aws_secret_access_key", &credentials.secret_access_key),
        ];
        settings.extend(credentials.session_token.as_deref().map(|it| ("aws_session_token", it)));
        append(&self.credentials_file(), profile, &settings)
    }

    /// Adds a profile that takes its keys from the SSO portal, and its `sso-session`.
    ///
    /// # Errors
    ///
    /// As [`Self::add_config`].
    pub fn add_sso_profile(
        &self,
        profile: &str,
        session: &str,
        (account, role): (&str, &str),
    ) -> Result<(), Error> {
        self.add_config(
            &format!("profile {profile}"),
            &[
                ("sso_session", session),
                ("sso_account_id", account),
                ("sso_role_name", role),
                ("region", self.region()),
            ],
        )?;
        let section = format!("sso-session {session}");
        let start_url = ("sso_start_url", SSO_START_URL);
        self.add_config(&section, &[start_url, ("sso_region", self.region())])
    }

    /// The portal's address, for profiles without an `sso-session`; nothing answers there.
    pub fn sso_start_url(&self) -> &'static str {
        SSO_START_URL
    }

    pub(super) fn write_files(&self) -> Result<(), Error> {
        for path in [self.config_file(), self.credentials_file()] {
            fs::write(&path, "").doing(|| format!("writing {}", path.display()))?;
        }
        Ok(())
    }
}

fn append(path: &Path, section: &str, settings: &[(&str, &str)]) -> Result<(), Error> {
    let lines = settings.iter().map(|(name, value)| format!("{name} = {value}\n"));
    let text = format!("[{section}]\n{}\n", lines.collect::<String>());
    let written = OpenOptions::new().append(true).open(path);
    written
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .doing(|| format!("writing {}", path.display()))
}
