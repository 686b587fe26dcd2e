//! Stands in for the client of CRIU, the program that writes a running container to disk.
//!
//! libcontainer cannot be built without that crate, which brings a second protobuf library with its compiler: a tenth
//! of the time that building orc takes. orc makes no checkpoints. So here is what libcontainer names of it, for a CRIU
//! that cannot be had: as there is no value of [`Criu`], nothing below `new` can ever run.

use std::fmt;
use std::os::fd::RawFd;

/// There is none.
#[derive(Debug)]
pub enum Criu {}

/// What becomes of control groups in a checkpoint; there is none.
#[derive(Clone, Debug)]
pub enum CgMode {}

/// Why there is no [`Criu`].
#[derive(Debug)]
pub struct CriuError;

impl fmt::Display for CriuError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this program is built without checkpoints")
    }
}

impl std::error::Error for CriuError {}

/// The settings of a checkpoint that cannot be made.
macro_rules! settings {
    ($($name:ident($($value:ty),+);)+) => {
        impl Criu {
            $(
                #[doc = "Never called."]
                pub fn $name(&mut self, $(_: $value),+) {
                    match *self {}
                }
            )+
        }
    };
}

settings! {
    add_external(String);
    cgroups_mode(CgMode);
    set_ext_unix_sk(bool);
    set_external_mount(String, String);
    set_file_locks(bool);
    set_images_dir_fd(RawFd);
    set_leave_running(bool);
    set_link_remap(bool);
    set_log_file(String);
    set_log_level(i32);
    set_manage_cgroups(bool);
    set_orphan_pts_master(bool);
    set_pid(i32);
    set_root(String);
    set_shell_job(bool);
    set_tcp_established(bool);
    set_work_dir_fd(RawFd);
}

impl Criu {
    /// Always the error.
    pub fn new() -> Result<Self, CriuError> {
        Err(CriuError)
    }

    /// Never called.
    pub fn get_criu_version(&mut self) -> Result<u32, CriuError> {
        match *self {}
    }

    /// Never called.
    pub fn dump(&mut self) -> Result<(), CriuError> {
        match *self {}
    }
}

/// What CRIU calls a namespace that stays outside of a checkpoint. There is nobody to call it so.
pub fn criu_ns_to_key(_: &str) -> String {
    String::new()
}
