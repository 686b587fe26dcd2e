//! Tells watchers what changed. A slow one is cut off; the state never waits for a reader.

use std::collections::BTreeSet;

use api::control::WatchEvent;
use api::convert::Watched;
use cluster::view::{StackView, Waits};
use cluster::{Event, ServiceKey, StackName, State, Version, Volume};
use tokio::sync::mpsc;
use tonic::Status;

use crate::core::News;
use crate::limits::{MAX_WATCH_BACKLOG, MAX_WATCHERS};

/// What a watcher receives.
pub(crate) type Told = Result<WatchEvent, Status>;

/// All who watch.
#[derive(Default)]
pub(crate) struct Hub {
    watchers: Vec<Watcher>,
}

struct Watcher {
    /// The only stack it is interested in.
    stack: Option<StackName>,
    /// Has room for one more than the backlog: for the word that it was cut off.
    sender: mpsc::Sender<Told>,
}

/// Something that is told, and what it is about; `None` concerns everybody.
type Message = (Option<StackName>, WatchEvent);

impl Hub {
    /// A new watcher is told what there is.
    pub(crate) fn add(
        &mut self,
        stack: Option<StackName>,
        state: &State,
        waits: &Waits,
    ) -> mpsc::Receiver<Told> {
        let (sender, receiver) = mpsc::channel(MAX_WATCH_BACKLOG + 1);
        self.watchers.retain(|watcher| !watcher.sender.is_closed());
        let watcher = Watcher { stack, sender };
        if self.watchers.len() >= MAX_WATCHERS {
            watcher.cut(Status::resource_exhausted(format!("{MAX_WATCHERS} programs watch already")));
            return receiver;
        }
        let stacks = state.stacks.keys().filter(|name| watcher.stack.as_ref().is_none_or(|one| one == *name));
        let mut alive = true;
        for view in stacks.filter_map(|name| state.stack_view(name, waits)) {
            alive = alive && watcher.tell(&Watched::Stack(Box::new(view)).to_event(state.index));
        }
        if alive && watcher.tell(&Watched::Synced.to_event(state.index)) {
            self.watchers.push(watcher);
        }
        receiver
    }

    /// Tells what changed to whom it concerns, and the version to everybody: some wait for it.
    pub(crate) fn publish(&mut self, news: &News, state: &State, waits: &Waits) {
        if self.watchers.is_empty() {
            return;
        }
        let messages = messages(news, state, waits);
        let synced = Watched::Synced.to_event(state.index);
        self.watchers.retain(|watcher| watcher.tell_all(&messages, &synced));
    }
}

impl Watcher {
    /// Whether it is still there.
    fn tell_all(&self, messages: &[Message], synced: &WatchEvent) -> bool {
        let concerns = |about: &Option<StackName>| match (&self.stack, about) {
            (Some(mine), Some(about)) => mine == about,
            _ => true,
        };
        let mut mine = messages.iter().filter(|(about, _)| concerns(about)).map(|(_, event)| event);
        // Only after the last part of a version the watcher's picture is whole again.
        mine.all(|event| self.tell(event)) && self.tell(synced)
    }

    fn tell(&self, event: &WatchEvent) -> bool {
        if self.sender.is_closed() {
            return false;
        }
        if self.sender.capacity() <= 1 {
            self.cut(Status::aborted(format!(
                "this watcher is {MAX_WATCH_BACKLOG} events behind and was cut off; watch anew"
            )));
            return false;
        }
        self.sender.try_send(Ok(event.clone())).is_ok()
    }

    fn cut(&self, status: Status) {
        // It may be gone by itself, which is as good.
        let _ = self.sender.try_send(Err(status));
    }
}

/// What is news, each thing once and in an order in which it makes sense: wholes before parts.
fn messages(news: &News, state: &State, waits: &Waits) -> Vec<Message> {
    let mut stacks = BTreeSet::new();
    let mut services: BTreeSet<ServiceKey> = news.waits.clone();
    let mut tasks = Vec::new();
    let mut messages = Vec::new();
    for event in &news.events {
        match event {
            Event::Stack(name) => _ = stacks.insert(name.clone()),
            Event::StackGone(name) => {
                let gone = Watched::StackGone(name.clone()).to_event(state.index);
                messages.push((Some(name.clone()), gone));
            }
            Event::Service(key) | Event::ServiceGone(key) => _ = services.insert(key.clone()),
            Event::Task(id, key) | Event::TaskGone(id, key) => tasks.push((*id, key.clone())),
            Event::Network(name) => match state.networks.get(name) {
                Some(network) => _ = stacks.insert(network.stack.clone()),
                None => stacks.extend(state.stacks.keys().cloned()),
            },
            Event::Volume(name) => match state.volumes.get(name) {
                Some(volume) => _ = stacks.insert(volume.stack.clone()),
                None => stacks.extend(state.stacks.keys().cloned()),
            },
            Event::Node(_) => {}
        }
    }
    for name in &stacks {
        if let Some(view) = state.stack_view(name, waits) {
            messages.push((Some(name.clone()), Watched::Stack(Box::new(view)).to_event(state.index)));
        }
    }
    for key in services.iter().filter(|key| !stacks.contains(&key.stack)) {
        let view = state.service(key).map(|service| Box::new(state.service_view(key, service, waits)));
        let about = Watched::Service { stack: key.stack.clone(), service: key.service.clone(), view };
        messages.push((Some(key.stack.clone()), about.to_event(state.index)));
    }
    for (task, key) in tasks {
        if stacks.contains(&key.stack) || services.contains(&key) {
            continue;
        }
        let view = state.tasks.get(&task).map(|task| Box::new(state.task_view(task, waits)));
        let about = Watched::Task { stack: key.stack.clone(), service: key.service, task, view };
        messages.push((Some(key.stack), about.to_event(state.index)));
    }
    messages
}

