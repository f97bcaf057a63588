//! Short texts that are checked once, such as the names of streams: cheap to clone and to compare.

use std::sync::OnceLock;

/// Texts that were seen before, each kept once and until the end of the process.
///
/// It is bounded, whatever clients send: [`BUCKET_SLOTS`] texts in each of its buckets. Finding one takes
/// no lock and no memory.
pub(super) struct Interner<const BUCKETS: usize>([OnceLock<Box<Bucket>>; BUCKETS]);

/// Filled from the place that the hash names, without gaps, and never emptied.
type Bucket = [OnceLock<&'static str>; BUCKET_SLOTS];

/// Texts in one bucket: as many as are compared at most to find one.
const BUCKET_SLOTS: usize = 32;

impl<const BUCKETS: usize> Interner<BUCKETS> {
    pub(super) const fn new() -> Self {
        Self([const { OnceLock::new() }; BUCKETS])
    }

    /// The text with these bytes, if it is interned.
    pub(super) fn find(&self, text: &[u8]) -> Option<&'static str> {
        let hash = hash(text);
        let bucket = self.0[hash as usize % BUCKETS].get()?;
        // The first free slot is where it would have been put.
        let filled = probe(bucket, hash).map_while(OnceLock::get);
        filled.copied().find(|kept| kept.as_bytes() == text)
    }

    /// Interns `text`. `None` if its bucket is full.
    pub(super) fn intern(&self, text: &str) -> Option<&'static str> {
        let hash = hash(text.as_bytes());
        let new_bucket = || Box::new([const { OnceLock::new() }; BUCKET_SLOTS]);
        let bucket = self.0[hash as usize % BUCKETS].get_or_init(new_bucket);
        // Threads that intern the same text at a time try the same slots, and one of them fills it.
        let kept = probe(bucket, hash)
            .map(|slot| *slot.get_or_init(|| Box::leak(text.to_owned().into_boxed_str())));
        kept.into_iter().find(|kept| *kept == text)
    }
}

/// All slots, from the one that `hash` names.
fn probe(bucket: &Bucket, hash: u64) -> impl Iterator<Item = &OnceLock<&'static str>> {
    let first = (hash >> 32) as usize;
    (0..BUCKET_SLOTS).map(move |index| &bucket[(first + index) % BUCKET_SLOTS])
}

/// Takes eight bytes at a time: a hash byte by byte would take longer than to copy the text. Clients that
/// provoke collisions fill a bucket and slow down nothing but its texts.
fn hash(text: &[u8]) -> u64 {
    let mix = |hash: u64, word: u64| {
        let product = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        product ^ (product >> 32)
    };
    let hash = mix(0, text.len() as u64);
    let (words, rest) = text.as_chunks();
    let hash = words.iter().fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let rest = rest.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    mix(hash, rest)
}

/// Declares a checked text, and the error of a text that is none. A text that was seen before is borrowed from
/// its [`Interner`], and takes no memory of its own.
macro_rules! checked_text {
    (
        $(#[$docs:meta])*
        $name:ident: $bytes_max:ident bytes of $allowed:pat, interned in $buckets:literal buckets;
        $(#[$usual_docs:meta])*
        $usual:ident = $usual_text:ident;
        $(#[$error_docs:meta])*
        $error:ident;
    ) => {
        $(#[$docs])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(Cow<'static, str>);

        static INTERNED: Interner<$buckets> = Interner::new();

        impl $name {
            $(#[$usual_docs])*
            pub const fn $usual() -> Self {
                Self(Cow::Borrowed($usual_text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The text without what it was checked for, as it is put on the wire.
            pub fn into_text(self) -> Cow<'static, str> {
                self.0
            }

            /// The text with these bytes if it was seen before: then it is valid. Takes no memory.
            pub(crate) fn known(bytes: &[u8]) -> Option<&'static str> {
                if bytes == $usual_text.as_bytes() {
                    Some($usual_text)
                } else if bytes.len() <= $bytes_max {
                    INTERNED.find(bytes)
                } else {
                    None
                }
            }
        }

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if let Some(known) = Self::known(text.as_bytes()) {
                    return Ok(Self(Cow::Borrowed(known)));
                }
                let allowed = |byte: u8| matches!(byte, $allowed);
                if !(1..=$bytes_max).contains(&text.len()) || !text.bytes().all(allowed) {
                    return Err($error);
                }
                let interned = INTERNED.intern(text).map(Cow::Borrowed);
                Ok(Self(interned.unwrap_or_else(|| Cow::Owned(text.to_owned()))))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        $(#[$error_docs])*
        pub struct $error;
    };
}

pub(super) use checked_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_interned_once_and_found_by_its_bytes() {
        static INTERNER: Interner<2> = Interner::new();
        assert_eq!(INTERNER.find(b"orders"), None);
        let kept = INTERNER.intern("orders").unwrap();
        assert!(std::ptr::eq(kept, INTERNER.intern("orders").unwrap()));
        assert!(std::ptr::eq(kept, INTERNER.find(b"orders").unwrap()));
        assert_eq!(INTERNER.find(b"order"), None);
    }

    #[test]
    fn an_interner_is_bounded_and_keeps_what_came_first() {
        static INTERNER: Interner<2> = Interner::new();
        let names: Vec<String> = (0..10_000).map(|number| format!("stream-{number}")).collect();
        let kept = names.iter().filter(|name| INTERNER.intern(name).is_some()).count();
        assert_eq!(kept, 2 * BUCKET_SLOTS);
        let found = names.iter().filter(|name| INTERNER.find(name.as_bytes()).is_some()).count();
        assert_eq!(found, kept);
        assert!(INTERNER.find(b"stream-0").is_some());
    }

    #[test]
    fn threads_that_intern_the_same_texts_agree() {
        static INTERNER: Interner<64> = Interner::new();
        let intern = || -> Vec<_> {
            (0..100)
                .map(|name| INTERNER.intern(&name.to_string()).unwrap().as_ptr().addr())
                .collect()
        };
        let kept = std::thread::scope(|scope| {
            [(); 4].map(|()| scope.spawn(intern)).map(|thread| thread.join().unwrap())
        });
        assert!(kept.iter().all(|addresses| *addresses == kept[0]));
    }
}
