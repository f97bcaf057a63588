//! What lies behind an error.

use std::{error::Error, iter};

/// The innermost cause of `error`: the libraries wrap what the operating system said several times.
pub(crate) fn root_cause(error: &(dyn Error + 'static)) -> String {
    iter::successors(Some(error), |&error| error.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}
