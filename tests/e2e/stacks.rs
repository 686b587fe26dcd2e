//! The stacks of `examples/stacks`, as they are in the repository, with the images that they name pulled from a
//! registry. The first one, `hello`, has a file of its own.

use crate::support::{Machine, eventually};

/// A request that finds what it looks for in the answer, sooner or later.
fn finds(machine: &Machine, address: &str, path: &str, text: &str) {
    eventually(&format!("{address}{path} says `{text}`"), || {
        machine.get(address, path).is_ok_and(|answer| answer.status == 200 && answer.body.contains(text))
    });
}

/// The bodies of so many answers, all of them good.
fn answers(machine: &Machine, address: &str, count: usize) -> Vec<String> {
    let answers = (0..count).map(|_| machine.get(address, "/").expect("somebody answers"));
    let answers: Vec<_> = answers.collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    answers.into_iter().map(|answer| answer.body).collect()
}

#[test]
fn web_with_database_and_cache_must_remember_what_was_written() {
    let Some(machine) = Machine::with_example("web-db-cache") else { return };
    machine.orc(&["up", "-d", "--wait"]).ok();
    let page = machine.get("127.0.0.1:8080", "/").expect("it answers when it is healthy");
    assert!(page.body.contains("the first: hello"), "{page:?}");
    machine.post("127.0.0.1:8080", "name=Ada&text=good+evening").expect("it takes an entry");
    machine.orc(&["exec", "-T", "cache", "redis-cli", "get", "reads"]).exits(0).says("2");
    let table = ["exec", "-T", "db", "psql", "-U", "guestbook", "-c", "table entry"];
    machine.orc(&table).exits(0).says("good evening");
    // The database has no way out, and no port of its own.
    machine.orc(&["port", "db", "5432"]).exits(1);

    machine.orc(&["down"]).ok();
    machine.orc(&["up", "-d", "--wait"]).ok();
    let page = machine.get("127.0.0.1:8080", "/").expect("it answers again");
    assert!(page.body.contains("Ada: good evening"), "{page:?}");
    machine.leaves_nothing();
}

#[test]
fn votes_must_come_through_queue_and_worker_into_the_result() {
    let Some(machine) = Machine::with_example("voting") else { return };
    machine.orc(&["up", "-d", "--wait"]).ok();
    assert_eq!(machine.get("127.0.0.1:8081", "/").expect("it answers").body, "no votes yet\n");
    for vote in ["vote=cats&voter=1", "vote=dogs&voter=2", "vote=dogs&voter=3", "vote=cats&voter=3"] {
        assert_eq!(machine.post("127.0.0.1:8080", vote).expect("it takes votes").status, 200);
    }
    assert_eq!(machine.post("127.0.0.1:8080", "vote=fish").expect("it answers").status, 400);
    finds(&machine, "127.0.0.1:8081", "/", "cats: 2\ndogs: 1");
    // While the worker is away votes wait in the queue.
    machine.orc(&["stop", "worker"]).ok();
    machine.post("127.0.0.1:8080", "vote=dogs&voter=4").expect("it takes votes");
    machine.orc(&["exec", "-T", "redis", "redis-cli", "llen", "votes"]).exits(0).says("1");
    machine.orc(&["start", "worker"]).ok();
    finds(&machine, "127.0.0.1:8081", "/", "dogs: 2");
    machine.leaves_nothing();
}

#[test]
fn workers_must_start_after_the_migrations_and_do_every_job_once() {
    let Some(machine) = Machine::with_example("queue") else { return };
    machine.orc(&["up", "-d", "--wait"]).ok();
    machine.orc(&["logs", "migrate"]).exits(0).says("applied 001-jobs.sql").says("applied 002-who.sql");
    for number in 1..=5 {
        machine.orc(&["run", "--rm", "-T", "enqueue", "resize", &format!("{number}.png")]).ok();
    }
    let sql = |query: &str| {
        let args = ["exec", "-T", "db", "psql", "-U", "jobs", "-At", "-c", query];
        machine.orc(&args).ok().to_owned()
    };
    eventually("all jobs are done", || sql("SELECT count(*) FROM job WHERE done IS NULL") == "0");
    let done = machine.orc(&["logs", "--no-log-prefix", "worker"]).ok().to_owned();
    let mut done: Vec<&str> = done.lines().filter(|line| line.starts_with("did")).collect();
    done.sort_unstable();
    assert_eq!(done, (1..=5).map(|number| format!("did resize {number}.png")).collect::<Vec<_>>());

    // The next release brings a migration: it is applied, the others are not applied again.
    machine.file("migrations/003-note.sql", "ALTER TABLE job ADD COLUMN note text;\n");
    machine.orc(&["up", "-d"]).ok();
    eventually("the new column is there", || {
        sql("SELECT count(*) FROM information_schema.columns WHERE column_name = 'note'") == "1"
    });
    assert_eq!(sql("SELECT count(*) FROM migration"), "3");
    machine.leaves_nothing();
}

