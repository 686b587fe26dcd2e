//! Disks that are full, and folders that are damaged or somebody else's.

use crate::support::{Machine, eventually};

const STACK: &str = "
services:
  web:
    image: orc/demo
    command: [demo, serve]
    restart: always
    ports: ['8080:80']
    healthcheck: {test: [CMD, demo, get, 'http://127.0.0.1/healthz'], interval: 1s, start_period: 20s, start_interval: 50ms}
";
const MORE: &str = "  more: {image: orc/demo, command: [demo, sleep], deploy: {replicas: 2}}\n";

/// A disk of its own below the data folder, made with further options of `mkfs.ext4`.
fn with_disk(machine: &Machine, mib: u32, options: &str) {
    let script = format!(
        "truncate -s {mib}M disk.img && mkfs.ext4 -q -m 0 {options} disk.img && \
         mkdir -p \"$ORC_DATA_DIR\" && mount -o loop disk.img \"$ORC_DATA_DIR\" && chmod 700 \"$ORC_DATA_DIR\""
    );
    machine.shell(&script).ok();
}

/// Nothing is left: the disk can be taken away once what was on it is known to be fine.
fn leave(machine: Machine) {
    machine.orc(&["down", "-v", "-t", "1"]).ok();
    machine.orc(&["engine", "stop"]).ok();
    eventually("nobody uses the disk", || machine.shell("umount \"$ORC_DATA_DIR\"").code == 0);
    machine.shows_nothing_left();
}

/// The engine's disk is full: what runs goes on and answers, a wish is refused with the reason, and once there is room
/// `up` converges.
#[test]
fn f10_a_full_disk_must_stop_nothing_and_be_told() {
    let machine = Machine::new("disk-full");
    with_disk(&machine, 700, "");
    has_no_room(machine, "dd if=/dev/zero of=ballast bs=64k 2>/dev/null; sync; test -s ballast");
}

/// The engine's disk has room but no inode left: what runs goes on and answers, a wish is refused with the reason, and
/// once there are some `up` converges.
#[test]
fn f13_a_disk_without_inodes_must_stop_nothing_and_be_told() {
    let machine = Machine::new("inodes-full");
    with_disk(&machine, 700, "-N 2000");
    has_no_room(machine, "i=0; while (: > $i) 2>/dev/null; do i=$((i+1)); done; test $i -gt 9");
}

/// All of this, with the disk filled by this script.
fn has_no_room(machine: Machine, fill: &str) {
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait"]).ok();
    let web = machine.pids_of("demo serve");
    machine.shell(&format!("cd \"$ORC_DATA_DIR\"/lost+found && {{ {fill}; }}")).ok();

    machine.compose(&format!("{STACK}{MORE}"));
    let up = machine.orc(&["up", "-d", "--wait", "--wait-timeout", "5"]);
    assert_ne!(up.code, 0, "there is no room for more: {up}");
    up.says("No space left on device").never_says("panicked");
    assert_eq!(machine.pids_of("demo serve"), web, "what runs goes on");
    assert_eq!(machine.get("127.0.0.1:8080", "/").expect("and answers").status, 200);

    machine.shell("rm -r \"$ORC_DATA_DIR\"/lost+found; sync").ok();
    eventually("`up` converges", || machine.orc(&["up", "-d", "--wait"]).code == 0);
    assert_eq!(machine.pids_of("demo serve"), web);
    assert_eq!(machine.pids_of("demo sleep").len(), 2);
    leave(machine);
}

/// The engine's disk is found damaged and becomes read-only: what runs goes on and answers, a wish is refused with the
/// reason; after a check of the disk and a new start of the machine the stack is back.
#[test]
fn f13_a_disk_that_becomes_read_only_must_stop_nothing_and_be_told() {
    let mut machine = Machine::new("read-only");
    with_disk(&machine, 700, "-e remount-ro");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait"]).ok();
    let web = machine.pids_of("demo serve");
    // The kernel says that it found an error, and does what the disk is made to have done then.
    let fail = "device=$(awk -v at=\"$ORC_DATA_DIR\" '$2 == at {print $1}' /proc/self/mounts) && \
                echo 'by a test' > /sys/fs/ext4/${device#/dev/}/trigger_fs_error";
    machine.shell(fail).ok();
    assert_ne!(machine.shell(": > \"$ORC_DATA_DIR\"/x").code, 0, "it is read-only");

    machine.compose(&format!("{STACK}{MORE}"));
    let up = machine.orc(&["up", "-d", "--wait", "--wait-timeout", "5"]);
    assert_ne!(up.code, 0, "nothing can be kept: {up}");
    up.says("Read-only file system").never_says("panicked");
    assert_eq!(machine.pids_of("demo serve"), web, "what runs goes on");
    assert_eq!(machine.get("127.0.0.1:8080", "/").expect("and answers").status, 200);

    machine.reboot();
    machine.shell("e2fsck -fy disk.img >/dev/null; mount -o loop disk.img \"$ORC_DATA_DIR\"").ok();
    machine.orc(&["up", "-d", "--wait"]).ok();
    assert_eq!(machine.pids_of("demo sleep").len(), 2);
    assert_eq!(machine.get("127.0.0.1:8080", "/").expect("it answers").status, 200);
    leave(machine);
}

