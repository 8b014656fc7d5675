//! A machine with weak memory, and a search through everything that it can do.
//!
//! The model is that of C++20 and Rust for atomics (RC11, as it is called where it is studied), told by steps. A
//! location has all the values that were ever stored in it, in one order on which everybody agrees. A thread has a
//! *view*: for each location, how far along that order it has got. It may load any value from there on, and store
//! anywhere after it. A message (a value that was stored) carries a view too, and whoever acquires the message takes
//! it over. So a load may be late, and stores may be seen in another order than the thread's, unless views forbid it.
//!
//! - A release store passes on all that its thread sees; a relaxed one what its thread saw at its last release fence.
//! - An acquire load takes over what the message passes on; a relaxed one keeps it for the next acquire fence.
//! - Sequentially consistent fences share one more view: each takes it over and adds its own to it.
//! - An update (read, modify, write) comes right behind what it has read, and passes that message's view on too.
//!
//! Two relaxed loads of different locations, or two relaxed stores, need no statement that they may change places:
//! each load may be as late as it likes, and a store may be seen without the one before it. A copy of many words "in
//! any order" is therefore simply a loop over them (the litmus tests show it).
//!
//! One thing that real machines may do is left out: a load never gives a value that is stored only later, by a store
//! that waits for it ("load buffering"). ARM allows it for relaxed accesses. Where the storage has a load before a
//! store that others react to, the store is a release, or depends on what was loaded.
//!
//! The search takes every step that is possible in each state, and remembers the states in which it has been, by a
//! fingerprint of 64 bits: with a million states, one in 30 million that it takes a new one for an old one.

use std::cell::RefCell;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::hash::Hasher;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::task::{Context, Poll, Waker};

/// What a location holds. Programs here need small numbers only.
pub type Value = u8;

/// A place in memory.
#[derive(Clone, Copy, Debug)]
pub struct Location(usize);

/// The most locations of a program.
const LOCATIONS: usize = 16;

// ---- Programs ----

/// What runs: locations with their first values, threads, and what must hold at the end.
#[derive(Default)]
pub struct Program {
    locations: Vec<(&'static str, Value)>,
    threads: Vec<Participant>,
    at_end: Option<Check>,
}

/// `Err` with what is bad.
type Check = Box<dyn Fn(&End) -> Result<(), String>>;

/// From what a round begins with, to what the next one begins with; `None` if there is no other.
type Body = Box<dyn Fn(Thread, Kept) -> Pin<Box<dyn Future<Output = Option<Kept>>>>>;

/// What a thread keeps from one round to the next.
pub type Kept = Vec<Value>;

struct Participant {
    name: &'static str,
    body: Body,
    /// What the kernel does for it if it is killed; `None` if it never is.
    after_death: Option<Body>,
}

fn once<F>(body: impl Fn(Thread) -> F + 'static) -> Body
where
    F: Future<Output = ()> + 'static,
{
    Box::new(move |thread, _| {
        let round = body(thread);
        Box::pin(async move {
            round.await;
            None
        })
    })
}

impl Program {
    pub fn location(&mut self, name: &'static str, first: Value) -> Location {
        assert!(self.locations.len() < LOCATIONS, "too many locations");
        self.locations.push((name, first));
        Location(self.locations.len() - 1)
    }

    /// Adds a thread, or a process: the machine makes no difference. The body must do the same each time when its
    /// loads give the same: it is run many times over.
    pub fn thread<F>(&mut self, name: &'static str, body: impl Fn(Thread) -> F + 'static)
    where
        F: Future<Output = ()> + 'static,
    {
        self.threads.push(Participant { name, body: once(body), after_death: None });
    }

    /// Adds a thread that works in rounds, the first of which begins with nothing kept. The search forgets what was
    /// loaded in a round but for what is kept, which makes it much shorter.
    pub fn rounds<F>(&mut self, name: &'static str, body: impl Fn(Thread, Kept) -> F + 'static)
    where
        F: Future<Output = Option<Kept>> + 'static,
    {
        let body: Body = Box::new(move |thread, kept| Box::pin(body(thread, kept)));
        self.threads.push(Participant { name, body, after_death: None });
    }

    /// Adds a process that may be killed before any of its steps; then `after_death` runs in its place.
    pub fn killable<F, G>(
        &mut self,
        name: &'static str,
        body: impl Fn(Thread) -> F + 'static,
        after_death: impl Fn(Thread) -> G + 'static,
    ) where
        F: Future<Output = ()> + 'static,
        G: Future<Output = ()> + 'static,
    {
        self.threads.push(Participant { name, body: once(body), after_death: Some(once(after_death)) });
    }

    /// Sets what must hold when no thread can do a step any more.
    pub fn at_end(&mut self, check: impl Fn(&End) -> Result<(), String> + 'static) {
        self.at_end = Some(Box::new(check));
    }

    /// Looks at everything that the program can do, up to the first thing that is bad.
    pub fn explore(&self) -> Result<Explored, Bad> {
        let mut search = Search {
            program: self,
            behaviours: self.threads.iter().map(Behaviour::new).collect(),
            seen: HashSet::new(),
            bytes: Vec::new(),
            ends: BTreeSet::new(),
        };
        let memory = self.locations.iter().map(|(_, first)| vec![Message::first(*first)]).collect();
        let threads = vec![ThreadState::default(); self.threads.len()];
        let mut state = State { memory, threads, order: View::default() };
        for at in 0..state.threads.len() {
            search.settle(&mut state, at)?;
        }
        search.visit(state)?;
        Ok(Explored { states: search.seen.len(), ends: search.ends })
    }
}

/// How it can end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The last value of each location.
    values: Vec<Value>,
    /// What each thread has noted.
    notes: Vec<Vec<Value>>,
    /// Which threads wait for what doesn't come.
    stuck: Vec<&'static str>,
}

impl End {
    pub fn value(&self, at: Location) -> Value {
        self.values[at.0]
    }

