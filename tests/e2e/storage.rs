//! Volumes, bind mounts, memory, secrets and configs, as a container sees them.

use crate::support::{Machine, Outcome, Registry, eventually};

fn inside(machine: &Machine, service: &str, tool: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", service, "demo"], tool].concat())
}

#[test]
fn a_part_of_a_volume_must_be_mountable_alone() {
    let machine = Machine::new("subpath");
    let compose = |subpath: &str| {
        format!(
            "
services:
  all: {{image: orc/demo, command: [demo, sleep], volumes: ['data:/data']}}
  part:
    image: orc/demo
    command: [demo, sleep]
    profiles: [part]
    volumes: [{{type: volume, source: data, target: /here, volume: {{subpath: {subpath}}}}}]
volumes: {{data: }}
"
        )
    };
    machine.compose(&compose("a.txt"));
    machine.orc(&["up", "-d", "all"]).ok();
    machine.orc(&["up", "-d", "part"]).exits(1).says("subpath `a.txt`");
    inside(&machine, "all", &["write", "/data/a.txt", "content"]).ok();
    machine.orc(&["up", "-d", "part"]).ok();
    inside(&machine, "part", &["cat", "/here"]).exits(0).says("content");
    machine.orc(&["rm", "-s", "-f", "part"]).ok();
    inside(&machine, "all", &["cat", "/data/a.txt"]).exits(0).says("content");
    machine.leaves_nothing();
}

#[test]
fn a_stack_must_be_able_to_use_another_ones_volume() {
    let machine = Machine::new("external-volume");
    let stack = |name: &str, volume: &str| {
        format!(
            "
name: {name}
services: {{box: {{image: orc/demo, command: [demo, sleep], volumes: ['data:/data']}}}}
volumes: {{data: {{name: kept{volume}}}}}
"
        )
    };
    machine.file("first.yaml", &stack("first", "")).file("second.yaml", &stack("second", ", external: true"));
    let orc = |file: &str, args: &[&str]| machine.orc(&[&["-f", file], args].concat());
    orc("second.yaml", &["up", "-d"]).exits(1).says("`kept` is external, and there is no such volume");
    orc("first.yaml", &["up", "-d"]).ok();
    orc("first.yaml", &["exec", "-T", "box", "demo", "write", "/data/x", "shared"]).ok();
    orc("second.yaml", &["up", "-d"]).ok();
    orc("second.yaml", &["exec", "-T", "box", "demo", "cat", "/data/x"]).exits(0).says("shared");
    orc("first.yaml", &["down", "-v"])
        .exits(1)
        .says("volume `kept` is used by service `box` of stack `second`");
    orc("second.yaml", &["down", "-v", "-t", "1"]).ok();
    orc("first.yaml", &["exec", "-T", "box", "demo", "cat", "/data/x"]).exits(0).says("shared");
    orc("first.yaml", &["down", "-v", "-t", "1"]).ok();
    machine.orc(&["engine", "stop"]).ok();
    machine.shows_nothing_left();
}

#[test]
fn secrets_and_configs_must_come_from_variables_and_from_the_file_itself() {
    let machine = Machine::new("contents");
    machine.file(".env", "TOKEN=s3cret\n").compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    read_only: true
    secrets: [token]
    configs: [{source: inline, target: /etc/inline.conf, mode: 0400}]
secrets: {token: {environment: TOKEN}}
configs: {inline: {content: \"a = ${TOKEN}\\n\"}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "box", &["cat", "/run/secrets/token"]).exits(0).says("s3cret");
    inside(&machine, "box", &["cat", "/etc/inline.conf"]).exits(0).says("a = s3cret");
    inside(&machine, "box", &["stat", "/etc/inline.conf"]).exits(0).says("400");
    machine.leaves_nothing();
}

#[test]
fn mounts_below_a_bind_mount_must_follow_what_is_asked_for() {
    let machine = Machine::new("recursive");
    machine.file("top/file", "x").file("top/below/file", "hidden").compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    volumes:
      - {type: bind, source: ./top, target: /all, read_only: true}
      - {type: bind, source: ./top, target: /writable, read_only: true, bind: {recursive: writable}}
      - {type: bind, source: ./top, target: /flat, bind: {recursive: disabled}}
",
    );
    machine.shell("mount -t tmpfs none top/below && echo mounted > top/below/file").ok();
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "box", &["cat", "/all/below/file"]).exits(0).says("mounted");
    assert_ne!(inside(&machine, "box", &["write", "/all/below/new", "x"]).code, 0);
    inside(&machine, "box", &["write", "/writable/below/new", "x"]).exits(0);
    assert_ne!(inside(&machine, "box", &["write", "/writable/new", "x"]).code, 0);
    inside(&machine, "box", &["cat", "/flat/below/file"]).exits(0).says("hidden");
    machine.orc(&["down", "-t", "1"]).ok();
    machine.shell("umount top/below").ok();
    machine.leaves_nothing();
}

