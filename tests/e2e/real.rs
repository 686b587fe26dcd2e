//! Programs that everybody runs, under the confinement that everybody gets: with entrypoints that give folders away
//! and drop privileges, programs with capabilities of their own, shared memory, and stop signals that matter.

use crate::support::{Machine, Outcome, eventually};

fn inside(machine: &Machine, service: &str, command: &[&str]) -> Outcome {
    machine.orc(&[&["exec", "-T", service], command].concat())
}

/// What the kernel says of a container's first process.
fn status(machine: &Machine, service: &str) -> String {
    inside(machine, service, &["cat", "/proc/1/status"]).ok().replace('\t', " ")
}

/// It was stopped by its own signal: killed after its grace it would end with 137.
fn ended_by_itself(machine: &Machine, service: &str) {
    machine.orc(&["stop", service]).ok();
    assert_eq!(machine.container(service)["ExitCode"], 0, "{}", machine.container(service));
}

#[test]
fn postgresql_must_run_and_its_data_outlive_it() {
    let Some(machine) = Machine::with_images("postgresql") else { return };
    machine.compose(
        "
services:
  db:
    image: postgres:17
    environment: {POSTGRES_PASSWORD: 'pass word'}
    volumes: ['data:/var/lib/postgresql/data']
    shm_size: 64m
    healthcheck:
      test: [CMD, pg_isready, -q, -h, 127.0.0.1, -U, postgres]
      start_period: 1m
      start_interval: 200ms
  client:
    image: postgres:17
    command: [psql, -h, db, -U, postgres, -c, 'SELECT pg_sleep(1000)']
    environment: {PGPASSWORD: 'pass word'}
    depends_on: {db: {condition: service_healthy}}
volumes: {data: {}}
",
    );
    machine.orc(&["up", "-d", "--wait"]).ok();
    let sql = |query: &str| inside(&machine, "db", &["psql", "-U", "postgres", "-At", "-c", query]);
    sql("CREATE TABLE t AS SELECT generate_series(1, 100000) AS n").ok();
    assert_eq!(sql("SHOW dynamic_shared_memory_type").ok(), "posix");
    let parallel = "SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0;
                    SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SELECT sum(n) FROM t";
    assert_eq!(sql(parallel).ok().lines().last(), Some("5000050000"), "workers share memory in /dev/shm");

    let status = status(&machine, "db");
    for line in ["Uid: 999 999", "CapEff: 0000000000000000", "Seccomp: 2"] {
        assert!(status.contains(line), "no `{line}` in\n{status}");
    }
    // The volume was root's, then the image's folder, then the entrypoint gave it away.
    let mode = inside(&machine, "db", &["stat", "-c", "%u %a", "/var/lib/postgresql/data"]);
    assert_eq!(mode.ok(), "999 700");
    let user = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%1000)'";
    eventually("somebody is connected over the network, with a password", || sql(user).ok() == "1");
    // SIGINT, as the image asks for: with SIGTERM the server would wait for its clients.
    ended_by_itself(&machine, "db");
    machine.orc(&["logs", "db"]).exits(0).says("received fast shutdown request");

    machine.orc(&["down"]).ok();
    machine.orc(&["up", "-d", "--wait"]).ok();
    assert_eq!(sql("SELECT count(*) FROM t").ok(), "100000");
    machine.leaves_nothing();
}

#[test]
fn redis_must_answer_by_its_name_and_keep_what_it_is_told() {
    let Some(machine) = Machine::with_images("redis") else { return };
    machine.compose(
        "
services:
  cache: {image: 'redis:7', command: [--appendonly, 'yes'], volumes: ['data:/data']}
  client: {image: 'redis:7', command: [sleep, infinity], init: true}
volumes: {data: {}}
",
    );
    machine.orc(&["up", "-d"]).ok();
    let ask = |words: &[&str]| inside(&machine, "client", &[&["redis-cli", "-h", "cache"], words].concat());
    eventually("it answers", || ask(&["ping"]).code == 0);
    ask(&["set", "kept", "yes"]).exits(0).says("OK");
    let status = status(&machine, "cache");
    for line in ["Uid: 999 999", "Gid: 999 999", "CapEff: 0000000000000000", "Seccomp: 2"] {
        assert!(status.contains(line), "no `{line}` in\n{status}");
    }
    ended_by_itself(&machine, "cache");
    machine.orc(&["down"]).ok();
    machine.orc(&["up", "-d"]).ok();
    eventually("it still knows", || ask(&["get", "kept"]).stdout.trim() == "yes");
    machine.leaves_nothing();
}

