import { Actions, LINGER_MS } from './actions.js';
import { CALM, type Program } from './program.js';
import { World, type Failure } from './world.js';

/** How long after the last fault everything may take to come to rest, beyond what a throttle explains. */
const REST_MS = 120_000;
const LARGEST_PACKET_BYTES = 1_130;

/** What a run has shown. */
export interface Outcome {
  readonly failure: Failure | undefined;
  readonly virtualMs: number;
  readonly publishes: number;
  readonly messages: number;
  readonly connections: number;
  readonly packets: number;
  readonly log: readonly string[];
}

/** Runs a program and judges every step. Nothing is left behind, whatever happens. */
export async function simulate(program: Program, isLogging = false): Promise<Outcome> {
  const world = new World(program, isLogging);
  const restore = world.clock.install();
  const { stackTraceLimit } = Error;
  // Errors are part of many runs, and their stacks of none that holds.
  if (!isLogging) Error.stackTraceLimit = 0;
  try {
    await new Run(world, program).run();
  } catch (error) {
    world.report('nothing throws', (error as Error).stack ?? String(error));
  } finally {
    restore();
    Error.stackTraceLimit = stackTraceLimit;
  }
  return {
    failure: world.failure,
    virtualMs: world.clock.nowMs,
    publishes: world.publishes.records.size,
    messages: world.messages.count,
    connections: world.loop.stats().connections,
    packets: world.packets,
    log: world.log,
  };
}

class Run {
  readonly #world: World;
  readonly #program: Program;
  readonly #actions: Actions;

  constructor(world: World, program: Program) {
    this.#world = world;
    this.#program = program;
    this.#actions = new Actions(world);
  }

  async run(): Promise<void> {
    const { clock } = this.#world;
    this.#actions.start();
    for (const step of this.#program.steps) clock.schedule(step.atMs, () => this.#actions.perform(step));
    const lastMs = this.#program.steps.at(-1)?.atMs ?? 0;
    clock.schedule(lastMs + 100, () => this.#heal());
    await clock.settle();
    await this.#until(() => clock.nowMs >= lastMs + 100, lastMs + 100);
    await this.#until(() => this.#isAtRest(), clock.nowMs + REST_MS + this.#throttledMs() + this.#handlingMs());
    this.#expectRest();
    this.#finish();
    await clock.settle();
    await this.#until(() => this.#actions.openCalls.size === 0, clock.nowMs + REST_MS + this.#throttledMs());
    const closedAtMs = clock.nowMs;
    const lingersUntilMs = closedAtMs + LINGER_MS + 100;
    await this.#until(() => clock.nowMs > lingersUntilMs, lingersUntilMs);
    this.#expectNothingLeft();
  }

  #heal(): void {
    this.#world.weather = CALM;
    this.#world.broker.latencyMs = [0, 1];
    this.#actions.heal();
    // Without keep alive nobody would ever find out.
    if (this.#program.options.keepAliveSeconds === 0) {
      for (const link of this.#world.network.links) if (link.silentSinceMs !== undefined) link.break('reset');
    }
  }

  /** Runs until something holds, something fails, or it is too late. */
  async #until(holds: () => boolean, latestMs: number): Promise<void> {
    const { clock } = this.#world;
    while (this.#world.failure === undefined && !holds()) {
      const dueMs = clock.nextDueMs;
      if (dueMs === undefined || dueMs > latestMs) return;
      await clock.step();
      this.#world.check();
    }
  }

  #throttledMs(): number {
    const { throttle } = this.#world;
    // A publish may be sent on two connections, and its PUBREL again.
    return throttle.spacingMs(LARGEST_PACKET_BYTES) * (3 * this.#world.publishes.records.size + 20);
  }

  #handlingMs(): number {
    // One after the other, and some of them again.
    return 3 * this.#world.messages.count * this.#program.handlers.takesMs[1];
  }

  #isAtRest(): boolean {
    const { publishes, subscriptions, application, broker, loop } = this.#world;
    if (!publishes.isSettled || !subscriptions.isSettled || this.#actions.openCalls.size > 0) return false;
    if (loop.status === 'closed') return true;
    if (!subscriptions.areMadeAgain) return false;
    if (application.busy > 0 || loop.status !== 'connected') return false;
    const { inflight, queued, unsettled } = loop.stats();
    return inflight + queued + unsettled === 0 && [...broker.sessions.values()].every(({ isEmpty }) => isEmpty);
  }

  #expectRest(): void {
    const { publishes, subscriptions, messages, broker, loop, report } = this.#world;
    if (this.#world.failure !== undefined) return;
    const open = [...publishes.open, ...subscriptions.open, ...this.#actions.openCalls.values()];
    if (open.length > 0) return report('every promise settles', `open long after the last fault: ${open.join(', ')}`);
    if (loop.status === 'closed' || this.#actions.shutdown !== undefined) return undefined;
    if (loop.status !== 'connected')
      return report('the loop connects again', `it is ${loop.status} long after the last fault`);
    messages.checkAtRest(new Set(Array.from(broker.sessions.values(), ({ generation }) => generation)));
    const session = broker.sessions.get(this.#program.options.clientId!);
    if (session !== undefined) subscriptions.checkAtRest(session.subscriptions);
    const { inflight, queued, unsettled } = loop.stats();
    if (inflight + queued + unsettled > 0) {
      report('nothing stays behind', `at rest: inflight ${inflight}, queued ${queued}, unsettled ${unsettled}`);
    }
    if (this.#actions.listeners > 0) report('nothing stays behind', 'the client still listens to a signal');
    return undefined;
  }

  /** A last few publishes and an orderly shutdown, which has to carry them. */
  #finish(): void {
    if (this.#world.failure !== undefined || this.#actions.shutdown !== undefined) return;
    const isClosed = this.#world.loop.status === 'closed';
    for (const qos of [1, 2, 0, 1] as const) {
      this.#actions.perform({
        number: 9_000 + this.#world.publishes.records.size,
        atMs: 0,
        do: 'publish',
        qos,
        bytes: 8,
        count: 1,
        via: 'publish',
      });
    }
    if (!isClosed) this.#actions.close(60_000, false);
    const { throttle, reconnect } = this.#program.options;
    this.#mustDrain = !isClosed && throttle === undefined && reconnect.policy !== 'never';
  }

  #mustDrain = false;

  #expectNothingLeft(): void {
    const { publishes, subscriptions, network, clock, loop, report } = this.#world;
    if (this.#world.failure !== undefined) return;
    const { shutdown, openCalls } = this.#actions;
    const open = [...publishes.open, ...subscriptions.open, ...openCalls.values()];
    if (open.length > 0) report('every promise settles', `open after the end: ${open.join(', ')}`);
    if (loop.status !== 'closed') report('closed is closed', `the loop is ${loop.status} after the end`);
    if (clock.clientTimers > 0) report('nothing stays behind', `${clock.clientTimers} timers are left`);
    if (network.pendingDials > 0) report('nothing stays behind', `${network.pendingDials} dials are left`);
    const sockets = network.links.filter(({ socket }) => !socket.destroyed).map(({ number }) => number);
    if (sockets.length > 0) report('nothing stays behind', `the sockets of links ${sockets.join(', ')} are open`);
    if (this.#actions.listeners > 0) report('nothing stays behind', 'the client still listens to a signal');
    if (shutdown === undefined) return;
    if (this.#mustDrain && shutdown.drained === false)
      report('shutdown drains', 'a healthy connection was not drained');
  }
}