    pub fn notes(&self, thread: usize) -> &[Value] {
        &self.notes[thread]
    }

    pub fn stuck(&self) -> &[&'static str] {
        &self.stuck
    }
}

/// Everything that the program can do, when nothing of it is bad.
#[derive(Debug)]
pub struct Explored {
    pub states: usize,
    pub ends: BTreeSet<End>,
}

impl Explored {
    /// The notes of all threads one after another, in all ways in which it can end.
    pub fn notes(&self) -> BTreeSet<Vec<Value>> {
        self.ends.iter().map(|end| end.notes.concat()).collect()
    }

    /// Whether it can end so: a check that can't fail proves nothing if what it is about never happens.
    pub fn can(&self, how: impl Fn(&End) -> bool) -> bool {
        self.ends.iter().any(how)
    }
}

/// Something that must not happen, and how it did.
#[derive(Debug)]
pub struct Bad {
    pub what: String,
    /// The last step first.
    steps: Vec<String>,
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        self.steps.iter().rev().try_for_each(|step| writeln!(f, "    {step}"))
    }
}

// ---- What a thread does ----

#[derive(Clone)]
enum Step {
    Load(Location, Ordering),
    Store(Location, Value, Ordering),
    Update(Location, Ordering, Rc<dyn Fn(Value) -> Option<Value>>),
    /// A load that is tried until it gives what is waited for.
    WaitUntil(Location, Ordering, Rc<dyn Fn(Value) -> bool>),
    Fence(Ordering),
    Choose(Value),
}

/// A thread's hand on the machine: each step is awaited.
#[derive(Clone)]
pub struct Thread(Rc<RefCell<Run>>);

/// One run of a body: what its steps have given so far, and what it wants to do next.
#[derive(Default)]
struct Run {
    given: Vec<Value>,
    at: usize,
    next: Option<Step>,
    notes: Vec<Value>,
    bad: Option<String>,
}

impl Thread {
    pub async fn load(&self, at: Location, order: Ordering) -> Value {
        self.step(Step::Load(at, order)).await
    }

    pub async fn store(&self, at: Location, value: Value, order: Ordering) {
        self.step(Step::Store(at, value, order)).await;
    }