#[test]
fn nginx_must_serve_with_workers_that_are_not_root() {
    let Some(machine) = Machine::with_images("nginx") else { return };
    machine.file("pages/index.html", "a page");
    machine.compose(
        "
services:
  web: {image: 'nginx:1', ports: ['8080:80'], volumes: ['./pages:/usr/share/nginx/html:ro']}
  # What it needs of the default capabilities, and no more.
  least:
    image: nginx:1
    ports: ['8081:80']
    volumes: ['./pages:/usr/share/nginx/html:ro']
    read_only: true
    tmpfs: [/run, /var/lib/nginx]
    cap_drop: [ALL]
    cap_add: [CHOWN, SETUID, SETGID, NET_BIND_SERVICE]
",
    );
    machine.orc(&["up", "-d"]).ok();
    for (service, address) in [("web", "127.0.0.1:8080"), ("least", "127.0.0.1:8081")] {
        machine.answers(address);
        assert_eq!(machine.get(address, "/").expect("it answers").body, "a page");
        let processes = machine.orc(&["top", service]).ok().to_owned();
        let users = |what: &str| {
            let lines = processes.lines().filter(|line| line.contains(what));
            lines.filter_map(|line| line.split_whitespace().nth(2)).collect::<Vec<_>>()
        };
        assert_eq!(users("nginx: master"), ["root"], "{processes}");
        assert_eq!(users("nginx: worker"), ["33", "33"], "{processes}");
        // Its log files are links to /dev/stdout and /dev/stderr.
        eventually("requests are in the log", || machine.orc(&["logs", service]).stdout.contains("GET /"));
        ended_by_itself(&machine, service);
    }
    machine.leaves_nothing();
}

#[test]
fn caddy_must_use_the_capability_of_its_file_as_any_user() {
    let Some(machine) = Machine::with_images("caddy") else { return };
    machine.compose(
        "
services:
  web:
    image: caddy:2
    command: [caddy, respond, --listen, ':80', 'good day']
    user: '1000:1000'
    read_only: true
    cap_drop: [ALL]
    cap_add: [NET_BIND_SERVICE]
    ports: ['8080:80']
  plain:
    image: caddy:2
    command: [caddy, respond, --listen, ':80', 'good day']
    user: '1000:1000'
    ports: ['8081:80']
",
    );
    machine.orc(&["up", "-d"]).ok();
    for (service, address) in [("web", "127.0.0.1:8080"), ("plain", "127.0.0.1:8081")] {
        machine.answers(address);
        assert_eq!(machine.get(address, "/").expect("it answers").body, "good day");
        let status = status(&machine, service);
        for line in ["Uid: 1000 1000", "CapEff: 0000000000000400", "CapPrm: 0000000000000400", "Seccomp: 2"] {
            assert!(status.contains(line), "no `{line}` in {service}:\n{status}");
        }
    }
    // The kernel refuses to run the file when it may not have its capability: who gets EPERM should know why.
    machine.file(
        "none.yaml",
        "services: {web: {image: 'caddy:2', command: [caddy, version], cap_drop: [ALL]}}\n",
    );
    machine.orc(&["-f", "none.yaml", "-p", "none", "up"]).says("NET_BIND_SERVICE");
    machine.orc(&["-p", "none", "down"]).ok();
    machine.leaves_nothing();
}

#[test]
fn a_newer_image_must_come_with_pull_and_up() {
    let Some(machine) = Machine::with_images("newer") else { return };
    // Two images that take turns at one name.
    machine.compose("services: {web: {image: 'mine:1', command: [sleep, infinity], init: true}}\n");
    machine
        .file("redis.yaml", "services: {web: {image: 'redis:7', command: [sleep, infinity], init: true}}\n");
    machine.orc(&["-f", "redis.yaml", "-p", "from", "up", "-d"]).ok();
    let name = |note: &str| {
        machine.orc(&["-p", "from", "exec", "-T", "web", "touch", note]).ok();
        machine.orc(&["-p", "from", "commit", "web", "mine:1"]).ok();
    };
    name("/first");
    machine.orc(&["up", "-d"]).ok();
    let before = machine.container("web");
    machine.orc(&["up", "-d"]).ok();
    assert_eq!(machine.container("web")["ID"], before["ID"], "the same image is no reason");
    name("/second");
    machine.orc(&["plan"]).exits(2).says("its image has a new digest");
    machine.orc(&["up", "-d", "--no-recreate"]).ok();
    assert_eq!(machine.container("web")["ID"], before["ID"]);
    machine.orc(&["up", "-d"]).ok();
    inside(&machine, "web", &["ls", "/second"]).ok();
    machine.orc(&["-p", "from", "down", "-t", "1"]).ok();
    machine.leaves_nothing();
}
