//! What the compiler says about misuse: each message is on the user's own token and says what to write.
//!
//! `TRYBUILD=overwrite cargo test -p obs-macros --test ui` refreshes the expectations.

#[test]
fn misuse_is_explained_where_it_is() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
