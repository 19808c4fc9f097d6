//! What may be used once, and was: nonces, and signatures that have none.
//!
//! Each credential has a memory of its own with a bound of its own, so that nobody can fill that of another.
//! It is written only after a signature was verified, keeps everything for as long as it would be accepted,
//! and never gives up an entry before: what cannot be remembered is refused.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{self, SHA256};

use crate::authn::signature::Once;
use crate::clock::Timestamp;
use crate::verdict::{Reason, Refusal};

/// How many uses one credential's memory holds unless told otherwise.
pub const DEFAULT_CAPACITY: usize = 1_000_000;

/// Kept beyond its time, in case the clock is set back.
const KEPT_LONGER: Duration = Duration::from_secs(30);

/// Locks are held for one look-up, so a few parts are enough to keep workers apart.
const SHARDS: usize = 16;

/// A shard is swept when it has grown to this, and then whenever it has doubled.
const SWEPT_FIRST: usize = 64;

/// A place that remembers uses. A store that replicas share implements it as well as memory does.
pub trait Replays: Send + Sync {
    /// Notes a use, unless it was noted before. Of two at once exactly one is the first.
    ///
    /// # Errors
    /// `signature_replayed`; `replay_memory_full`; `dependency_unavailable` where memory is elsewhere.
    fn use_once(
        &self,
        once: &Once,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Whether a use was noted before; notes nothing.
    ///
    /// # Errors
    /// As for [`Replays::use_once`].
    fn look(&self, once: &Once, now: Timestamp)
    -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// The memories of all credentials, which outlive the policies.
#[derive(Clone)]
pub struct ReplayMemories(Arc<Registry>);

impl ReplayMemories {
    /// Forgets all uses: for who judges the same requests again and again, and serves nobody.
    pub fn forget(&self) {
        let all = self.0.by_credential.lock();
        for memory in all.unwrap_or_else(PoisonError::into_inner).values() {
            for shard in memory
                .shards
                .get()
                .into_iter()
                .flat_map(|shards| shards.iter())
            {
                let forgotten = std::mem::take(&mut *lock(shard)).until.len();
                memory.held.fetch_sub(forgotten, Ordering::Relaxed);
            }
        }
    }
}

impl Default for ReplayMemories {
    fn default() -> Self {
        Self::new(DEFAULT_CAPACITY)
    }
}

struct Registry {
    shared: Arc<Shared>,
    capacity: usize,
    by_credential: Mutex<HashMap<Box<str>, Arc<ReplayMemory>>>,
}

impl ReplayMemories {
    /// Memories for `capacity` uses each.
    pub fn new(capacity: usize) -> Self {
        let mut key = [0; 32];
        // Without random bytes entries could be made to fall into one bucket, and into nobody's hands.
        let _ = aws_lc_rs::rand::fill(&mut key);
        let shared = Shared {
            key,
            latest: AtomicI64::new(i64::MIN),
        };
        Self(Arc::new(Registry {
            shared: Arc::new(shared),
            capacity,
            by_credential: Mutex::default(),
        }))
    }

    /// The memory of one credential, by a name that no other has. It is the same one for as long as anything
    /// in it counts, whatever becomes of the policies meanwhile.
    pub fn of(&self, credential: &str) -> Arc<ReplayMemory> {
        let now = Timestamp::from_micros(self.0.shared.latest.load(Ordering::Relaxed));
        let mut all = self
            .0
            .by_credential
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Whose credential is gone, and whose last entry is over.
        all.retain(|_, memory| Arc::strong_count(memory) > 1 || !memory.is_over(now));
        let memory = all.entry(credential.into()).or_insert_with(|| {
            Arc::new(ReplayMemory::new(
                Arc::clone(&self.0.shared),
                self.0.capacity,
            ))
        });
        Arc::clone(memory)
    }
}

/// What all memories of a registry have in common.
struct Shared {
    /// Names are digests under this key.
    key: [u8; 32],
    /// The latest time that any of them was used at, in microseconds.
    latest: AtomicI64,
}

/// The uses of one credential, in this process.
pub struct ReplayMemory {
    shared: Arc<Shared>,
    capacity: usize,
    held: AtomicUsize,
    /// The second in which all of it was last swept for want of room.
    swept: AtomicI64,
    /// Made when first needed: most credentials sleep.
    shards: OnceLock<Box<[Mutex<Shard>; SHARDS]>>,
}

type Name = [u8; 16];

#[derive(Default)]
struct Shard {
    until: HashMap<Name, Timestamp, BuildHasherDefault<Spread>>,
    sweep_at: usize,
}

/// Names are digests: their first bytes are as good as any hash of them.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_ne_bytes(*first);
        }
    }
}

