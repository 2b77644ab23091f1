//! No code. Its manifest names the features of dependencies that every test build shares, so that one
//! compiled SDK of AWS serves whichever packages are tested.
