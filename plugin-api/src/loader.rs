//! Loading a plugin's library. For the server; authors do not need it.
//!
//! Loading runs code of the file and may end the process whatever is checked before: try it in a child
//! process first. A library is never unloaded and its file never overwritten; every version gets a file
//! of its own.

use std::path::Path;

use abi_stable::StableAbi;
use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{LibHeader, RootModule, lib_header_from_path};
use abi_stable::type_layout::TypeLayout;
use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Object, ObjectSymbol};

use crate::abi::{HostRef, PluginModule_Ref, PluginRef};
use crate::error::{Result as ApiResult, from_abi};
use crate::manifest::Manifest;

/// The symbol that [`export_plugin!`](crate::export_plugin) exports.
pub const ROOT_SYMBOL: &str = "_1as_0lib_1header_0root_bmodule_bloader";

#[cfg(target_arch = "x86_64")]
const MACHINE: (u16, &str) = (elf::EM_X86_64, "x86-64");
#[cfg(target_arch = "aarch64")]
const MACHINE: (u16, &str) = (elf::EM_AARCH64, "aarch64");

/// Why a file was not loaded; each in one line for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It is too short, or something else than ELF.
    #[error("the file is not a shared library (ELF)")]
    NotElf,
    /// A program, an object file, or of 32 bits.
    #[error("the file is not a shared library but {0}")]
    NotALibrary(&'static str),
    /// It was built for another processor.
    #[error("the library was built for {found}, this server runs on {wanted}")]
    Machine {
        /// Of the library.
        found: String,
        /// Of this server.
        wanted: &'static str,
    },
    /// Something is missing at its end.
    #[error("the library is truncated: it lacks at least {0} bytes")]
    Truncated(u64),
    /// It is some other library.
    #[error("the library is not a Hearth plugin: it does not export the plugin's root module")]
    NoRootModule,
    /// The system's loader refused it.
    #[error("the system cannot load the library: {0}")]
    Open(String),
    /// It was built with another major version of `hearth-plugin-api`.
    #[error(
        "the plugin was built with hearth-plugin-api {theirs}, this server has {ours}: \
         build it with version {major}"
    )]
    Version {
        /// Of the library.
        theirs: String,
        /// Of this server.
        ours: String,
        /// Of this server.
        major: String,
    },
    /// Versions fit but the types do not.
    #[error(
        "the plugin's hearth-plugin-api {theirs} does not fit this server's {ours} \
         ({differences}): build it with a released version"
    )]
    Layout {
        /// Of the library.
        theirs: String,
        /// Of this server.
        ours: String,
        /// In short.
        differences: String,
    },
    /// Its manifest cannot be read or is wrong.
    #[error("{0}")]
    Manifest(String),
}

/// A library in memory, for as long as the process lives.
#[derive(Clone, Copy)]
pub struct Library(PluginModule_Ref);

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Library")
    }
}

impl Library {
    /// Who it is; checked.
    pub fn manifest(&self) -> Result<Manifest, LoadError> {
        let json = (self.0.manifest())();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap_or_default();
        if let Some(fault) = value["fault"].as_str() {
            return Err(LoadError::Manifest(format!("the plugin's manifest failed: {fault}")));
        }
        let unreadable = |error| LoadError::Manifest(format!("the plugin's manifest: {error}"));
        let manifest: Manifest = serde_json::from_value(value).map_err(unreadable)?;
        manifest.check().map_err(|error| LoadError::Manifest(error.message))?;
        Ok(manifest)
    }

    /// Makes an instance. Runs the plugin's code: bound its time.
    pub fn create(&self, host: HostRef) -> ApiResult<PluginRef> {
        from_abi((self.0.create())(host))
    }
}

/// Looks at a file without running anything of it: what the system's loader would die of is refused
/// here. What passes may still be damaged.
pub fn precheck(file: &[u8]) -> Result<(), LoadError> {
    if !file.starts_with(&elf::ELFMAG) || file.len() < 64 {
        return Err(LoadError::NotElf);
    }
    if file[4] != elf::ELFCLASS64 {
        return Err(LoadError::NotALibrary("built for 32 bits"));
    }
    let header = elf::FileHeader64::<object::Endianness>::parse(file);
    let header = header.map_err(|_| LoadError::NotElf)?;
    let endian = header.endian().map_err(|_| LoadError::NotElf)?;
    check_machine(header.e_machine(endian))?;
    match header.e_type(endian) {
        elf::ET_DYN => {}
        elf::ET_EXEC => return Err(LoadError::NotALibrary("a program")),
        elf::ET_REL => return Err(LoadError::NotALibrary("an object file")),
        _ => return Err(LoadError::NotALibrary("another kind of ELF file")),
    }
    check_length(file, header, endian)?;
    let parsed = ElfFile64::<object::Endianness>::parse(file).map_err(|_| LoadError::NotElf)?;
    let exported = |symbol: object::read::elf::ElfSymbol64<'_, '_, _>| {
        symbol.is_definition() && symbol.name() == Ok(ROOT_SYMBOL)
    };
    match parsed.dynamic_symbols().any(exported) {
        true => Ok(()),
        false => Err(LoadError::NoRootModule),
    }
}

