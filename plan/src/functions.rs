//! Scalar functions of our own.
