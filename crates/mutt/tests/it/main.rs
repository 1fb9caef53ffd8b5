//! System tests.

mod tidy;