/// The engine's state is deleted while it runs and its containers are not: what runs goes on, and the next engine
/// refuses to take the containers for nobody's.
#[test]
fn f13_a_deleted_state_must_not_cost_the_containers() {
    let machine = Machine::new("state-deleted");
    machine.compose(STACK);
    machine.orc(&["up", "-d", "--wait"]).ok();
    let web = machine.pids_of("demo serve");
    machine.shell("mv $ORC_DATA_DIR/manager saved").ok();
    machine.orc(&["engine", "stop"]);
    machine.orc(&["ps"]).exits(1).says("manager` is gone").never_says("panicked");
    assert_eq!(machine.pids_of("demo serve"), web, "what runs goes on");
    assert_eq!(machine.get("127.0.0.1:8080", "/").expect("and answers").status, 200);
    machine.shell("rm -rf $ORC_DATA_DIR/manager && mv saved $ORC_DATA_DIR/manager").ok();
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(machine.pids_of("demo serve"), web);
    machine.leaves_nothing();
}

/// The data folder belongs to somebody else, or its path leads through a file: the engine is not started, and why is
/// said.
#[test]
fn f13_a_folder_of_somebody_else_must_be_refused() {
    let machine = Machine::new("foreign-folder");
    machine.compose("services: {web: {image: orc/demo, command: [demo, sleep]}}\n");
    machine.shell("mkdir -p \"$ORC_DATA_DIR\" && chown 12345 \"$ORC_DATA_DIR\"").ok();
    machine.orc(&["up", "-d"]).exits(1).says("belongs to user 12345");
    machine.shell("rmdir \"$ORC_DATA_DIR\" && touch \"$ORC_DATA_DIR\"").ok();
    machine.orc(&["up", "-d"]).exits(1).says("data").never_says("panicked");
    assert_eq!(machine.engine(), None);
    machine.shell("rm \"$ORC_DATA_DIR\"").ok();
}

/// What a container mounts is missing, or lies on a file system that does not answer: that is said, services beside it
/// run, `down` works, and the missing is found as soon as it is there.
#[test]
fn f31_mounts_that_are_missing_or_hang_must_hold_up_nobody_else() {
    let machine = Machine::new("hung-mount");
    machine.compose(
        "
services:
  good: {image: orc/demo, command: [demo, sleep]}
  missing:
    image: orc/demo
    command: [demo, sleep, '600']
    volumes: [{type: bind, source: ./later, target: /data, bind: {create_host_path: false}}]
  hung: {image: orc/demo, command: [demo, sleep, '601'], volumes: ['./hung/data:/data']}
",
    );
    // A file system whose server never answers; it ends with the machine.
    let hang = "mkdir -p hung && exec 3<>/dev/fuse && mount -i -t fuse \
                -o fd=3,rootmode=40000,user_id=0,group_id=0 none hung && touch mounted && exec sleep 900";
    machine.shell(&format!("sh -c '{hang}' </dev/null >/dev/null 2>&1 &")).ok();
    eventually("the file system is mounted", || machine.shell("test -e mounted").code == 0);
    let up = machine.orc(&["up", "-d"]);
    up.exits(1).says("/later").says("a file system that it mounts may not answer");
    assert_eq!(machine.pids_of("demo sleep").len(), 1, "the good one runs");

    machine.shell("mkdir later").ok();
    machine.orc(&["up", "-d", "missing"]).ok();
    assert_eq!(machine.pids_of("demo sleep 600").len(), 1);
    machine.orc(&["down", "-t", "1"]).ok();
    machine.kill(machine.pids_of("sleep 900")[0], "KILL");
    machine.leaves_nothing();
}
