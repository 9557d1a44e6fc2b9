//! The account of a daemon: a phrase in a file that only its user reads, or a development key that the command line names.

use super::folder;
use anyhow::{Context, Result};
use bip39::Mnemonic;
use chain::keys::Keys;
use std::path::Path;

/// How many random bytes a phrase of 12 words holds.
const ENTROPY: usize = 16;

/// Text that is not used as a key, for what it is.
#[derive(Debug, PartialEq, Eq)]
pub struct BadKey(String);

impl std::fmt::Display for BadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadKey {}

/// The keys of a folder.
pub struct Found {
    /// The keys.
    pub keys: Keys,
    /// Whether they have just been made.
    pub new: bool,
}

/// The keys in the folder, made if there are none.
///
/// # Errors
/// [`BadKey`], or if the file can be neither read nor written.
pub fn in_folder(folder: &Path) -> Result<Found> {
    let path = folder.join(folder::KEY);
    if let Some(text) = folder::read(&path)? {
        let keys = parse(text.trim()).with_context(|| path.display().to_string())?;
        return Ok(Found { keys, new: false });
    }
    let mut entropy = [0; ENTROPY];
    getrandom::fill(&mut entropy).map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    let phrase = Mnemonic::from_entropy(&entropy).context("no phrase can be made")?.to_string();
    let keys = Keys::from_suri(&phrase)?;
    folder::write_private(&path, &format!("{phrase}\n"))?;
    Ok(Found { keys, new: true })
}

/// The keys of a file's text: a phrase or a seed, each with or without derivations.
fn parse(text: &str) -> Result<Keys> {
    let refuse = |what: &str| Err(BadKey(what.to_owned()).into());
    let secret = text.split('/').next().unwrap_or_default().trim();
    if text.is_empty() {
        return refuse("the file is empty: write the account's phrase into it, or delete it to have one made");
    }
    if secret.is_empty() {
        return refuse(
            "it holds no phrase but only a derivation or a path: the account would be one of the public development \
             phrase, which anybody can empty. Write a phrase of your own, or name a development key with --suri //Alice",
        );
    }
    let words = secret.split_whitespace().count();
    if secret.strip_prefix("0x").is_none() && Mnemonic::parse_normalized(secret).is_err() {
        let what = format!(
            "it holds no phrase and no seed but {words} word(s) that are none: write 12 words, or 0x and 64 hexadecimal digits"
        );
        return Err(BadKey(what).into());
    }
    Ok(Keys::from_suri(text)?)
}

/// The keys that a command line names. What is a secret has no place there: others on the machine see it, and shells keep it.
///
/// # Errors
/// [`BadKey`] unless it is a development key.
pub fn development(suri: &str) -> Result<Keys, BadKey> {
    let refuse = |what: &str| Err(BadKey(format!("--suri {what}")));
    let next =
        "put the account's phrase into the file `key` of the folder; --suri is for development keys like //Alice";
    let name = suri.strip_prefix("//");
    let is_name = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let named = name.is_some_and(|name| {
        name.starts_with(|first: char| first.is_ascii_uppercase()) && name.split("//").all(is_name)
    });
    match suri.trim() {
        "" => refuse(&format!("is empty: {next}")),
        _ if named => Keys::from_suri(suri).map_err(|error| BadKey(format!("--suri: {error}"))),
        text if text.starts_with('/') || text.contains(['.', '\\', '~']) || Path::new(text).exists() => {
            refuse(&format!("is a path, which would be an account that anybody can empty: {next}"))
        }
        text if text.contains(' ') || text.starts_with("0x") => {
            refuse(&format!("is a secret, and others can see a command line: {next}"))
        }
        _ => refuse(&format!("is no development key: {next}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn a_phrase_is_made_once_and_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let made = in_folder(folder.path()).unwrap();
        let again = in_folder(folder.path()).unwrap();
        assert!(made.new && !again.new);
        assert_eq!(made.keys.account(), again.keys.account());
        let path = folder.path().join(folder::KEY);
        assert_eq!(fs::read_to_string(&path).unwrap().split_whitespace().count(), 12);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_development_keys_are_taken_from_a_command_line() {
        for good in ["//Alice", "//Alice//stash", "//Player7"] {
            assert_eq!(development(good).unwrap().account(), Keys::from_suri(good).unwrap().account());
        }
        let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
        for (bad, what) in [
            ("", "is empty"),
            ("key.json", "is a path"),
            ("/home/alice/key", "is a path"),
            ("//home/alice/key", "is a path"),
            ("./key", "is a path"),
            ("/Alice", "is a path"),
            (phrase, "is a secret"),
            ("0x1234", "is a secret"),
            ("Alice", "is no development key"),
        ] {
            let error = development(bad).unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains("bottom"), "{bad}: {error}");
        }
    }

    #[test]
    fn what_is_no_phrase_is_refused_for_what_it_is() {
        for (bad, what) in [
            ("", "is empty"),
            ("//Alice", "development phrase"),
            ("/home/alice/key", "development phrase"),
            ("key.json", "no phrase"),
            ("bottom drive obey", "no phrase"),
        ] {
            let error = parse(bad).unwrap_err().to_string();
            assert!(error.contains(what), "{bad}: {error}");
        }
        let phrase = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
        for good in [phrase.to_owned(), format!("{phrase}//mine"), format!("0x{}", "11".repeat(32))] {
            parse(&good).unwrap();
        }
    }
}
