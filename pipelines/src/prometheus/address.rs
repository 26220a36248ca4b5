//! The address of a Prometheus, as people write it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use url::Url;

/// An address as it was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The base address.
    pub url: Url,
    /// Whether no scheme was written, and `http://` was taken.
    pub assumed_http: bool,
}

/// Reads an address that a person types; `http://` is taken where there is no scheme.
///
/// # Errors
/// The text is no address of HTTP or HTTPS, with what would be right.
pub fn lenient(text: &str) -> Result<Address, String> {
    let text = text.trim();
    if text.contains("://") {
        return Ok(Address { url: strict(text)?, assumed_http: false });
    }
    Ok(Address { url: strict(&format!("http://{text}")).map_err(|_| no_address(text))?, assumed_http: true })
}

/// Reads an address that is written down: it names its scheme.
///
/// # Errors
/// As [`lenient`], and where the scheme is missing.
pub fn strict(text: &str) -> Result<Url, String> {
    let text = text.trim();
    if !text.contains("://") {
        return Err(match lenient(text) {
            Ok(meant) => format!("{text:?} names no scheme; write it as {}", meant.url.as_str().trim_end_matches('/')),
            Err(why) => why,
        });
    }
    let url: Url = text.parse().map_err(|_| no_address(text))?;
    match (url.scheme(), url.host_str()) {
        ("http" | "https", Some(host)) if !host.is_empty() => Ok(url),
        (scheme, _) => Err(format!("{scheme}:// is no scheme that Prometheus speaks; write the address as http://HOST:9090")),
    }
}

fn no_address(text: &str) -> String {
    // A password must not be shown, not even where the rest of the address is wrong.
    let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
    format!("{shown:?} is not the address of a Prometheus; write it as http://HOST:9090")
}

/// Reads the address of a configuration.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    strict(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_taken_where_a_person_names_no_scheme() {
        for (text, url, assumed) in [
            ("localhost:9090", "http://localhost:9090/", true),
            (" prom ", "http://prom/", true),
            ("10.0.0.1:9090/prometheus", "http://10.0.0.1:9090/prometheus", true),
            ("[::1]:9090", "http://[::1]:9090/", true),
            ("https://prom.example.com", "https://prom.example.com/", false),
        ] {
            let read = lenient(text).unwrap();
            assert_eq!((read.url.as_str(), read.assumed_http), (url, assumed));
        }
    }

    #[test]
    fn what_is_no_address_says_what_would_be_right() {
        assert_eq!(strict("prom:9090").unwrap_err(), "\"prom:9090\" names no scheme; write it as http://prom:9090");
        assert!(strict("ftp://prom").unwrap_err().starts_with("ftp:// is no scheme that Prometheus speaks"));
        for wrong in ["", "http://", "prom:port", "http://ann:secret@:9090"] {
            let said = lenient(wrong).unwrap_err();
            assert!(said.contains("write it as http://HOST:9090") && !said.contains("secret"), "{said}");
        }
    }
}