fn check_machine(machine: u16) -> Result<(), LoadError> {
    if machine == MACHINE.0 {
        return Ok(());
    }
    let found = match machine {
        elf::EM_X86_64 => "x86-64".to_owned(),
        elf::EM_AARCH64 => "aarch64".to_owned(),
        elf::EM_RISCV => "riscv".to_owned(),
        other => format!("processor {other}"),
    };
    Err(LoadError::Machine { found, wanted: MACHINE.1 })
}

/// A page of a mapped file that lies beyond its end kills the process that touches it.
fn check_length(
    file: &[u8],
    header: &elf::FileHeader64<object::Endianness>,
    endian: object::Endianness,
) -> Result<(), LoadError> {
    let table_end = |offset: u64, size: u16, count: u16| {
        offset.saturating_add(u64::from(size) * u64::from(count))
    };
    let programs =
        table_end(header.e_phoff(endian), header.e_phentsize(endian), header.e_phnum(endian));
    let sections =
        table_end(header.e_shoff(endian), header.e_shentsize(endian), header.e_shnum(endian));
    within(file, programs.max(sections))?;
    let segments = header.program_headers(endian, file).map_err(|_| LoadError::NotElf)?;
    let end = |segment: &elf::ProgramHeader64<object::Endianness>| {
        segment.p_offset(endian).saturating_add(segment.p_filesz(endian))
    };
    within(file, segments.iter().map(end).max().unwrap_or_default())
}

fn within(file: &[u8], end: u64) -> Result<(), LoadError> {
    match end.checked_sub(file.len() as u64) {
        None | Some(0) => Ok(()),
        Some(missing) => Err(LoadError::Truncated(missing)),
    }
}

/// Opens a library that has passed [`precheck`]. It stays in memory; the same path again gives the same
/// library.
pub fn load(path: &Path) -> Result<Library, LoadError> {
    let open = |error: abi_stable::library::LibraryError| LoadError::Open(one_line(&error));
    let header = lib_header_from_path(path).map_err(open)?;
    check_version(header)?;
    check_layouts(header)?;
    // SAFETY: `check_layouts` has compared the layout of the library's root module with ours; it stands
    // in for the check of `init_root_module`, which would refuse plugins of an older level.
    #[allow(unsafe_code)]
    let module = unsafe { header.init_root_module_with_unchecked_layout::<PluginModule_Ref>() };
    Ok(Library(module.map_err(open)?))
}

fn check_version(header: &LibHeader) -> Result<(), LoadError> {
    let (theirs, ours) = versions(header);
    let major = |version: &str| version.split('.').next().unwrap_or_default().to_owned();
    if major(&theirs) == major(&ours) {
        return Ok(());
    }
    let major = major(&ours);
    Err(LoadError::Version { theirs, ours, major })
}

fn versions(header: &LibHeader) -> (String, String) {
    let theirs = header.version_strings().version.as_str().to_owned();
    (theirs, PluginModule_Ref::VERSION_STRINGS.version.as_str().to_owned())
}

/// The two may be of different levels: either may be the one that has more at the end of its types.
/// That is sound: fields and methods there are looked up by the length of the other side's table.
fn check_layouts(header: &LibHeader) -> Result<(), LoadError> {
    let (theirs, ours) = versions(header);
    let refused = |differences: String| LoadError::Layout {
        theirs: theirs.clone(),
        ours: ours.clone(),
        differences,
    };
    let layout: &'static TypeLayout =
        header.layout().ok_or_else(|| refused("it does not say its layout".to_owned()))?;
    let mine = <PluginModule_Ref as StableAbi>::LAYOUT;
    if check_layout_compatibility(mine, layout).is_ok() {
        return Ok(());
    }
    check_layout_compatibility(layout, mine).map_err(|error| refused(condensed(&error.to_string())))
}

/// The differences at the end of abi_stable's report, which for the rest is a dump of the types.
fn condensed(report: &str) -> String {
    let firsts = report.split("\nError:").skip(1).map(|error| {
        let line = |name: &str| {
            error.lines().find_map(|line| line.trim().strip_prefix(name)).map(str::trim)
        };
        let what = error.lines().next().unwrap_or_default().trim();
        match (line("Expected:"), line("Found:")) {
            (Some(expected), Some(found)) if !expected.is_empty() => {
                format!("{what} {expected}/{found}")
            }
            _ => what.to_owned(),
        }
    });
    let mut firsts: Vec<_> = firsts.filter(|text| !text.is_empty()).collect();
    firsts.dedup();
    let count = firsts.len();
    firsts.truncate(3);
    let text = firsts.join("; ");
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().take(300).collect();
    match count {
        0 => "its types differ".to_owned(),
        1..=3 => text,
        _ => format!("{count} differences: {text}; …"),
    }
}

fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(300).collect()
}
