//! Who an engine is: its id, which marks everything it makes, and the build it runs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::failure::{Doing, Failure, Outcome};

/// Bytes of a program's headers that are looked at.
const HEADER_BYTES: usize = 4096;
/// `PT_NOTE` of elf(5).
const SEGMENT_NOTE: u32 = 4;
/// `NT_GNU_BUILD_ID`.
const NOTE_BUILD_ID: u32 = 3;

/// The id of the engine of a data folder: eight hexadecimal digits, made once.
pub(crate) fn engine_id(data: &Path) -> Outcome<String> {
    let path = data.join("engine.id");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim();
            if id.len() == 8 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Ok(id.to_owned());
            }
            Err(Failure::new(format!("`{}` does not hold an engine's id", path.display()))
                .hint("whatever the engine made before carries its old id; remove the file only if nothing of it is left"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let id = random_id().doing(|| "cannot make up an id for the engine".to_owned())?;
            write_once(&path, &id).doing(|| format!("cannot write `{}`", path.display()))?;
            Ok(id)
        }
        Err(error) => Err(Failure::new(format!("cannot read `{}`", path.display())).because(&error)),
    }
}

fn random_id() -> io::Result<String> {
    let mut bytes = [0; 4];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The whole file or none, also after a power cut.
fn write_once(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("id.new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

/// What tells this build from another: the linker's build id, or else the program's size and time.
pub(crate) fn build_id() -> String {
    let read = || -> io::Result<String> {
        let file = File::open("/proc/self/exe")?;
        let mut header = vec![0; HEADER_BYTES];
        let length = file.read_at(&mut header, 0)?;
        header.truncate(length);
        if let Some(id) = elf_build_id(&header) {
            return Ok(id);
        }
        let found = file.metadata()?;
        Ok(format!("{:x}-{:x}{:09x}", found.size(), found.mtime(), found.mtime_nsec()))
    };
    read().unwrap_or_else(|_| "unknown".to_owned())
}

/// The build id in the first bytes of a 64-bit ELF file, where linkers put their notes.
fn elf_build_id(bytes: &[u8]) -> Option<String> {
    let at = |offset: usize, length: usize| bytes.get(offset..offset.checked_add(length)?);
    let u16_at = |offset| Some(u16::from_ne_bytes(at(offset, 2)?.try_into().ok()?));
    let u32_at = |offset| Some(u32::from_ne_bytes(at(offset, 4)?.try_into().ok()?));
    let u64_at = |offset| usize::try_from(u64::from_ne_bytes(at(offset, 8)?.try_into().ok()?)).ok();
    if at(0, 5)? != b"\x7fELF\x02" {
        return None;
    }
    let (table, size, count) = (u64_at(32)?, usize::from(u16_at(54)?), usize::from(u16_at(56)?));
    for index in 0..count {
        let entry = table.checked_add(index.checked_mul(size)?)?;
        if u32_at(entry)? != SEGMENT_NOTE {
            continue;
        }
        let (mut note, length) = (u64_at(entry.checked_add(8)?)?, u64_at(entry.checked_add(32)?)?);
        let end = note.checked_add(length)?;
        while note < end {
            let (Some(name), Some(value), Some(kind)) = (u32_at(note), u32_at(note + 4), u32_at(note + 8))
            else {
                break;
            };
            let (name, value) = (name as usize, value as usize);
            let start = note.checked_add(12)?.checked_add(name.next_multiple_of(4))?;
            if kind == NOTE_BUILD_ID && at(note + 12, name)? == b"GNU\0" {
                return Some(at(start, value)?.iter().map(|byte| format!("{byte:02x}")).collect());
            }
            note = start.checked_add(value.next_multiple_of(4))?;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_keeps_its_id() {
        let folder = tempfile::tempdir().unwrap();
        let id = engine_id(folder.path()).unwrap();
        assert_eq!(id.len(), 8);
        assert_eq!(engine_id(folder.path()).unwrap(), id);
        fs::write(folder.path().join("engine.id"), "../..").unwrap();
        assert!(engine_id(folder.path()).is_err());
    }

    #[test]
    fn a_build_is_known_by_its_note() {
        assert_eq!(build_id(), build_id());
        assert!(build_id().len() >= 10, "{}", build_id());
        let header = fs::read("/proc/self/exe").unwrap();
        for cut in (0..HEADER_BYTES).step_by(7) {
            let _ = elf_build_id(&header[..cut]);
        }
        let mut bad = header[..HEADER_BYTES].to_vec();
        for at in 0..600 {
            bad[at] = 0xff;
            let _ = elf_build_id(&bad);
            bad[at] = header[at];
        }
    }
}