#[test]
fn a_proxy_must_find_replicas_that_come_and_go() {
    let Some(machine) = Machine::with_example("proxy-replicas") else { return };
    let replicas = || {
        let mut names = answers(&machine, "127.0.0.1:8080", 20);
        names.sort();
        names.dedup();
        names.len()
    };
    machine.orc(&["up", "-d", "--wait"]).ok();
    eventually("nginx asks all three", || replicas() == 3);
    machine.orc(&["scale", "app=5"]).ok();
    eventually("nginx finds the new ones", || replicas() == 5);
    // One that dies is nobody's answer any more.
    machine.orc(&["scale", "app=1"]).ok();
    eventually("nginx asks the one that is left", || replicas() == 1);
    machine.file(".env", "VERSION=2\n");
    machine.orc(&["up", "-d", "--wait"]).ok();
    eventually("all answers are of the new version", || {
        answers(&machine, "127.0.0.1:8080", 20).iter().all(|body| body.starts_with("version 2"))
    });
    machine.leaves_nothing();
}

#[test]
fn monitoring_must_find_the_machine_and_every_replica() {
    let Some(machine) = Machine::with_example("monitoring") else { return };
    machine.orc(&["up", "-d", "--wait"]).ok();
    let count = |what: &str, number: usize| {
        let path = format!("/api/v1/query?query=count({what})");
        finds(&machine, "127.0.0.1:9090", &path, &format!("\"{number}\"]"));
    };
    count("up==1", 4);
    machine.orc(&["scale", "app=4"]).ok();
    count("up{job=%22app%22}==1", 4);
    count("node_cpu_seconds_total{mode=%22idle%22}>0", std::thread::available_parallelism().unwrap().get());
    machine.leaves_nothing();
}

#[test]
fn a_site_must_have_tls_that_its_own_root_vouches_for() {
    let Some(machine) = Machine::with_example("site-tls") else { return };
    machine.orc(&["up", "-d", "--wait"]).ok();
    let root = || machine.orc(&["cp", "site:/data/caddy/pki/authorities/local/root.crt", "."]).code == 0;
    eventually("there is an authority", root);
    machine.file(
        "ask.py",
        "import ssl, urllib.request as r
context = ssl.create_default_context(cafile='root.crt')
print(r.urlopen('https://localhost', context=context).read().decode())
",
    );
    eventually("the site answers", || machine.shell("python3 ask.py").code == 0);
    machine.shell("python3 ask.py").exits(0).says("Served over TLS.");
    let plain = machine.get("127.0.0.1:80", "/").expect("it answers");
    assert_eq!(plain.status, 308, "who comes without TLS is sent on");
    // Whoever trusts the root goes on doing so after the stack was down.
    let before = machine.shell("cat root.crt").ok().to_owned();
    machine.orc(&["down"]).ok();
    machine.orc(&["up", "-d", "--wait"]).ok();
    eventually("there is an authority again", root);
    assert_eq!(machine.shell("cat root.crt").ok(), before);
    machine.leaves_nothing();
}

#[test]
fn a_backup_must_bring_back_what_was_deleted() {
    let Some(machine) = Machine::with_example("backup") else { return };
    machine.orc(&["up", "-d", "--wait"]).ok();
    let sql = |query: &str| machine.orc(&["exec", "-T", "db", "psql", "-U", "postgres", "-At", "-c", query]);
    let backup = |args: &[&str]| machine.orc(&[&["run", "--rm", "-T", "backup"], args].concat());
    sql("CREATE TABLE note (text text)").ok();
    sql("INSERT INTO note VALUES ('keep me')").ok();
    let name = backup(&[]).ok().to_owned();
    sql("DROP TABLE note").ok();
    // The data go; the backups are in another volume.
    machine.orc(&["rm", "-s", "-f", "db"]).ok();
    machine.orc(&["up", "-d", "--wait"]).ok();
    backup(&["list"]).exits(0).says(&name);
    backup(&["restore", &name]).ok();
    sql("TABLE note").exits(0).says("keep me");
    assert!(
        !machine.orc(&["logs", "nightly"]).ok().is_empty(),
        "the first of every night was made at the start"
    );
    machine.orc(&["cp", "nightly:/backups", "out"]).ok();
    assert!(machine.work().join("out").join(&name).is_file());
    machine.leaves_nothing();
}

#[test]
fn a_broker_must_keep_messages_for_who_is_away() {
    let Some(machine) = Machine::with_example("broker") else { return };
    machine.orc(&["up", "-d", "--wait"]).ok();
    let recorded = |text: &str| machine.orc(&["logs", "recorder"]).ok().contains(text);
    eventually("sensors are heard", || recorded("sensors/"));
    machine.orc(&["stop", "recorder"]).ok();
    let say = |password: &str| {
        let sent = [
            "mosquitto_pub",
            "-u",
            "sensor",
            "-P",
            password,
            "-q",
            "1",
            "-t",
            "sensors/test",
            "-m",
            "missed",
        ];
        machine.orc(&[&["exec", "-T", "broker"], &sent[..]].concat())
    };
    say("change-me").ok();
    assert_ne!(say("guessed").code, 0, "the broker asks for a password");
    assert!(!recorded("missed"));
    // What it keeps is on the disk: the broker may go, too.
    machine.orc(&["restart", "broker"]).ok();
    machine.orc(&["start", "recorder"]).ok();
    eventually("what was missed is delivered", || recorded("sensors/test missed"));
    machine.leaves_nothing();
}