    /// Reads a value and, if `change` gives one for it, stores that in the same step. Gives the value that was read.
    pub async fn update(
        &self,
        at: Location,
        order: Ordering,
        change: impl Fn(Value) -> Option<Value> + 'static,
    ) -> Value {
        self.step(Step::Update(at, order, Rc::new(change))).await
    }

    /// A load that is tried until it gives what is waited for.
    pub async fn wait_until(
        &self,
        at: Location,
        order: Ordering,
        what: impl Fn(Value) -> bool + 'static,
    ) -> Value {
        self.step(Step::WaitUntil(at, order, Rc::new(what))).await
    }

    /// A fence; `Relaxed` is none.
    pub async fn fence(&self, order: Ordering) {
        if order != Relaxed {
            self.step(Step::Fence(order)).await;
        }
    }

    /// Any number below `below`.
    pub async fn choose(&self, below: Value) -> Value {
        self.step(Step::Choose(below)).await
    }

    /// Writes down what the end is to show.
    pub fn note(&self, value: Value) {
        self.0.borrow_mut().notes.push(value);
    }

    /// What must be true at this point.
    pub fn check(&self, holds: bool, what: impl FnOnce() -> String) {
        let mut run = self.0.borrow_mut();
        if !holds && run.bad.is_none() {
            run.bad = Some(what());
        }
    }

    fn step(&self, step: Step) -> impl Future<Output = Value> {
        let run = Rc::clone(&self.0);
        std::future::poll_fn(move |_| {
            let run = &mut *run.borrow_mut();
            match run.given.get(run.at) {
                Some(value) => {
                    run.at += 1;
                    Poll::Ready(*value)
                }
                None => {
                    run.next = Some(step.clone());
                    Poll::Pending
                }
            }
        })
    }
}

/// All that a thread can do, as a tree: what it does next depends on what its steps have given. A state of the
/// machine needs only say at which node each thread is.
struct Behaviour<'p> {
    participant: &'p Participant,
    nodes: Vec<Node>,
    /// Where rounds begin: by what is kept, and what has been noted.
    rounds: HashMap<(Kept, Vec<Value>), usize>,
}

#[derive(Clone)]
enum Origin {
    Round(Kept, Vec<Value>),
    After(usize, Event),
}

struct Node {
    origin: Origin,
    after: HashMap<Event, usize>,
    /// `None`: the thread has ended.
    next: Option<Step>,
    dead: bool,
    notes: Vec<Value>,
    bad: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Event {
    Given(Value),
    Killed,
}

impl<'p> Behaviour<'p> {
    fn new(participant: &'p Participant) -> Self {
        let mut behaviour = Behaviour { participant, nodes: Vec::new(), rounds: HashMap::new() };
        behaviour.round(Kept::new(), Vec::new());
        behaviour
    }

    fn round(&mut self, kept: Kept, notes: Vec<Value>) -> usize {
        if let Some(known) = self.rounds.get(&(kept.clone(), notes.clone())) {
            return *known;
        }
        let new = self.add(Origin::Round(kept.clone(), notes.clone()));
        self.rounds.insert((kept, notes), new);
        new
    }

    /// The node to which an event leads.
    fn follow(&mut self, node: usize, event: Event) -> usize {
        if let Some(known) = self.nodes[node].after.get(&event) {
            return *known;
        }
        let new = self.add(Origin::After(node, event));
        self.nodes[node].after.insert(event, new);
        new
    }

