//! The files that TLS takes: read at the start.

#[cfg(feature = "otlp-tls")]
use super::{CERTIFICATE, CLIENT_CERTIFICATE, CLIENT_KEY, Names};
use super::{Environment, InitError, Signal, Tls};

impl Environment<'_> {
    /// Whom to trust, and who we are.
    #[cfg(feature = "otlp-tls")]
    pub(super) fn tls(&self, signal: Signal) -> Result<Tls, InitError> {
        let file = |names: &Names| {
            let named = self.own(names, signal).or_else(|| self.named(names.all));
            named.map(|(setting, path)| {
                let unreadable = |error: std::io::Error| InitError::Invalid {
                    setting,
                    value: path.clone(),
                    expected: format!("the path of a PEM file ({error})"),
                };
                std::fs::read(&path).map_err(unreadable)
            })
        };
        let identity = match (file(&CLIENT_CERTIFICATE).transpose()?, file(&CLIENT_KEY).transpose()?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (given, _) => {
                let [missing, given] = if given.is_some() {
                    [CLIENT_KEY, CLIENT_CERTIFICATE]
                } else {
                    [CLIENT_CERTIFICATE, CLIENT_KEY]
                };
                return Err(InitError::Invalid {
                    setting: missing.all,
                    value: String::new(),
                    expected: format!("the path of a PEM file, as {} is set", given.all),
                });
            }
        };
        let authorities = file(&CERTIFICATE).transpose()?;
        let names = if authorities.is_some() { &CERTIFICATE } else { &CLIENT_CERTIFICATE };
        let variable = self.own(names, signal).or_else(|| self.named(names.all));
        Ok(Tls { authorities, identity, variable })
    }

    /// Without TLS there is no endpoint that asks for it.
    #[cfg(not(feature = "otlp-tls"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as with the feature")]
    pub(super) fn tls(&self, _: Signal) -> Result<Tls, InitError> {
        Ok(Tls::default())
    }
}