/// What became of a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    First,
    Again,
    Full,
}

impl ReplayMemory {
    fn new(shared: Arc<Shared>, capacity: usize) -> Self {
        Self {
            shared,
            capacity,
            held: AtomicUsize::new(0),
            swept: AtomicI64::new(i64::MIN),
            shards: OnceLock::new(),
        }
    }

    /// How many uses it holds, those that are over but not swept yet among them.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn name(&self, value: &[u8]) -> Name {
        let mut context = digest::Context::new(&SHA256);
        context.update(&self.shared.key);
        context.update(value);
        let digest = context.finish();
        digest.as_ref().first_chunk().copied().unwrap_or_default()
    }

    fn shards(&self) -> &[Mutex<Shard>; SHARDS] {
        self.shards.get_or_init(Box::default)
    }

    fn shard(&self, name: &Name) -> &Mutex<Shard> {
        // The last byte chooses the shard, the first ones the place in it.
        let [first, ..] = self.shards();
        let [.., last] = name;
        let chosen = usize::from(*last) % SHARDS;
        self.shards().get(chosen).unwrap_or(first)
    }

    fn note(&self, once: &Once, now: Timestamp) -> Noted {
        let name = self.name(&once.value);
        let until = once.until.plus(KEPT_LONGER);
        self.shared
            .latest
            .fetch_max(now.micros(), Ordering::Relaxed);
        let mut shard = lock(self.shard(&name));
        if shard.until.get(&name).is_some_and(|until| *until >= now) {
            return Noted::Again;
        }
        if shard.until.len() >= shard.sweep_at.max(SWEPT_FIRST) {
            self.sweep(&mut shard, now);
        }
        if self.held() >= self.capacity {
            // Others' shards may hold what is over. The lock is let go meanwhile, so all is judged anew.
            drop(shard);
            if !self.make_room(now) {
                return Noted::Full;
            }
            shard = lock(self.shard(&name));
            if shard.until.get(&name).is_some_and(|until| *until >= now) {
                return Noted::Again;
            }
        }
        if shard.until.insert(name, until).is_none() {
            self.held.fetch_add(1, Ordering::Relaxed);
        }
        Noted::First
    }

    fn seen(&self, once: &Once, now: Timestamp) -> bool {
        let name = self.name(&once.value);
        let shard = lock(self.shard(&name));
        shard.until.get(&name).is_some_and(|until| *until >= now)
    }

    fn sweep(&self, shard: &mut Shard, now: Timestamp) {
        let before = shard.until.len();
        shard.until.retain(|_, until| *until >= now);
        let after = shard.until.len();
        shard.sweep_at = after.saturating_mul(2);
        // What a burst needed is given back.
        if after < shard.until.capacity() / 4 {
            shard.until.shrink_to(after.saturating_mul(2));
        }
        self.held
            .fetch_sub(before.saturating_sub(after), Ordering::Relaxed);
    }

    /// Sweeps everything, at most once in a second. Whether there is room then.
    fn make_room(&self, now: Timestamp) -> bool {
        let second = now.seconds();
        if self.swept.swap(second, Ordering::Relaxed) != second {
            for shard in self.shards() {
                self.sweep(&mut lock(shard), now);
            }
        }
        self.held() < self.capacity
    }

    fn is_over(&self, now: Timestamp) -> bool {
        let Some(shards) = self.shards.get() else {
            return true;
        };
        let mut shards = shards.iter();
        shards.all(|shard| lock(shard).until.values().all(|until| *until < now))
    }
}

fn lock(shard: &Mutex<Shard>) -> std::sync::MutexGuard<'_, Shard> {
    // A panic between two changes leaves an entry too many or a count too high, and both refuse.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn replayed() -> Refusal {
    Refusal::new(
        Reason::SignatureReplayed,
        "this nonce, or this signature, was used before",
    )
}

impl Replays for ReplayMemory {
    async fn use_once(&self, once: &Once, now: Timestamp) -> Result<(), Refusal> {
        match self.note(once, now) {
            Noted::First => Ok(()),
            Noted::Again => Err(replayed()),
            Noted::Full => Err(Refusal::new(
                Reason::ReplayMemoryFull,
                format!(
                    "the credential has used {} nonces or signatures that would still be accepted, and no more can be remembered",
                    self.capacity
                ),
            )),
        }
    }

