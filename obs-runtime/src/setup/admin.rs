//! Where the admin server listens, and who may see what.

use super::InitError;
use super::environment::Environment;
use crate::admin::{Policy, Token};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// What is set in code.
#[derive(Default)]
pub(super) struct Admin {
    pub(super) place: Place,
    pub(super) token: Option<String>,
    pub(super) allow_remote: bool,
}

#[derive(Default)]
pub(super) enum Place {
    #[default]
    Environment,
    At(SocketAddr),
    Off,
}

impl Admin {
    /// Code goes before the environment. Values of `OBS_*` variables have to be right all the same.
    pub(super) fn resolve(
        &self,
        environment: &Environment<'_>,
    ) -> Result<(Option<SocketAddr>, Policy), InitError> {
        const DEFAULT_PORT: u16 = 9464;
        let address = match self.place {
            Place::Off => None,
            Place::At(address) => Some(address),
            Place::Environment => {
                let host = environment.admin_host().unwrap_or(Ipv4Addr::LOCALHOST.into());
                Some(SocketAddr::new(host, environment.admin_port().unwrap_or(DEFAULT_PORT)))
            }
        };
        let (token, allow_remote) = (environment.admin_token()?, environment.admin_allow_remote()?);
        let policy = Policy {
            token: match &self.token {
                Some(token) => Some(checked("admin_token", token)?),
                None => token,
            },
            allow_remote: self.allow_remote || allow_remote.unwrap_or(false),
        };
        match address {
            Some(address) if !policy.allows(address) => {
                Err(InitError::AdminOpen { address: address.to_string() })
            }
            address => Ok((address, policy)),
        }
    }
}

/// A token that is one; or an error that does not give away what was meant to be one.
pub(super) fn checked(setting: &'static str, token: &str) -> Result<Token, InitError> {
    Token::new(token).ok_or_else(|| InitError::Invalid {
        setting,
        value: format!("({} characters)", token.chars().count()),
        expected: Token::EXPECTED.to_owned(),
    })
}

pub(super) fn listen(address: SocketAddr) -> Result<TcpListener, InitError> {
    TcpListener::bind(address).map_err(|source| InitError::Address { address: address.to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn resolve(admin: &Admin, variables: &[(&str, &str)]) -> Result<(Option<SocketAddr>, Policy), InitError> {
        let lookup =
            |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        admin.resolve(&Environment::new(&lookup))
    }

    fn error(admin: &Admin, variables: &[(&str, &str)]) -> String {
        resolve(admin, variables).err().expect("an error").to_string()
    }

    fn at(address: &str) -> Admin {
        Admin { place: Place::At(address.parse().expect("an address")), ..Admin::default() }
    }

    #[test]
    fn loopback_needs_nothing() {
        for address in ["127.0.0.1:0", "127.8.9.10:1", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
            let (at, policy) = resolve(&at(address), &[]).expect(address);
            assert_eq!(at.expect("an address").to_string(), address);
            assert!(policy.token.is_none() && !policy.allow_remote);
        }
        let (address, _) = resolve(&Admin::default(), &[]).expect("the default");
        assert_eq!(address, Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9464))));
    }

    #[test]
    fn other_addresses_name_both_ways_out() {
        for address in ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:80", "[::ffff:10.0.0.1]:80"] {
            let message = error(&at(address), &[]);
            assert!(message.contains(address), "{message}");
            for way in [
                "admin_token(..)",
                "OBS_ADMIN_TOKEN",
                "admin_allow_remote()",
                "OBS_ADMIN_ALLOW_REMOTE=true",
                "127.0.0.1",
            ] {
                assert!(message.contains(way), "{way}: {message}");
            }
            for (name, value) in [("OBS_ADMIN_TOKEN", TOKEN), ("OBS_ADMIN_ALLOW_REMOTE", "true")] {
                assert!(resolve(&at(address), &[(name, value)]).is_ok(), "{address} {name}");
            }
            assert!(resolve(&Admin { token: Some(TOKEN.into()), ..at(address) }, &[]).is_ok(), "{address}");
            assert!(resolve(&Admin { allow_remote: true, ..at(address) }, &[]).is_ok(), "{address}");
            assert!(resolve(&at(address), &[("OBS_ADMIN_ALLOW_REMOTE", "false")]).is_err(), "{address}");
        }
        let by_environment = [("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0")];
        assert!(error(&Admin::default(), &by_environment).contains("0.0.0.0:9464"));
        let off = Admin { place: Place::Off, ..Admin::default() };
        assert!(resolve(&off, &by_environment).is_ok(), "nobody listens");
    }

    #[test]
    fn a_token_that_is_none_is_not_shown() {
        for token in ["hunter2", "", "0123456789 abcdef", "0123456789abcdeé", "0123456789abcde\n"] {
            let message = error(&Admin { token: Some(token.into()), ..Admin::default() }, &[]);
            let start = format!(
                "admin_token is \"({} characters)\"; it takes a secret of at least 16",
                token.chars().count()
            );
            assert!(message.starts_with(&start), "{message}");
        }
        let message = error(&Admin::default(), &[("OBS_ADMIN_TOKEN", "hunter2")]);
        assert!(message.starts_with("OBS_ADMIN_TOKEN is \"(7 characters)\"; it takes"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
        let message = error(&Admin::default(), &[("OBS_ADMIN_TOKEN", "\n")]);
        assert!(message.starts_with("OBS_ADMIN_TOKEN is \"(0 characters)\"; it takes"), "{message}");
        let builder = format!("{:?}", crate::builder().admin_token(TOKEN));
        assert!(!builder.contains(TOKEN), "{builder}");
    }

    #[test]
    fn code_goes_before_the_environment() {
        let admin = Admin { token: Some(TOKEN.into()), ..Admin::default() };
        let (_, policy) = resolve(&admin, &[("OBS_ADMIN_TOKEN", "another-token-altogether")]).expect("valid");
        assert!(policy.token.expect("a token").matches(TOKEN.as_bytes()));
        let message = error(&admin, &[("OBS_ADMIN_TOKEN", "")]);
        assert!(message.starts_with("OBS_ADMIN_TOKEN is"), "{message}");
        let off = Admin { place: Place::Off, ..Admin::default() };
        let message = error(&off, &[("OBS_ADMIN_TOKEN", "")]);
        assert!(message.starts_with("OBS_ADMIN_TOKEN is"), "the routes may be mounted elsewhere: {message}");
        let message = error(&Admin::default(), &[("OBS_ADMIN_ALLOW_REMOTE", "yes")]);
        assert_eq!(message, "OBS_ADMIN_ALLOW_REMOTE is \"yes\"; it takes `true` or `false`");
    }
}