    /// Runs the thread from the beginning of the round, with all that its steps have given since.
    fn add(&mut self, origin: Origin) -> usize {
        let (mut given, mut dead) = (Vec::new(), false);
        let mut at = &origin;
        let (kept, notes) = loop {
            match at {
                Origin::Round(kept, notes) => break (kept.clone(), notes.clone()),
                Origin::After(node, event) => {
                    match event {
                        Event::Given(value) if !dead => given.push(*value),
                        Event::Given(_) => {}
                        Event::Killed => dead = true,
                    }
                    at = &self.nodes[*node].origin;
                }
            }
        };
        given.reverse();
        let body = match &self.participant.after_death {
            Some(after_death) if dead => after_death,
            _ => &self.participant.body,
        };
        let run = Rc::new(RefCell::new(Run { given, notes, ..Run::default() }));
        let mut future = body(Thread(Rc::clone(&run)), kept);
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let run = &mut *run.borrow_mut();
        let (notes, bad) = (std::mem::take(&mut run.notes), run.bad.take());
        let next = match polled {
            Poll::Ready(Some(kept)) if bad.is_none() => return self.round(kept, notes),
            Poll::Ready(_) => None,
            Poll::Pending => run.next.take(),
        };
        self.nodes.push(Node { origin, after: HashMap::new(), next, dead, notes, bad });
        self.nodes.len() - 1
    }
}

// ---- The machine ----

/// How far along each location's order somebody has got: a byte for each location.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct View(u128);

impl View {
    /// Of each byte the larger one. All are below 128, so that the top bit of a difference tells which it is.
    fn join(&mut self, other: View) {
        const TOP: u128 = u128::from_ne_bytes([0x80; LOCATIONS]);
        let theirs = ((other.0 | TOP) - self.0) & TOP;
        let theirs = theirs | (theirs - (theirs >> 7));
        self.0 = (other.0 & theirs) | (self.0 & !theirs);
    }

    fn at(self, location: Location) -> usize {
        (self.0 >> (8 * location.0) & 0x7f) as usize
    }

    fn set(&mut self, location: Location, position: usize) {
        assert!(position < 128, "programs are short");
        let shift = 8 * location.0;
        self.0 = self.0 & !(0x7f << shift) | (position as u128) << shift;
    }
}

/// A value that was stored.
#[derive(Clone)]
struct Message {
    value: Value,
    /// What whoever acquires it sees from then on.
    shows: View,
    /// Nothing can come between it and the message before it, which it has read.
    is_update: bool,
}

impl Message {
    fn first(value: Value) -> Message {
        Message { value, shows: View::default(), is_update: false }
    }
}

#[derive(Clone, Default)]
struct ThreadState {
    node: usize,
    ended: bool,
    sees: View,
    /// What it will see after an acquire fence.
    could_see: View,
    /// What it saw at its last release fence.
    shows: View,
}

#[derive(Clone)]
struct State {
    memory: Vec<Vec<Message>>,
    threads: Vec<ThreadState>,
    /// What the sequentially consistent fences and stores have seen so far.
    order: View,
}

fn acquires(order: Ordering) -> bool {
    matches!(order, Acquire | AcqRel | SeqCst)
}

fn releases(order: Ordering) -> bool {
    matches!(order, Release | AcqRel | SeqCst)
}

impl State {
    /// The oldest message that a thread may still load.
    fn oldest(&self, thread: usize, at: Location, order: Ordering) -> usize {
        let seen = self.threads[thread].sees.at(at);
        if order == SeqCst { seen.max(self.order.at(at)) } else { seen }
    }

    fn load(&mut self, thread: usize, at: Location, position: usize, order: Ordering) {
        let message = &self.memory[at.0][position];
        let thread = &mut self.threads[thread];
        thread.sees.set(at, position);
        thread.could_see.join(message.shows);
        thread.could_see.join(thread.sees);
        if acquires(order) {
            thread.sees.join(message.shows);
        }
    }

    /// Whether a message can be put at a position of the order.
    fn is_free(&self, at: Location, position: usize) -> bool {
        self.memory[at.0].get(position).is_none_or(|message| !message.is_update)
    }

    /// `after` is the view of the message that an update has read.
    fn store(
        &mut self,
        thread: usize,
        at: Location,
        position: usize,
        value: Value,
        order: Ordering,
        after: Option<View>,
    ) {
        if position < self.memory[at.0].len() {
            self.for_each_view(|view| {
                if view.at(at) >= position {
                    view.set(at, view.at(at) + 1);
                }
            });
        }
        let thread = &mut self.threads[thread];
        thread.sees.set(at, position);
        thread.could_see.join(thread.sees);
        let mut shows = if releases(order) { thread.sees } else { thread.shows };
        shows.set(at, position);
        if let Some(after) = after {
            shows.join(after);
        }
        if order == SeqCst {
            self.order.set(at, position.max(self.order.at(at)));
        }
        self.memory[at.0].insert(position, Message { value, shows, is_update: after.is_some() });
    }

