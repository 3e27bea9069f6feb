//! The expansion is a pure function, so it is tested as one.
