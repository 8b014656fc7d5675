//! Builds and runs the C programs in this folder.