#[test]
fn what_is_mounted_below_must_spread_as_asked_for() {
    let machine = Machine::new("propagation");
    machine.file("top/here", "x").compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    volumes:
      - {type: bind, source: ./top, target: /private}
      - {type: bind, source: ./top, target: /slave, bind: {propagation: rslave}}
      - {type: bind, source: ./top, target: /shared, bind: {propagation: rshared}}
",
    );
    machine.orc(&["up", "-d"]).exits(1).says("is not on a shared mount of this machine").says("/shared");
    machine.shell("mount -t tmpfs none top && mount --make-shared top && mkdir top/out top/in").ok();
    machine.orc(&["up", "-d"]).ok();
    machine.shell("mount -t tmpfs none top/out && echo spread > top/out/file").ok();
    inside(&machine, "box", &["cat", "/slave/out/file"]).exits(0).says("spread");
    inside(&machine, "box", &["cat", "/shared/out/file"]).exits(0).says("spread");
    assert_ne!(inside(&machine, "box", &["cat", "/private/out/file"]).code, 0);
    // What is mounted inside is seen on the machine, too.
    let pid = machine.ps()[0]["Pid"].as_u64().expect("it runs");
    machine.shell(&format!("mount --namespace {pid} -t tmpfs none /shared/in")).ok();
    machine.shell("grep -q ' [^ ]*/top/in ' /proc/self/mountinfo").ok();
    machine.orc(&["down", "-t", "1"]).ok();
    machine.shell("umount -R top").ok();
    machine.leaves_nothing();
}

#[test]
fn the_files_of_an_image_must_be_mountable_whole_and_in_part() {
    let machine = Machine::new("image-mount");
    let registry = Registry::new(&machine, "127.0.0.1:5078");
    machine.compose(&format!(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    volumes:
      - {{type: image, source: '{0}', target: /whole}}
      - {{type: image, source: '{0}', target: /part, read_only: true, image: {{subpath: etc}}}}
",
        registry.image
    ));
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "box", &["cat", "/whole/etc/hello"]).exits(0).says("hello");
    inside(&machine, "box", &["cat", "/part/hello"]).exits(0).says("hello");
    assert_ne!(inside(&machine, "box", &["write", "/part/new", "x"]).code, 0, "it is read-only");
    // What is written stays with the container, and the image as it was.
    inside(&machine, "box", &["write", "/whole/new", "own"]).ok();
    machine.orc(&["restart", "-t", "1"]).ok();
    inside(&machine, "box", &["cat", "/whole/new"]).exits(0).says("own");
    machine.orc(&["image", "rm", &registry.image]).exits(1);
    machine.orc(&["up", "-d", "--force-recreate", "-t", "1"]).ok();
    assert_ne!(inside(&machine, "box", &["cat", "/whole/new"]).code, 0);
    machine.compose("services: {box: {image: orc/demo, volumes: [{type: image, source: orc/demo, target: /x, image: {subpath: none}}]}}\n");
    machine.orc(&["up", "-d", "-t", "1"]).exits(1).says("image on `/x`: subpath `none`");
    machine.leaves_nothing();
}

#[test]
fn volumes_must_be_seen_after_down_and_go_when_the_file_declares_them() {
    let machine = Machine::new("volumes-after-down");
    let stack = |volumes: &str, mounts: &str| {
        format!(
            "name: shop\nservices: {{web: {{image: orc/demo, command: [demo, serve], volumes: [{mounts}]}}}}\nvolumes: {{{volumes}}}"
        )
    };
    machine.compose(&stack("data: {}, old: {}", "'data:/data', 'old:/old'"));
    machine.orc(&["up", "-d"]).ok();
    let would = machine.orc(&["down", "-v", "--dry-run"]).ok().to_owned();
    assert_eq!(
        would,
        "remove  web.1\nremove  network shop_default\nremove  volume shop_data\nremove  volume shop_old"
    );
    assert_eq!(machine.orc(&["down", "--dry-run", "web"]).ok(), "remove  web.1");
    assert_eq!(machine.container("web")["State"], "running");
    machine.orc(&["down"]).ok();
    let volumes = || machine.orc(&["volumes", "-q"]).ok().to_owned();
    assert_eq!(volumes(), "shop_data\nshop_old");

    // What the file does not declare any more, or declares as another's, is not its to delete.
    machine.compose(&stack("data: {}", "'data:/data'"));
    machine.orc(&["down", "-v"]).exits(0).says("volume").says("shop_data removed");
    assert_eq!(volumes(), "shop_old");
    machine.compose(&stack("old: {external: true, name: shop_old}", "'old:/old'"));
    machine.orc(&["down", "-v"]).exits(0).says("nothing of stack");
    assert_eq!(volumes(), "shop_old");
    // Without a file, all that are the stack's are meant.
    machine.orc(&["-p", "shop", "down", "-v"]).exits(0).says("shop_old removed");
    assert_eq!(volumes(), "");
    machine.leaves_nothing();
}

