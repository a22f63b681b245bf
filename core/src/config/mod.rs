//! What a node needs to reach its database and open its ports, and the only place that reads the
//! environment.

/// The PostgreSQL server that tests may use.
#[cfg(test)]
pub fn test_postgres() -> Option<String> {
    std::env::var("HEARTH_TEST_POSTGRES").ok().filter(|url| !url.is_empty())
}

mod hint;
pub use hint::did_you_mean;
