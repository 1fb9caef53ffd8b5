//! The loader of MIB files, where the fuzz targets look for it.

pub(crate) use mutt::mibs::{compile, text};
