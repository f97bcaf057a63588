//! Repair.
use super::{disk::Disk, error::OpenError};
pub(super) fn is_unfinished(disk: &dyn Disk) -> Result<bool, OpenError> {
    let names = disk.list().map_err(OpenError::io("list the data directory"))?;
    Ok(names.iter().any(|name| name == "REPAIR"))
}
