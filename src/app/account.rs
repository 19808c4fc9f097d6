//! Users and groups of this machine, by number or by name.

use std::fmt;
use std::str::FromStr;

use nix::unistd::{Group, User};

/// A user or a group as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// Its number.
    Id(u32),
    /// Its name, to be looked up where the process runs.
    Name(String),
}

impl FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "write a number, as in 101, or a name, as in envoy".to_owned();
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            // The last number means "nobody" to the system's calls.
            let id = text.parse().ok().filter(|id| *id != u32::MAX);
            return id.map(Self::Id).ok_or_else(refused);
        }
        let separates = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | ',');
        if text.starts_with(['-', '+']) || text.contains(separates) {
            return Err(refused());
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Account {
    /// The number of a user. Blocks while the system looks it up.
    ///
    /// # Errors
    /// The text of why there is none; `setting` is what named it.
    pub(super) fn user(&self, setting: &str) -> Result<u32, String> {
        self.id(setting, "user", |name| {
            Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
        })
    }

    /// The number of a group. Blocks while the system looks it up.
    ///
    /// # Errors
    /// As for [`Account::user`].
    pub(super) fn group(&self, setting: &str) -> Result<u32, String> {
        self.id(setting, "group", |name| {
            Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
        })
    }

    fn id(
        &self,
        setting: &str,
        kind: &str,
        look_up: impl FnOnce(&str) -> nix::Result<Option<u32>>,
    ) -> Result<u32, String> {
        let name = match self {
            Self::Id(id) => return Ok(*id),
            Self::Name(name) => name,
        };
        let how = format!("the number works without {kind}s being known here");
        match look_up(name) {
            Ok(Some(id)) => Ok(id),
            Ok(None) => Err(format!(
                "there is no {kind} `{name}` on this machine ({setting}); {how}"
            )),
            Err(error) => Err(format!(
                "cannot look up the {kind} `{name}` ({setting}): {error}; {how}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn a_number_is_taken_as_it_is_and_a_name_is_looked_up() {
        for (text, account) in [
            ("0", Account::Id(0)),
            ("65532", Account::Id(65532)),
            ("envoy", Account::Name("envoy".to_owned())),
            ("svc_1", Account::Name("svc_1".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(account), "{text}");
        }
        for refused in [
            "",
            "-1",
            "+1",
            "4294967295",
            "99999999999",
            "a:b",
            "a b",
            "a,b",
        ] {
            assert!(refused.parse::<Account>().is_err(), "{refused:?}");
        }
        let root: Account = "root".parse().unwrap();
        assert_eq!((root.user("--x"), root.group("--x")), (Ok(0), Ok(0)));
        let nobody: Account = "no-such-account".parse().unwrap();
        for error in [nobody.user("--unix-owner"), nobody.group("--unix-owner")] {
            let error = error.unwrap_err();
            assert!(error.contains("no-such-account") && error.contains("--unix-owner"));
        }
    }
}
