//! A future grows by little for each annotation, and by its parameters only where the plain function hands them on
//! before it first waits.

use obs_runtime::observe;
use obs_tests::recorder;

const MOST: usize = 100;

/// Three levels, each awaiting the one below with a buffer at the bottom, plain and observed.
macro_rules! levels {
    ($($name:ident($parameter:ident: $ty:ty);)*) => {
        mod plain {
            $(pub(super) mod $name {
                async fn first($parameter: $ty) -> Result<usize, String> {
                    let buffer = [0_u8; 1024];
                    std::future::ready(()).await;
                    Ok(std::hint::black_box(&buffer).len() + std::mem::size_of_val(&$parameter))
                }
                async fn second($parameter: $ty) -> Result<usize, String> { first($parameter).await }
                pub async fn third($parameter: $ty) -> Result<usize, String> { second($parameter).await }
            })*
        }
        mod observed {
            $(pub(super) mod $name {
                use obs_runtime::observe;
                #[observe]
                async fn first($parameter: $ty) -> Result<usize, String> {
                    let buffer = [0_u8; 1024];
                    std::future::ready(()).await;
                    Ok(std::hint::black_box(&buffer).len() + std::mem::size_of_val(&$parameter))
                }
                #[observe]
                async fn second($parameter: $ty) -> Result<usize, String> { first($parameter).await }
                #[observe]
                pub async fn third($parameter: $ty) -> Result<usize, String> { second($parameter).await }
            })*
        }
        #[test]
        fn three_levels_grow_by_little() {
            recorder();
            $({
                let (plain, observed) = (plain::$name::third(Default::default()), observed::$name::third(Default::default()));
                let (plain, observed) = (size_of_val(&plain), size_of_val(&observed));
                println!("{}: {plain} bytes, observed {observed}", stringify!($name));
                assert!(observed <= plain + 3 * MOST, "{}: {plain} bytes, observed {observed}", stringify!($name));
            })*
        }
    };
}

levels! {
    number(n: u64);
    text(text: String);
}

async fn plain_with_a_large_one(array: [u64; 128]) -> Result<u64, String> {
    std::future::ready(()).await;
    Ok(array[0])
}

#[observe]
async fn with_a_large_one(array: [u64; 128]) -> Result<u64, String> {
    std::future::ready(()).await;
    Ok(array[0])
}

async fn plain_with_a_large_one_that_drops((list, _): ([String; 16], u8)) -> usize {
    std::future::ready(()).await;
    list.len()
}

#[observe]
async fn with_a_large_one_that_drops((list, _): ([String; 16], u8)) -> usize {
    std::future::ready(()).await;
    list.len()
}

async fn plain_with_a_borrow(text: &str) -> usize {
    std::future::ready(()).await;
    text.len()
}

#[observe(fields(text))]
async fn with_a_borrow(text: &str) -> usize {
    std::future::ready(()).await;
    text.len()
}

#[test]
fn one_level_grows_by_little() {
    recorder();
    for (plain, observed) in [
        (size_of_val(&plain_with_a_borrow("")), size_of_val(&with_a_borrow(""))),
        (size_of_val(&plain_with_a_large_one([0; 128])), size_of_val(&with_a_large_one([0; 128]))),
        (
            size_of_val(&plain_with_a_large_one_that_drops((Default::default(), 0))),
            size_of_val(&with_a_large_one_that_drops((Default::default(), 0))),
        ),
    ] {
        println!("{plain} bytes, observed {observed}");
        assert!(observed <= plain + MOST, "{plain} bytes, observed {observed}");
    }
}