#[test]
fn mounts_must_be_filled_made_and_sized_as_their_options_say() {
    let machine = Machine::new("mount-options");
    machine.file("shared/note", "of the machine").compose(
        "
services:
  box:
    image: orc/demo
    command: [demo, sleep]
    read_only: true
    tmpfs: ['/scratch:size=2m,mode=1777']
    volumes:
      - {type: volume, source: filled, target: /etc, volume: {nocopy: false}}
      - {type: tmpfs, target: /small, tmpfs: {size: 1m, mode: 0750}}
      - {type: bind, source: ./made/here, target: /made, bind: {create_host_path: true}}
      - {type: bind, source: ./shared, target: /labelled, read_only: true, bind: {selinux: z}}
      - {type: bind, source: ./made/missing, target: /later, bind: {selinux: Z}}
  bare:
    image: orc/demo
    command: [demo, sleep]
    volumes: [{type: volume, source: bare, target: /etc, volume: {nocopy: true}}]
volumes:
  filled: {name: chosen}
  bare:
",
    );
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "box", &["cat", "/etc/passwd"]).exits(0).says("root");
    assert_ne!(inside(&machine, "bare", &["cat", "/etc/passwd"]).code, 0, "nothing was copied");
    inside(&machine, "box", &["write", "/made/file", "from inside"]).ok();
    assert_eq!(machine.shell("cat made/here/file").ok(), "from inside");
    let mounts = inside(&machine, "box", &["cat", "/proc/self/mountinfo"]);
    mounts.exits(0).says("size=1024k").says("size=2048k");
    inside(&machine, "box", &["stat", "/small"]).exits(0).says("folder 0750");
    inside(&machine, "box", &["stat", "/scratch"]).exits(0).says("folder 1777");
    inside(&machine, "box", &["write", "/scratch/file", "x"]).ok();
    // Containers have no labels of SELinux of their own that would keep them from files.
    inside(&machine, "box", &["cat", "/labelled/note"]).exits(0).says("of the machine");
    assert_ne!(inside(&machine, "box", &["write", "/labelled/note", "x"]).code, 0, "it is read-only");
    inside(&machine, "box", &["write", "/later/file", "x"]).ok();
    // Another stack finds the volume by the name that the file gives it, in the older form, too.
    machine.file(
        "second.yaml",
        "
name: second
services: {other: {image: orc/demo, command: [demo, sleep], volumes: ['theirs:/theirs']}}
volumes: {theirs: {external: {name: chosen}}}
",
    );
    let second = |args: &[&str]| machine.orc(&[&["-f", "second.yaml"], args].concat());
    second(&["up", "-d"]).exits(0).says("external.name` is obsolete");
    second(&["exec", "-T", "other", "demo", "cat", "/theirs/passwd"]).exits(0).says("root");
    second(&["down", "-t", "1"]).ok();
    machine.leaves_nothing();
}

#[test]
fn what_a_container_writes_must_stay_below_its_limit_or_the_limit_be_refused() {
    let machine = Machine::new("storage-limit");
    // A kernel without quotas of projects does not mount such a disk.
    let quotas = machine.shell(
        "truncate -s 700M disk.img && mkfs.ext4 -q -O quota,project -E quotatype=prjquota disk.img && \
         mkdir -p \"$ORC_DATA_DIR\" && chmod 700 \"$ORC_DATA_DIR\" && \
         mount -o loop,prjquota disk.img \"$ORC_DATA_DIR\" && chmod 700 \"$ORC_DATA_DIR\"",
    );
    machine.compose(
        "services: {box: {image: orc/demo, command: [demo, sleep], storage_opt: {size: 6m}, tmpfs: [/tmp]}}\n",
    );
    let up = machine.orc(&["up", "-d", "--wait", "--wait-timeout", "20"]);
    if quotas.code != 0 {
        up.exits(1)
            .says("`storage_opt.size` needs a file system with project quotas, mounted with `prjquota`");
        return machine.leaves_nothing();
    }
    up.ok();
    let write = |mib: u32, path: &str| {
        let orc = env!("CARGO_BIN_EXE_orc");
        machine.shell(&format!("head -c {mib}M /dev/zero | '{orc}' exec -T box demo write {path}"))
    };
    write(4, "/four").ok();
    write(8, "/tmp/eight").ok();
    write(4, "/more").exits(1).says("/more: Disk quota exceeded");
    inside(&machine, "box", &["rm", "/more"]).ok();
    // A restart keeps both what was written and the limit; a new container begins anew.
    machine.orc(&["restart", "-t", "1"]).ok();
    write(4, "/more").exits(1).says("/more: Disk quota exceeded");
    machine.orc(&["up", "-d", "--force-recreate", "-t", "1"]).ok();
    write(5, "/five").ok();
    machine.orc(&["down", "-t", "1"]).ok();
    machine.orc(&["engine", "stop"]).ok();
    eventually("nobody uses the disk", || machine.shell("umount \"$ORC_DATA_DIR\"").code == 0);
    machine.shows_nothing_left();
}