    fn fence(&mut self, thread: usize, order: Ordering) {
        let thread = &mut self.threads[thread];
        if acquires(order) {
            thread.sees = thread.could_see;
        }
        if order == SeqCst {
            thread.sees.join(self.order);
            self.order = thread.sees;
            thread.could_see = thread.sees;
        }
        if releases(order) {
            thread.shows = thread.sees;
        }
    }

    /// Drops the messages that nobody can load any more, so that states which differ in them only are one.
    fn forget(&mut self) {
        for location in 0..self.memory.len() {
            let at = Location(location);
            let alive = self.threads.iter().filter(|thread| !thread.ended);
            let oldest = alive.map(|thread| thread.sees.at(at)).min().unwrap_or(0);
            if oldest > 0 {
                self.memory[location].drain(..oldest);
                self.for_each_view(|view| view.set(at, view.at(at).saturating_sub(oldest)));
            }
        }
    }

    fn for_each_view(&mut self, mut change: impl FnMut(&mut View)) {
        change(&mut self.order);
        self.memory.iter_mut().flatten().for_each(|message| change(&mut message.shows));
        for thread in &mut self.threads {
            change(&mut thread.sees);
            change(&mut thread.could_see);
            change(&mut thread.shows);
        }
    }

    fn write_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.order.0.to_ne_bytes());
        for thread in &self.threads {
            bytes.extend_from_slice(&thread.node.to_ne_bytes());
            for view in [thread.sees, thread.could_see, thread.shows] {
                bytes.extend_from_slice(&view.0.to_ne_bytes());
            }
        }
        for messages in &self.memory {
            bytes.push(messages.len() as u8);
            for message in messages {
                bytes.extend_from_slice(&[message.value, message.is_update.into()]);
                bytes.extend_from_slice(&message.shows.0.to_ne_bytes());
            }
        }
    }
}

// ---- The search ----

struct Search<'p> {
    program: &'p Program,
    behaviours: Vec<Behaviour<'p>>,
    seen: HashSet<u64>,
    bytes: Vec<u8>,
    ends: BTreeSet<End>,
}

