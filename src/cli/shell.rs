//! `portcullis completions` and `portcullis man`.

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::aot::{Shell as Generator, generate};
use clap_mangen::Man;

use crate::cli::output::Output;
use crate::cli::{Cli, FAILED, OK, USAGE};

/// Prints a script that completes commands and flags.
///
/// `source <(portcullis completions bash)`; for zsh write it to a file `_portcullis` in a directory of
/// `$fpath`, for fish to `~/.config/fish/completions/portcullis.fish`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// GNU Bash
    Bash,
    /// Z shell
    Zsh,
    /// Friendly interactive shell
    Fish,
}

/// Prints a manual page: `portcullis man serve | man -l -`.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Of which command [default: of the program as a whole]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn completions(arguments: &CompletionsArgs) -> u8 {
    let shell = match arguments.shell {
        Shell::Bash => Generator::Bash,
        Shell::Zsh => Generator::Zsh,
        Shell::Fish => Generator::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "portcullis", &mut script);
    Output::bytes(&script);
    OK
}

pub(super) fn man(arguments: &ManArgs) -> u8 {
    let page = match page(&arguments.command) {
        Ok(page) => page,
        Err(error) => {
            Output::error(&error);
            return USAGE;
        }
    };
    let mut roff = Vec::new();
    if let Err(error) = page.render(&mut roff) {
        Output::error(&error.to_string());
        return FAILED;
    }
    Output::bytes(&roff);
    OK
}

fn page(words: &[String]) -> Result<Man, String> {
    let mut command = Cli::command();
    command.build();
    let mut name = "portcullis".to_owned();
    for word in words {
        let below = command
            .get_subcommands()
            .find(|below| below.get_name() == word);
        command = below
            .cloned()
            .ok_or_else(|| format!("`{name}` has no command `{word}`"))?;
        name = format!("{name}-{word}");
    }
    Ok(Man::new(command).title(name))
}
