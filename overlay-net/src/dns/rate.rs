//! How many questions one container may ask: a bucket that fills steadily and holds so many. Pure.

use std::time::Duration;

use crate::limits;

/// Questions that may still be asked. Times are since any fixed moment.
#[derive(Debug)]
pub(super) struct Bucket {
    tokens: f64,
    filled: Duration,
}

impl Bucket {
    pub(super) fn new(now: Duration) -> Bucket {
        Bucket { tokens: limits::DNS_BURST, filled: now }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * limits::DNS_PER_SECOND).min(limits::DNS_BURST);
        self.filled = self.filled.max(now);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let mut bucket = Bucket::new(Duration::ZERO);
        let passed = |bucket: &mut Bucket, now| (0..100_000).filter(|_| bucket.take(now)).count();
        assert_eq!(passed(&mut bucket, Duration::ZERO), limits::DNS_BURST as usize);
        assert_eq!(passed(&mut bucket, Duration::from_millis(100)), (limits::DNS_PER_SECOND / 10.0) as usize);
        assert_eq!(passed(&mut bucket, Duration::from_millis(50)), 0, "time does not run backwards");
        assert_eq!(passed(&mut bucket, Duration::from_secs(3_600)), limits::DNS_BURST as usize);
    }
}
