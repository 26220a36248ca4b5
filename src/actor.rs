//! Who acts, when nobody says so: the login name, or else the number of the user on this host.

use std::path::Path;

use bellwether_model::id::Actor;

use crate::failure::Failure;

/// Who acts: as given, or the login name in `USER`, or `uid-1000@host` where a service or container has no login name.
///
/// # Errors
/// Not even the user's number can be found.
pub fn actor(given: Option<&str>) -> Result<Actor, Failure> {
    let user = std::env::var("USER").ok();
    named(given, user.as_deref(), &unnamed).map(Actor::new).ok_or_else(|| {
        Failure::user("it is not known who says so: USER is not set, and the user's number cannot be found")
            .hint("name yourself with --actor")
    })
}

fn named(given: Option<&str>, user: Option<&str>, unnamed: &dyn Fn() -> Option<String>) -> Option<String> {
    let name = |text: Option<&str>| text.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
    name(given).or_else(|| name(user)).or_else(unnamed)
}

/// The number of the user whose process this is, on this host.
fn unnamed() -> Option<String> {
    let metadata = std::fs::metadata("/proc/self").or_else(|_| tempfile::tempfile()?.metadata()).ok()?;
    let uid = std::os::unix::fs::MetadataExt::uid(&metadata);
    let host = ["/proc/sys/kernel/hostname", "/etc/hostname"].iter().find_map(|path| std::fs::read_to_string(Path::new(path)).ok());
    let host = host.map(|h| h.trim().to_owned()).filter(|h| !h.is_empty()).unwrap_or_else(|| "localhost".into());
    Some(format!("uid-{uid}@{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_no_name_has_a_number() {
        let nobody = || None;
        assert_eq!(named(Some("ann"), Some("bob"), &nobody).as_deref(), Some("ann"));
        assert_eq!(named(None, Some("bob"), &nobody).as_deref(), Some("bob"));
        assert_eq!(named(Some(" "), Some(""), &nobody), None);
        let unnamed = named(None, None, &unnamed).unwrap();
        assert!(unnamed.starts_with("uid-") && unnamed.contains('@') && !unnamed.ends_with('@'), "{unnamed}");
    }
}
