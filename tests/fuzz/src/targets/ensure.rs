//! Ends a target with words where a claim does not hold.

macro_rules! ensure {
    ($claim:expr, $($words:tt)+) => {
        if !$claim {
            return Err(format!($($words)+));
        }
    };
}
