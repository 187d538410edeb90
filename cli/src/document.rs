//! Reads documents. The commands `weir validate` and `weir schema`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use weir_crds::Finding;
use weir_crds::former::{self, Style};
use weir_plan::Plan;

use crate::columns;
use crate::exit::BAD_INPUT;
use crate::say::{self, err, out};

/// A document, and another one to merge over it.
#[derive(Debug, Args)]
pub struct DocumentArgs {
    /// The StreamPipeline document, in YAML; `-` for standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: PathBuf,
    /// Another document to merge over FILE, for example with the settings of this machine.
    ///
    /// Mappings merge by key, lists by the `name` of their elements, and `null` removes a key.
    #[arg(long = "override", value_name = "FILE")]
    pub overrides: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ValidateArgs {
    #[command(flatten)]
    document: DocumentArgs,
    /// Print FILE in the current shape of documents, and check nothing else.
    ///
    /// Comments, order and quotes are kept if possible. The file of `--override` is not printed: rewrite it with a call
    /// of its own.
    #[arg(long)]
    rewrite: bool,
}

/// Loads and lowers a document.
///
/// # Errors
/// All errors, one per line.
pub fn load(args: &DocumentArgs) -> Result<Plan, String> {
    with_texts(args, weir_crds::load)
}

/// Like [`load`], with notices about a document that may not do what its author meant.
///
/// # Errors
/// All errors, one per line.
pub fn load_with_notices(args: &DocumentArgs) -> Result<(Plan, Vec<String>), String> {
    with_texts(args, |text, override_text| {
        let loaded = weir_crds::load_whole(text, override_text)?;
        let of_override = override_text.map(weir_crds::notices_of_text).unwrap_or_default();
        let of_override = of_override.into_iter().map(|notice| format!("in the override: {notice}"));
        let notices = weir_crds::notices(&loaded).into_iter().chain(weir_crds::notices_of_text(text));
        let notices = notices.chain(of_override).collect();
        Ok((loaded.plan, notices))
    })
}

/// The result of `read_both` for the texts of the document and of the override.
///
/// # Errors
/// All errors, one per line.
pub fn with_texts<T>(
    args: &DocumentArgs,
    read_both: impl FnOnce(&str, Option<&str>) -> Result<T, Vec<Finding>>,
) -> Result<T, String> {
    let text = read(&args.file)?;
    let overrides = args.overrides.as_deref().map(read).transpose()?;
    read_both(&text, overrides.as_deref()).map_err(|findings| lines(&findings))
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reports the errors that [`load`] found.
pub fn refuse(args: &DocumentArgs, errors: &str) -> ExitCode {
    let count = errors.lines().inspect(|error| err!("error: {error}")).count();
    let plural = if count == 1 { "" } else { "s" };
    err!("{}: {count} error{plural}", args.file.display());
    ExitCode::from(BAD_INPUT)
}

pub fn validate(args: &ValidateArgs) -> ExitCode {
    let ValidateArgs { document: args, rewrite } = args;
    if *rewrite {
        return self::rewrite(args);
    }
    match load_with_notices(args) {
        Ok((plan, notices)) => {
            out!(
                "{}: valid: {} source(s), {} step(s), {} sink(s)",
                args.file.display(),
                plan.sources.len(),
                plan.steps.len(),
                plan.sinks.len()
            );
            say::print(&columns::described(&plan));
            notices.iter().for_each(|notice| err!("warning: {notice}"));
            ExitCode::SUCCESS
        }
        Err(errors) => {
            let code = refuse(args, &errors);
            for file in std::iter::once(&args.file).chain(&args.overrides).filter(|file| can_be_rewritten(file)) {
                err!("`weir validate --rewrite -f {}` prints the document as it is written now", file.display());
            }
            code
        }
    }
}

fn can_be_rewritten(file: &Path) -> bool {
    let Ok(text) = read(file) else { return false };
    former::rewrite(&text).is_ok_and(|rewritten| rewritten.is_some_and(|rewritten| rewritten.text != text))
}

fn rewrite(args: &DocumentArgs) -> ExitCode {
    let file = args.file.display();
    let rewritten = read(&args.file).and_then(|text| match former::rewrite(&text) {
        Ok(rewritten) => Ok((text, rewritten)),
        Err(findings) => Err(lines(&findings)),
    });
    match rewritten {
        Ok((text, None)) => {
            say::print(&text);
            err!("{file}: nothing to rewrite: the document is printed as it is");
        }
        Ok((_, Some(rewritten))) => {
            say::print(&rewritten.text);
            if rewritten.style == Style::Lost {
                err!(
                    "{file}: comments are lost: one change can't be made in the text, so the document is printed anew"
                );
            }
            for found in &rewritten.left {
                err!("{file}: not rewritten, since only you know what is meant: {found}");
            }
        }
        Err(errors) => return refuse(args, &errors),
    }
    ExitCode::SUCCESS
}

pub fn schema() -> ExitCode {
    // `{:#}` indents the schema, since people read it too.
    out!("{:#}", weir_crds::json_schema());
    ExitCode::SUCCESS
}

/// The most bytes that are read of a file. It is more than a document may have, so the parser still reports a document
/// that is too long.
const READ_BYTES_MAX: u64 = 2 << 20;

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut read_all = |from: &mut dyn Read| from.take(READ_BYTES_MAX).read_to_end(&mut bytes);
    let read = match path.to_str() {
        Some("-") => read_all(&mut std::io::stdin()),
        _ => std::fs::File::open(path).and_then(|mut file| read_all(&mut file)),
    };
    read.map_err(|e| format!("{}: {e}", path.display()))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        format!("{}: the text is not UTF-8 from its byte {at} on: save it as UTF-8", path.display())
    })
}
