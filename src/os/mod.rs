//! os
#![allow(unsafe_code)]
