//! What may happen to the files of a journal.

use arbitrary::{Result, Unstructured};
use logging_service::store::journal::disk::SimulatedDisk;

use super::forge::{FRAME_MAGIC, Forge, HEADER, forge, frames};

/// Makes one change. Sets `renewed` if afterwards nothing tells it from what the journal wrote.
pub(super) fn edit(
    disk: &SimulatedDisk,
    choices: &mut Unstructured<'_>,
    renewed: &mut bool,
) -> Result<()> {
    let files: Vec<(String, Vec<u8>)> = disk.contents();
    if files.is_empty() {
        return Err(arbitrary::Error::NotEnoughData);
    }
    let (name, mut bytes) = choices.choose(&files)?.clone();
    match choices.int_in_range(0..=11)? {
        0 => flip(&mut bytes, choices)?,
        1 => bytes.truncate(place(&bytes, choices)?),
        2 => {
            let content = choices.bytes(usize::min(choices.len(), 16))?;
            let at = place(&bytes, choices)?;
            bytes.splice(at..(at + content.len()).min(bytes.len()), content.iter().copied());
        }
        3 => {
            let (at, end) = (place(&bytes, choices)?, place(&bytes, choices)?);
            bytes.get_mut(at..end).unwrap_or_default().fill(0);
        }
        4 => {
            let from = &choices.choose(&files)?.1;
            copy_frame(&mut bytes, choices, from)?;
        }
        5 => swap_frames(&mut bytes, choices)?,
        6 => {
            let frames = frames(&bytes);
            if !frames.is_empty() {
                drop(bytes.drain(choices.choose(&frames)?.clone()));
            }
        }
        7 => {
            let (other, content) = choices.choose(&files)?.clone();
            disk.put(&other, &bytes);
            bytes = content;
        }
        8 => {
            disk.delete(&name);
            return Ok(());
        }
        9 => {
            let sequence = choices.int_in_range(0..=40)?;
            disk.put(&format!("{sequence:020}.segment"), &bytes);
        }
        10 => bytes.resize(bytes.len() + choices.int_in_range(0..=200)?, choices.arbitrary()?),
        _ => {
            // A change that a bug could write, not a disk: of a header, with its checksums.
            let frames = frames(&bytes);
            let start = if frames.is_empty() { 0 } else { choices.choose(&frames)?.start };
            let field = start + choices.int_in_range(0..=HEADER + 40)?;
            let value = choices.bytes(usize::min(choices.len(), 8))?;
            if let Some(target) = bytes.get_mut(field..field + value.len()) {
                target.copy_from_slice(value);
            }
            let what = Forge::from_choice(choices.arbitrary()?);
            forge(&mut bytes, what);
            *renewed |= what != Forge::Nothing;
        }
    }
    disk.put(&name, &bytes);
    Ok(())
}

fn place(bytes: &[u8], choices: &mut Unstructured<'_>) -> Result<usize> {
    Ok(usize::from(choices.arbitrary::<u16>()?).min(bytes.len()))
}

fn flip(bytes: &mut [u8], choices: &mut Unstructured<'_>) -> Result<()> {
    let (at, bit) = (usize::from(choices.arbitrary::<u16>()?), choices.int_in_range(0..=7)?);
    let len = bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at % len) {
        *byte ^= 1 << bit;
    }
    Ok(())
}

/// A frame of some file in a place of another frame, over it or in front of it.
fn copy_frame(bytes: &mut Vec<u8>, choices: &mut Unstructured<'_>, from: &[u8]) -> Result<()> {
    let (sources, targets) = (frames(from), frames(bytes));
    if sources.is_empty() {
        return Ok(());
    }
    let source = &from[choices.choose(&sources)?.clone()];
    debug_assert!(source.starts_with(FRAME_MAGIC));
    let end = targets.last().map_or(HEADER.min(bytes.len()), |last| last.end);
    let at = if choices.arbitrary()? || targets.is_empty() {
        end
    } else {
        choices.choose(&targets)?.start
    };
    let until = if choices.arbitrary()? { (at + source.len()).min(bytes.len()) } else { at };
    bytes.splice(at..until, source.iter().copied());
    Ok(())
}

fn swap_frames(bytes: &mut Vec<u8>, choices: &mut Unstructured<'_>) -> Result<()> {
    let frames = frames(bytes);
    if frames.is_empty() {
        return Ok(());
    }
    let (one, other) = (choices.choose(&frames)?.clone(), choices.choose(&frames)?.clone());
    let (first, second) = if one.start <= other.start { (one, other) } else { (other, one) };
    if first.end <= second.start {
        let (early, late) = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
        bytes.splice(second, early);
        bytes.splice(first, late);
    }
    Ok(())
}
