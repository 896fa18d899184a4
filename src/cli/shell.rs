//! `canary-tui completions` and `canary-tui man`: what shells and man need to know, made from the definitions of the
//! command line.

use super::args::Cli;
use super::exit::Exit;
use anyhow::Result;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

/// Prints the completions of a shell.
pub fn completions(shell: Shell, out: &mut dyn Write) -> Result<Exit> {
    // A script is written as a whole: the generator cannot tell of a reader that has left.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "canary-tui", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Done)
}

/// Prints the manual, a section for each command.
pub fn man(out: &mut dyn Write) -> Result<Exit> {
    let mut command = Cli::command();
    // Gives the subcommands their full names.
    command.build();
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    commands(&command, &mut page)?;
    man.render_version_section(&mut page)?;
    out.write_all(&page)?;
    Ok(Exit::Done)
}

/// The options of each command, and of each command below it, as sections of the one page.
fn commands(command: &clap::Command, page: &mut Vec<u8>) -> Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        let name = below.get_bin_name().unwrap_or(below.get_name()).to_uppercase();
        writeln!(page, ".SH \"{name}\"")?;
        let man = clap_mangen::Man::new(below.clone());
        let mut section = Vec::new();
        man.render_synopsis_section(&mut section)?;
        man.render_description_section(&mut section)?;
        man.render_options_section(&mut section)?;
        // A page of its own would have these as sections; here they are below the command's.
        page.extend_from_slice(String::from_utf8_lossy(&section).replace(".SH ", ".SS ").as_bytes());
        commands(below, page)?;
    }
    Ok(())
}
