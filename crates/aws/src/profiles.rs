//! What the AWS configuration files say about profiles: names, and how one logs in.

use aws_config::profile::{Profile, ProfileSet};
use aws_types::os_shim_internal::{Env, Fs};

/// Who a failure is about: the names a person knows it by, no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whose {
    /// The profile in use, unless it is the unnamed default.
    pub(crate) profile: Option<String>,
    /// The region in use.
    pub(crate) region: Option<String>,
    /// The role that is assumed.
    pub(crate) role: Option<String>,
    /// Every profile that the files define, sorted.
    pub(crate) profiles: Vec<String>,
    /// How the profile's SSO session is renewed.
    pub(crate) login: Option<Login>,
}

/// The login of a profile of AWS IAM Identity Center.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// What to type.
    pub(crate) command: String,
    /// Whether the profile has no `sso_session`: its session cannot be renewed without the person.
    pub(crate) legacy: bool,
}

/// A chain of `source_profile` longer than this is a loop.
const LONGEST_CHAIN: usize = 8;

impl Whose {
    /// Adds what the files say about `profile`, or about `AWS_PROFILE` where it is absent.
    ///
    /// Files that cannot be read add nothing: the credential chain reports them.
    pub(crate) async fn read_files(mut self) -> Self {
        let selected = self.profile.clone().map(Into::into);
        #[expect(deprecated, reason = "its new home is a crate that is not meant for direct use")]
        let files = aws_config::profile::profile_file::ProfileFiles::default();
        let Ok(set) = aws_config::profile::load(&Fs::real(), &Env::real(), &files, selected).await
        else {
            return self;
        };
        if self.profile.is_none() && set.selected_profile() != "default" {
            self.profile = Some(set.selected_profile().to_owned());
        }
        self.profiles = set.profiles().map(str::to_owned).collect();
        self.profiles.sort();
        self.login = login(&set);
        self
    }
}

/// The login of the selected profile, or of the one whose credentials it starts from.
fn login(set: &ProfileSet) -> Option<Login> {
    let mut name = set.selected_profile();
    for _ in 0..LONGEST_CHAIN {
        let profile = set.get_profile(name)?;
        if let Some(legacy) = sso(profile) {
            let command = match name {
                "default" => "aws sso login".to_owned(),
                name => format!("aws sso login --profile {}", quoted(name)),
            };
            return Some(Login { command, legacy });
        }
        name = profile.get("source_profile").filter(|source| *source != name)?;
    }
    None
}

/// Whether a profile logs in by SSO, and if so, whether in the old form.
fn sso(profile: &Profile) -> Option<bool> {
    if profile.get("sso_session").is_some() {
        return Some(false);
    }
    profile.get("sso_start_url").map(|_| true)
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._@/+:-".contains(c);
    if name.chars().all(plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}