    async fn look(&self, once: &Once, now: Timestamp) -> Result<(), Refusal> {
        if self.seen(once, now) {
            Err(replayed())
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt as _;
    use proptest::prelude::{any, prop, proptest};

    use super::{KEPT_LONGER, Noted, ReplayMemories, ReplayMemory, Replays};
    use crate::authn::signature::Once;
    use crate::clock::Timestamp;
    use crate::verdict::Reason;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn once(value: &[u8], until: i64) -> Once {
        Once {
            value: value.to_vec(),
            until: at(until),
        }
    }

    fn memory(capacity: usize) -> Arc<ReplayMemory> {
        ReplayMemories::new(capacity).of("a")
    }

    #[test]
    fn k4_refuses_the_second_use_for_as_long_as_it_would_be_accepted() {
        let memory = memory(10);
        let nonce = once(b"n", 300);
        assert_eq!(memory.note(&nonce, at(0)), Noted::First);
        for now in [0, 1, 299, 300, 330] {
            assert_eq!(memory.note(&nonce, at(now)), Noted::Again, "{now}");
            assert!(memory.seen(&nonce, at(now)), "{now}");
        }
        let over = 301 + KEPT_LONGER.as_secs().cast_signed();
        assert!(!memory.seen(&nonce, at(over)));
        assert_eq!(memory.note(&once(b"n", over + 300), at(over)), Noted::First);
        assert_eq!(memory.held(), 1);
    }

    #[test]
    fn looking_notes_nothing() {
        let memory = memory(10);
        let nonce = once(b"n", 300);
        for _ in 0..3 {
            assert!(memory.look(&nonce, at(0)).now_or_never().unwrap().is_ok());
        }
        assert_eq!(memory.note(&nonce, at(0)), Noted::First);
        let seen = memory.look(&nonce, at(0)).now_or_never().unwrap();
        assert_eq!(seen.unwrap_err().reason, Reason::SignatureReplayed);
    }

    #[test]
    fn refuses_what_it_cannot_remember_until_something_is_over() {
        let memory = memory(100);
        for number in 0..100u32 {
            assert_eq!(
                memory.note(&once(&number.to_be_bytes(), 10), at(0)),
                Noted::First
            );
        }
        for now in [0, 10, 39] {
            assert_eq!(
                memory.note(&once(b"one more", 99), at(now)),
                Noted::Full,
                "{now}"
            );
        }
        let full = memory
            .use_once(&once(b"one more", 99), at(39))
            .now_or_never();
        assert_eq!(full.unwrap().unwrap_err().reason, Reason::ReplayMemoryFull);
        // What it holds is still known, full as it is.
        assert_eq!(
            memory.note(&once(&7u32.to_be_bytes(), 10), at(39)),
            Noted::Again
        );
        assert_eq!(memory.note(&once(b"one more", 99), at(41)), Noted::First);
        assert_eq!(memory.held(), 1);
    }

    #[test]
    fn of_two_at_once_one_is_the_first() {
        let memory = memory(1_000_000);
        let firsts = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..5_000u32 {
                        if memory.note(&once(&number.to_be_bytes(), 60), at(0)) == Noted::First {
                            firsts.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(firsts.load(Ordering::Relaxed), 5_000);
        assert_eq!(memory.held(), 5_000);
    }

    #[test]
    fn memories_are_each_credentials_own_and_outlive_policies() {
        let memories = ReplayMemories::new(10);
        let nonce = once(b"n", 300);
        assert_eq!(memories.of("a").note(&nonce, at(0)), Noted::First);
        assert_eq!(memories.of("b").note(&nonce, at(0)), Noted::First);
        assert_eq!(memories.of("a").note(&nonce, at(200)), Noted::Again);
        // Nobody holds them, and all that they held is over.
        assert_eq!(
            memories.of("c").note(&once(b"n", 700), at(400)),
            Noted::First
        );
        memories.of("d");
        assert_eq!(memories.0.by_credential.lock().unwrap().len(), 2);
    }

    proptest! {
        #[test]
        fn agrees_with_a_list(
            uses in prop::collection::vec((any::<u8>(), 1i64..50, 0i64..20), 1..300),
        ) {
            let memory = memory(1_000);
            let mut model: Vec<(u8, i64)> = Vec::new();
            let mut now = 0;
            for (value, life, later) in uses {
                now += later;
                let kept = KEPT_LONGER.as_secs().cast_signed();
                let known = model.iter().any(|(other, until)| *other == value && until + kept >= now);
                let noted = memory.note(&once(&[value], now + life), at(now));
                assert_eq!(noted, if known { Noted::Again } else { Noted::First });
                if !known {
                    model.push((value, now + life));
                }
            }
        }
    }
}
