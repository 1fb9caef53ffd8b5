//! The keys of one user at one engine: HMAC states and cipher schedules that are made once.

use std::ops::Range;
use std::sync::OnceLock;

use aes::{Aes128, Aes192, Aes256};
use cipher::{
    BlockCipherEncrypt, BlockModeDecrypt as _, BlockModeEncrypt as _, InnerIvInit as _,
    KeyInit as _,
};
use des::Des;
use hmac::digest::FixedOutput as _;
use hmac::{Hmac, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::{Auth, Privacy, User};

/// The most octets that a message's digest has.
const MAC_MAX: usize = 48;
const DES_BLOCK: usize = 8;
/// Octets of the privacy parameters of every protocol.
pub(super) const SALT: usize = 8;

/// An HMAC with its key taken in.
#[derive(Clone)]
enum Keyed {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha224(Hmac<Sha224>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

impl Keyed {
    fn new(auth: Auth, key: &[u8]) -> Option<Self> {
        use hmac::KeyInit as _;
        Some(match auth {
            Auth::Md5 => Self::Md5(Hmac::new_from_slice(key).ok()?),
            Auth::Sha1 => Self::Sha1(Hmac::new_from_slice(key).ok()?),
            Auth::Sha224 => Self::Sha224(Hmac::new_from_slice(key).ok()?),
            Auth::Sha256 => Self::Sha256(Hmac::new_from_slice(key).ok()?),
            Auth::Sha384 => Self::Sha384(Hmac::new_from_slice(key).ok()?),
            Auth::Sha512 => Self::Sha512(Hmac::new_from_slice(key).ok()?),
        })
    }

    fn update(&mut self, octets: &[u8]) {
        match self {
            Self::Md5(mac) => mac.update(octets),
            Self::Sha1(mac) => mac.update(octets),
            Self::Sha224(mac) => mac.update(octets),
            Self::Sha256(mac) => mac.update(octets),
            Self::Sha384(mac) => mac.update(octets),
            Self::Sha512(mac) => mac.update(octets),
        }
    }

    /// In a time that does not depend on where the two differ.
    fn verifies(self, tag: &[u8]) -> bool {
        match self {
            Self::Md5(mac) => mac.verify_truncated_left(tag),
            Self::Sha1(mac) => mac.verify_truncated_left(tag),
            Self::Sha224(mac) => mac.verify_truncated_left(tag),
            Self::Sha256(mac) => mac.verify_truncated_left(tag),
            Self::Sha384(mac) => mac.verify_truncated_left(tag),
            Self::Sha512(mac) => mac.verify_truncated_left(tag),
        }
        .is_ok()
    }

    /// The digest, cut to the room that the message has for it.
    fn write(self, tag: &mut [u8]) {
        let copy = |from: &[u8], tag: &mut [u8]| {
            let length = tag.len().min(from.len());
            tag[..length].copy_from_slice(&from[..length]);
        };
        match self {
            Self::Md5(mac) => copy(&mac.finalize_fixed(), tag),
            Self::Sha1(mac) => copy(&mac.finalize_fixed(), tag),
            Self::Sha224(mac) => copy(&mac.finalize_fixed(), tag),
            Self::Sha256(mac) => copy(&mac.finalize_fixed(), tag),
            Self::Sha384(mac) => copy(&mac.finalize_fixed(), tag),
            Self::Sha512(mac) => copy(&mac.finalize_fixed(), tag),
        }
    }
}

/// A cipher with its key schedule.
enum Schedule {
    /// With the pre-IV, RFC 3414 section 8.1.1.1.
    Des(Box<Des>, [u8; DES_BLOCK]),
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

impl Schedule {
    fn new(privacy: Privacy, key: &[u8]) -> Option<Self> {
        Some(match privacy {
            Privacy::Des => {
                let (key, pre_iv) = key.split_at_checked(DES_BLOCK)?;
                let cipher = Des::new_from_slice(key).ok()?;
                Self::Des(Box::new(cipher), pre_iv.try_into().ok()?)
            }
            Privacy::Aes128 => Self::Aes128(Box::new(Aes128::new_from_slice(key).ok()?)),
            Privacy::Aes192 | Privacy::Aes192C => {
                Self::Aes192(Box::new(Aes192::new_from_slice(key).ok()?))
            }
            Privacy::Aes256 | Privacy::Aes256C => {
                Self::Aes256(Box::new(Aes256::new_from_slice(key).ok()?))
            }
        })
    }
}

/// See the module.
pub struct Keys {
    auth: Auth,
    mac: Keyed,
    privacy: OnceLock<Option<Schedule>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(***)")
    }
}

impl Keys {
    /// The keys of a user at an engine; `None` for a user without authentication. The privacy key is
    /// made when it is first needed, because one of its forms costs a mebibyte.
    #[must_use]
    pub fn new(user: &User, engine_id: &[u8]) -> Option<Self> {
        let master = user.auth.as_ref()?;
        let mac = Keyed::new(master.auth, &master.localised(engine_id))?;
        Some(Self { auth: master.auth, mac, privacy: OnceLock::new() })
    }

    /// Octets of the digest.
    pub(super) fn mac_octets(&self) -> usize {
        self.auth.mac_octets()
    }

    /// Whether the digest that stands at `tag` is that of the message with zeros in its place.
    pub(super) fn verify(&self, message: &[u8], tag: Range<usize>) -> bool {
        let parts = (message.get(..tag.start), message.get(tag.clone()), message.get(tag.end..));
        let (Some(before), Some(given), Some(after)) = parts else { return false };
        if given.len() != self.mac_octets() {
            return false;
        }
        let mut mac = self.mac.clone();
        mac.update(before);
        mac.update(&[0; MAC_MAX][..given.len()]);
        mac.update(after);
        mac.verifies(given)
    }

    /// Writes the digest to `tag`, where zeros stand.
    pub(super) fn sign(&self, message: &mut [u8], tag: Range<usize>) {
        let mut mac = self.mac.clone();
        mac.update(message);
        if let Some(tag) = message.get_mut(tag) {
            mac.write(tag);
        }
    }

    fn schedule(&self, user: &User, engine_id: &[u8]) -> Option<&Schedule> {
        let make = || {
            let (privacy, master) = user.privacy.as_ref()?;
            Schedule::new(*privacy, &master.localised_for(*privacy, engine_id))
        };
        self.privacy.get_or_init(make).as_ref()
    }

    /// Decrypts in place; `None` when these octets cannot be what the protocol writes.
    pub(super) fn decrypt(
        &self,
        user: &User,
        engine_id: &[u8],
        time: (u32, u32),
        salt: &[u8],
        data: &mut [u8],
    ) -> Option<()> {
        let salt: [u8; SALT] = salt.try_into().ok()?;
        match self.schedule(user, engine_id)? {
            Schedule::Des(cipher, pre_iv) => {
                if data.is_empty() || !data.len().is_multiple_of(DES_BLOCK) {
                    return None;
                }
                let iv = des_iv(*pre_iv, salt);
                let mut mode = cbc::Decryptor::inner_iv_init(cipher.as_ref(), &iv.into());
                for block in data.chunks_exact_mut(DES_BLOCK) {
                    mode.decrypt_block(block.try_into().ok()?);
                }
            }
            Schedule::Aes128(cipher) => open_aes(cipher.as_ref(), &aes_iv(time, salt), data),
            Schedule::Aes192(cipher) => open_aes(cipher.as_ref(), &aes_iv(time, salt), data),
            Schedule::Aes256(cipher) => open_aes(cipher.as_ref(), &aes_iv(time, salt), data),
        }
        Some(())
    }

    /// Encrypts, padding where the protocol works in blocks, and gives the salt as it is sent.
    pub(super) fn encrypt(
        &self,
        user: &User,
        engine_id: &[u8],
        time: (u32, u32),
        salt: u64,
        data: &mut Vec<u8>,
    ) -> Option<[u8; SALT]> {
        let mut sent = salt.to_be_bytes();
        match self.schedule(user, engine_id)? {
            Schedule::Des(cipher, pre_iv) => {
                sent[..4].copy_from_slice(&time.0.to_be_bytes());
                data.resize(data.len().next_multiple_of(DES_BLOCK), 0);
                let iv = des_iv(*pre_iv, sent);
                let mut mode = cbc::Encryptor::inner_iv_init(cipher.as_ref(), &iv.into());
                for block in data.chunks_exact_mut(DES_BLOCK) {
                    mode.encrypt_block(block.try_into().ok()?);
                }
            }
            Schedule::Aes128(cipher) => close_aes(cipher.as_ref(), &aes_iv(time, sent), data),
            Schedule::Aes192(cipher) => close_aes(cipher.as_ref(), &aes_iv(time, sent), data),
            Schedule::Aes256(cipher) => close_aes(cipher.as_ref(), &aes_iv(time, sent), data),
        }
        Some(sent)
    }
}

fn des_iv(pre_iv: [u8; DES_BLOCK], salt: [u8; SALT]) -> [u8; DES_BLOCK] {
    std::array::from_fn(|at| pre_iv[at] ^ salt[at])
}

/// RFC 3826 section 3.1.2.1.
fn aes_iv((boots, time): (u32, u32), salt: [u8; SALT]) -> [u8; 16] {
    let mut iv = [0; 16];
    iv[..4].copy_from_slice(&boots.to_be_bytes());
    iv[4..8].copy_from_slice(&time.to_be_bytes());
    iv[8..].copy_from_slice(&salt);
    iv
}

fn open_aes<C>(cipher: &C, iv: &[u8; 16], data: &mut [u8])
where
    C: BlockCipherEncrypt<BlockSize = cipher::consts::U16>,
{
    cfb_mode::Decryptor::inner_iv_init(cipher, &(*iv).into()).decrypt(data);
}

fn close_aes<C>(cipher: &C, iv: &[u8; 16], data: &mut [u8])
where
    C: BlockCipherEncrypt<BlockSize = cipher::consts::U16>,
{
    cfb_mode::Encryptor::inner_iv_init(cipher, &(*iv).into()).encrypt(data);
}
