//! The generated references.
