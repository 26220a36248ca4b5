//! `bellwether token`

use crate::auth;
use crate::cli::{TokenArgs, TokenCommand};
use crate::clock::now;
use crate::config::Config;
use crate::failure::{Failure, Kind};

/// Runs the command: the token goes to stdout, everything else to stderr.
pub fn run(config: &Config, args: TokenArgs) -> Result<(), Failure> {
    let TokenCommand::Issue { subject, roles, ttl } = args.command;
    let token = auth::issue(&config.serve.key_file, &subject, &roles, ttl, now()).map_err(|e| Failure::of(Kind::Config, &e))?;
    eprintln!("a token for {subject} with {} for {ttl}, signed with {}", roles.join(", "), config.serve.key_file.display());
    println!("{token}");
    Ok(())
}
