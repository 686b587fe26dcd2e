//! Every limit on what images and volumes may demand of this machine, in one place. Those of containers are in
//! [`crate::limits`].

use std::time::Duration;

/// One manifest or index, in bytes; registries refuse larger ones as well.
pub const MANIFEST_BYTES: u64 = 4 << 20;
/// One image configuration, in bytes.
pub const CONFIG_BYTES: u64 = 8 << 20;
/// Layers of one image. The kernel mounts at most 500; Docker builds at most 127.
pub const LAYERS: usize = 256;
/// An index may lead to an index; more than this many documents in a row is no honest image.
pub const INDEX_DEPTH: usize = 3;
/// Entries of an index.
pub const INDEX_ENTRIES: usize = 1024;
/// One compressed layer, in bytes.
pub const BLOB_BYTES: u64 = 64 << 30;
/// Files of one layer together, in bytes, holes included.
pub const LAYER_BYTES: u64 = 128 << 30;
/// Entries of one layer's archive.
pub const LAYER_ENTRIES: u64 = 4_000_000;
/// A layer may be this many times larger than its compressed form ...
pub const LAYER_RATIO: u64 = 250;
/// ... once it is larger than this, in bytes: small files of zeros are common.
pub const LAYER_RATIO_FROM: u64 = 256 << 20;
/// Headers of one archive entry (long names, attributes, sparse maps), in bytes.
pub const ENTRY_HEADER_BYTES: u64 = 1 << 20;
/// Length of a path in a layer, in bytes: the kernel's PATH_MAX.
pub const PATH_BYTES: usize = 4096;
/// Folders that lie in each other, in layers and when a volume is filled: a descriptor is held for each.
pub const PATH_DEPTH: usize = 255;
/// Extended attributes of one file together, in bytes: the kernel's own limit for names, and for one value.
pub const XATTR_BYTES: usize = 64 << 10;
/// Refused entries that an error names; the rest is counted.
pub const REFUSALS_SHOWN: usize = 20;
/// Entries of an image archive (`docker save`), which has a few per layer.
pub const ARCHIVE_ENTRIES: usize = 10_000;
/// Docker's configuration file with credentials, in bytes.
pub const DOCKER_CONFIG_BYTES: u64 = 1 << 20;
/// Mirrors of Docker Hub that are asked, one after the other.
pub const MIRRORS: usize = 8;
/// Certificates of one registry that are read, each of at most [`CERTIFICATE_BYTES`].
pub const CERTIFICATES: usize = 100;
/// One file of certificates, in bytes.
pub const CERTIFICATE_BYTES: u64 = 1 << 20;
/// A realm's answer with a token, in bytes.
pub const TOKEN_BYTES: u64 = 1 << 20;
/// The store's own index of images, in bytes.
pub const INDEX_FILE_BYTES: u64 = 64 << 20;
/// A volume's name, in bytes: that of a folder.
pub const VOLUME_NAME_BYTES: usize = 255;
/// A reference, in bytes.
pub const REFERENCE_BYTES: usize = 1024;

/// A registry must take a connection within this time.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A registry must send something within this time.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Answering one small question (manifest, token) may take this long in all.
pub const QUESTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Attempts that bring nothing new, before a pull is given up.
pub const PULL_ATTEMPTS: u32 = 5;
/// The first pause between attempts; it doubles up to [`PULL_DELAY_MAX`].
pub const PULL_DELAY: Duration = Duration::from_millis(200);
pub const PULL_DELAY_MAX: Duration = Duration::from_secs(5);
/// Layers of one image that are fetched at once.
pub const PULL_PARALLEL: usize = 3;