/// The stacks there are, or one of them.
pub(crate) fn list(stack: Option<&StackName>, state: &State, waits: &Waits) -> (Version, Vec<StackView>) {
    let stacks = state.stacks.keys().filter(|name| stack.is_none_or(|one| one == *name));
    (state.index, stacks.filter_map(|name| state.stack_view(name, waits)).collect())
}

/// The volumes of a stack, whether it is there or not.
pub(crate) fn volumes(stack: &StackName, state: &State) -> Vec<Volume> {
    state.volumes.values().filter(|volume| volume.stack == *stack).cloned().collect()
}

#[cfg(test)]
mod tests {
    use cluster::{Change, ChangeKind, FileDigests, PutStack, StackSpec, Timestamp};
    use tonic::Code;

    use super::*;

    fn put(state: &mut State, stack: &str) -> News {
        let project = serde_json::json!({"name": stack, "services": {"web": {"image": "a"}}});
        let project = serde_json::from_value(project).unwrap();
        let spec = StackSpec::from_project(&project, &FileDigests::default()).unwrap();
        let put = PutStack { force_recreate: ["web".to_owned()].into(), ..PutStack::new(spec) };
        let kind = ChangeKind::PutStack(Box::new(put));
        let events = state.apply(Change { at: Timestamp(1), kind }).unwrap();
        News { events: events.into_iter().collect(), ..News::default() }
    }

    /// What was told so far, by kind.
    fn told(events: &mut mpsc::Receiver<Told>) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(told) = events.try_recv() {
            lines.push(match told.map(|event| Watched::from_event(event).unwrap()) {
                Ok(Watched::Stack(view)) => format!("stack {}", view.name),
                Ok(Watched::Service { service, .. }) => format!("service {service}"),
                Ok(Watched::Task { task, .. }) => format!("task {task}"),
                Ok(Watched::StackGone(name)) => format!("gone {name}"),
                Ok(Watched::Synced) => "synced".to_owned(),
                Err(status) => format!("{:?}", status.code()),
            });
        }
        lines
    }

    #[test]
    fn a_watcher_is_told_of_its_stack_and_of_every_version() {
        let (mut hub, mut state, waits) = (Hub::default(), State::new(), Waits::default());
        put(&mut state, "mine");
        let mut mine = hub.add(Some(StackName("mine".into())), &state, &waits);
        let mut all = hub.add(None, &state, &waits);
        for stack in ["other", "mine"] {
            let news = put(&mut state, stack);
            hub.publish(&news, &state, &waits);
        }
        let key = ServiceKey::new(&StackName("mine".into()), "web");
        hub.publish(&News { waits: [key].into(), ..News::default() }, &state, &waits);
        let start = ["stack mine", "synced"];
        let mine_only = ["synced", "stack mine", "synced", "service web", "synced"];
        assert_eq!(told(&mut mine), [&start[..], &mine_only[..]].concat());
        assert_eq!(told(&mut all), [&start[..], &["stack other"][..], &mine_only[..]].concat());
    }

    #[test]
    fn a_slow_watcher_is_cut_off_and_told_so() {
        let (mut hub, mut state, waits) = (Hub::default(), State::new(), Waits::default());
        let news = put(&mut state, "shop");
        let mut slow = hub.add(None, &state, &waits);
        for _ in 0..MAX_WATCH_BACKLOG {
            hub.publish(&news, &state, &waits);
        }
        assert!(hub.watchers.is_empty());
        let told = told(&mut slow);
        assert_eq!((told.len(), told.last().map(String::as_str)), (MAX_WATCH_BACKLOG + 1, Some("Aborted")));
    }

    #[test]
    fn one_watcher_too_many_is_refused() {
        let (mut hub, state, waits) = (Hub::default(), State::new(), Waits::default());
        let watchers: Vec<_> = (0..MAX_WATCHERS).map(|_| hub.add(None, &state, &waits)).collect();
        let refused = hub.add(None, &state, &waits).try_recv().unwrap();
        assert_eq!(refused.unwrap_err().code(), Code::ResourceExhausted);
        drop(watchers);
        assert_eq!(told(&mut hub.add(None, &state, &waits)), ["synced"]);
    }
}