impl Search<'_> {
    fn visit(&mut self, state: State) -> Result<(), Bad> {
        if !self.is_new(&state) {
            return Ok(());
        }
        let mut is_end = true;
        for thread in 0..state.threads.len() {
            let behaviour = &self.behaviours[thread];
            let node = &behaviour.nodes[state.threads[thread].node];
            let Some(step) = node.next.clone() else { continue };
            if behaviour.participant.after_death.is_some() && !node.dead {
                self.go(&state, thread, Event::Killed, |_| {}, || "is killed".into())?;
            }
            is_end &= !self.take(&state, thread, step)?;
        }
        if is_end { self.end(&state) } else { Ok(()) }
    }

    /// Takes a step in all ways. `false` if there is none.
    fn take(&mut self, state: &State, thread: usize, step: Step) -> Result<bool, Bad> {
        let name = |at: Location| self.program.locations[at.0].0;
        match step {
            Step::Load(at, order) => {
                let at_name = name(at);
                for position in state.oldest(thread, at, order)..state.memory[at.0].len() {
                    let value = state.memory[at.0][position].value;
                    let load = |state: &mut State| state.load(thread, at, position, order);
                    let told = || format!("loads {at_name} {order:?}: {value}");
                    self.go(state, thread, Event::Given(value), load, told)?;
                }
            }
            Step::WaitUntil(at, order, what) => {
                let at_name = name(at);
                let mut any = false;
                for position in state.oldest(thread, at, order)..state.memory[at.0].len() {
                    let value = state.memory[at.0][position].value;
                    if what(value) {
                        any = true;
                        let load = |state: &mut State| state.load(thread, at, position, order);
                        let told = || format!("has waited for {at_name} {order:?}: {value}");
                        self.go(state, thread, Event::Given(value), load, told)?;
                    }
                }
                return Ok(any);
            }
            Step::Store(at, value, order) => {
                let at_name = name(at);
                let last = state.memory[at.0].len();
                for position in state.oldest(thread, at, order) + 1..=last {
                    if state.is_free(at, position) {
                        let store = |state: &mut State| state.store(thread, at, position, value, order, None);
                        let place = if position < last { ", before what others have stored" } else { "" };
                        let told = || format!("stores {at_name} = {value} {order:?}{place}");
                        self.go(state, thread, Event::Given(0), store, told)?;
                    }
                }
            }
            Step::Update(at, order, change) => {
                let at_name = name(at);
                for position in state.oldest(thread, at, order)..state.memory[at.0].len() {
                    let Message { value, shows, .. } = state.memory[at.0][position];
                    let Some(new) = change(value) else {
                        let load = |state: &mut State| state.load(thread, at, position, order);
                        let told = || format!("would change {at_name} {order:?}, which is {value}");
                        self.go(state, thread, Event::Given(value), load, told)?;
                        continue;
                    };
                    if state.is_free(at, position + 1) {
                        let update = |state: &mut State| {
                            state.load(thread, at, position, order);
                            state.store(thread, at, position + 1, new, order, Some(shows));
                        };
                        let told = || format!("changes {at_name} {order:?} from {value} to {new}");
                        self.go(state, thread, Event::Given(value), update, told)?;
                    }
                }
            }
            Step::Fence(order) => {
                let fence = |state: &mut State| state.fence(thread, order);
                self.go(state, thread, Event::Given(0), fence, || format!("fence {order:?}"))?;
            }
            Step::Choose(below) => {
                for value in 0..below {
                    self.go(state, thread, Event::Given(value), |_| {}, || format!("chooses {value}"))?;
                }
            }
        }
        Ok(true)
    }

    /// Takes one step in one way, and visits what comes of it.
    fn go(
        &mut self,
        state: &State,
        thread: usize,
        event: Event,
        change: impl FnOnce(&mut State),
        told: impl FnOnce() -> String,
    ) -> Result<(), Bad> {
        let mut next = state.clone();
        change(&mut next);
        next.threads[thread].node = self.behaviours[thread].follow(next.threads[thread].node, event);
        let visited = self.settle(&mut next, thread).and_then(|()| {
            next.forget();
            self.visit(next)
        });
        visited.map_err(|mut bad| {
            let name = self.program.threads[thread].name;
            bad.steps.push(format!("{name} {}", told()));
            bad
        })
    }

    /// What a thread does without anybody noticing: fences that are its own affair, and its end.
    fn settle(&mut self, state: &mut State, thread: usize) -> Result<(), Bad> {
        loop {
            let at = state.threads[thread].node;
            let node = &self.behaviours[thread].nodes[at];
            if let Some(bad) = &node.bad {
                return Err(Bad { what: bad.clone(), steps: Vec::new() });
            }
            match node.next {
                Some(Step::Fence(order)) if order != SeqCst => {
                    state.fence(thread, order);
                    state.threads[thread].node = self.behaviours[thread].follow(at, Event::Given(0));
                }
                Some(_) => return Ok(()),
                None => {
                    state.threads[thread] = ThreadState { node: at, ended: true, ..ThreadState::default() };
                    return Ok(());
                }
            }
        }
    }

    fn end(&mut self, state: &State) -> Result<(), Bad> {
        let nodes = self.behaviours.iter().zip(&state.threads).map(|(it, at)| &it.nodes[at.node]);
        let threads = self.program.threads.iter().zip(&state.threads);
        let end = End {
            values: state.memory.iter().map(|it| it.last().expect("the last one stays").value).collect(),
            notes: nodes.map(|node| node.notes.clone()).collect(),
            stuck: threads.filter(|(_, at)| !at.ended).map(|(it, _)| it.name).collect(),
        };
        if let Some(Err(what)) = self.program.at_end.as_ref().map(|check| check(&end)) {
            let mut steps = vec![String::new()];
            for ((name, _), value) in self.program.locations.iter().zip(&end.values) {
                let _ = write!(steps[0], "{name} = {value}; ");
            }
            return Err(Bad { what, steps });
        }
        self.ends.insert(end);
        Ok(())
    }

    fn is_new(&mut self, state: &State) -> bool {
        self.bytes.clear();
        state.write_to(&mut self.bytes);
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.bytes);
        self.seen.insert(hasher.finish())
    }
}
