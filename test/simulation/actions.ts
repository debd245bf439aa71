import type { MqttError } from '../../lib/eventloop/errors.js';
import { getEventListeners } from 'node:events';
import { payloadOf } from './packets.js';
import type { PublishRecord } from './oracle/publishes.js';
import { describeStep, type Step } from './program.js';
import type { World } from './world.js';

/** How long a server may take to close the connection after our DISCONNECT. */
export const LINGER_MS = 1_000;

type PublishStep = Extract<Step, { do: 'publish' }>;
type Call = 'start' | 'pause' | 'resume' | 'reconnect' | 'shutdown';

/** Does what the steps of a program say. */
export class Actions {
  /** Calls of the client that have not settled. */
  readonly openCalls = new Map<object, string>();
  shutdown: { readonly calledAtMs: number; readonly drainTimeoutMs: number; drained: boolean | undefined } | undefined;
  readonly #world: World;
  readonly #controllers: AbortController[] = [];
  #healed = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** Signals on which the client still listens. */
  get listeners(): number {
    return this.#controllers.filter(({ signal }) => getEventListeners(signal, 'abort').length > 0).length;
  }

  start(): void {
    const { loop, clock } = this.#world;
    this.#call('start', loop.start(), () => {
      // Under some policies a failed start leaves it to the caller to try again.
      clock.schedule(300, () => {
        if (loop.status === 'idle') this.start();
      });
    });
  }

  perform(step: Step): void {
    this.#world.clock.wasClientAtWork = true;
    const { loop, broker, network, connections, throttle, clock } = this.#world;
    this.#world.note(() => `=== ${describeStep(step).slice(12)}`);
    const link = network.current;
    switch (step.do) {
      case 'publish':
        for (let index = 0; index < step.count; index++) this.#publish(step, index);
        if (step.andThen === 'reset') link?.vanish();
        else if (step.andThen !== undefined) this.perform({ ...step, do: step.andThen });
        return;
      case 'subscribe':
      case 'unsubscribe':
        return this.#subscription(step);
      case 'pause':
        return this.#call('pause', loop.pause());
      case 'resume':
        connections.demanded();
        return this.#call('resume', loop.resume(), () => this.#startAgain());
      case 'reconnect':
        connections.demanded();
        if (step.throttle !== undefined) throttle.configure(step.throttle);
        return this.#call(
          'reconnect',
          loop.reconnect(step.throttle === undefined ? {} : { throttle: step.throttle }),
          () => this.#startAgain(),
        );
      case 'shutdown':
        return this.close(step.drainTimeoutMs, step.publishWill);
      case 'deliver':
        for (let index = 0; index < step.count; index++) {
          broker.deliver(`m${step.number}.${index}`, step.topic, step.qos, step.bytes);
        }
        return;
      case 'cut':
        return link?.[step.direction].cutAfter(step.afterBytes, step.how);
      case 'half-open':
        return link?.fallSilent();
      case 'freeze':
        return link?.freezeBroker(step.forMs);
      case 'restart':
        broker.restart(step.keepSessions);
        broker.reachable = step.dials;
        clock.schedule(step.downMs, () => (broker.reachable = 'yes'));
        return;
      case 'limits':
        this.#world.publishes.circumstances.limited = true;
        broker.limits = step.limits;
        return broker.kick(0x98);
      case 'kick':
        return broker.kick(step.reasonCode);
      case 'refuse':
        broker.refusals = { times: step.times, reasonCode: step.reasonCode };
        return;
      case 'stray':
        return broker.stray(step.cmd);
    }
  }

  close(drainTimeoutMs: number, publishWill: boolean): void {
    if (this.shutdown !== undefined) return;
    const { loop, clock, publishes } = this.#world;
    const shutdown = { calledAtMs: clock.nowMs, drainTimeoutMs, drained: undefined as boolean | undefined };
    this.shutdown = shutdown;
    this.#world.endsWithWill = publishWill;
    publishes.circumstances.closing = true;
    this.#call(
      'shutdown',
      loop.shutdown({ drainTimeoutMs, publishWill }).then(({ drained }) => {
        shutdown.drained = drained;
        this.#checkShutdown(shutdown);
      }),
    );
  }

  #checkShutdown({ calledAtMs, drainTimeoutMs, drained }: NonNullable<Actions['shutdown']>): void {
    const { clock, publishes, report } = this.#world;
    const tookMs = clock.nowMs - calledAtMs;
    if (tookMs > drainTimeoutMs + LINGER_MS + 1) {
      report('shutdown keeps its deadline', `it took ${tookMs} ms, drainTimeoutMs ${drainTimeoutMs}`);
    }
    if (drained) publishes.drained();
  }

  /** Nothing goes wrong from now on. */
  heal(): void {
    const { loop, broker, network, connections } = this.#world;
    this.#healed = true;
    this.#world.note('=== all faults end');
    broker.reachable = 'yes';
    broker.refusals = { times: 0, reasonCode: 0 };
    for (const link of network.links) {
      link.up.cancelCut();
      link.down.cancelCut();
      link.up.thaw();
    }
    // Also when it is only about to be paused.
    connections.demanded();
    this.#call('resume', loop.resume(), () => this.#startAgain());
  }

  #startAgain(): void {
    if (this.#healed && this.#world.loop.status === 'idle') this.start();
  }

  #call(name: Call, promise: Promise<unknown>, onRejected?: () => void): void {
    const call = {};
    this.openCalls.set(call, name);
    promise.then(
      () => this.openCalls.delete(call),
      (error: MqttError) => {
        this.openCalls.delete(call);
        this.#world.note(`${name} rejects: ${error.message}`);
        if (typeof error.code !== 'string')
          this.#world.report('errors are typed', `${name} rejects with ${String(error)}`);
        onRejected?.();
      },
    );
  }

  #publish(step: PublishStep, index: number): void {
    const { loop, clock, publishes } = this.#world;
    const key = `p${step.number}.${index}`;
    const topic = step.refused ? 'refused/x' : `out/${step.number % 2}`;
    const record = publishes.offered(key, topic, step.bytes, step.qos, step.timeoutMs);
    const controller = step.abortAfterMs === undefined ? undefined : new AbortController();
    const options = {
      qos: step.qos,
      retain: step.retain ?? false,
      ...(step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs }),
      ...(controller === undefined ? {} : { signal: controller.signal }),
    };
    if (controller !== undefined) {
      this.#controllers.push(controller);
      clock.schedule(step.abortAfterMs!, () => {
        record.aborted = true;
        controller.abort();
      });
    }
    const payload = payloadOf(key, step.bytes);
    if (step.via === 'tryEnqueue') {
      try {
        const delivery = loop.tryEnqueue(topic, payload, options);
        if (delivery === undefined) publishes.turnedAway(record);
        else this.#follow(record, delivery.completed);
      } catch (error) {
        publishes.failed(record, error as MqttError);
      }
    } else if (step.via === 'enqueue') {
      this.#follow(
        record,
        loop.enqueue(topic, payload, options).then(({ completed }) => completed),
      );
    } else this.#follow(record, loop.publish(topic, payload, options));
  }

  #follow(record: PublishRecord, completed: Promise<unknown>): void {
    completed.then(
      () => {
        this.#world.note(`${record.key} succeeds`);
        this.#world.publishes.succeeded(record);
      },
      (error: MqttError) => {
        this.#world.note(`${record.key} fails: ${error.message}`);
        this.#world.publishes.failed(record, error);
      },
    );
  }

  #subscription(step: Extract<Step, { do: 'subscribe' | 'unsubscribe' }>): void {
    const { loop, subscriptions } = this.#world;
    const operation = subscriptions.offered(step.do, step.filters);
    const promise =
      step.do === 'unsubscribe'
        ? loop.unsubscribe(step.filters)
        : loop.subscribe(
            Object.fromEntries(step.filters.map((filter) => [filter, { qos: step.qos }])),
            step.timeoutMs === undefined ? {} : { timeoutMs: step.timeoutMs },
          );
    promise.then(
      () => subscriptions.succeeded(operation, step.filters),
      (error: MqttError) => {
        this.#world.note(`${step.do} fails: ${error.message}`);
        subscriptions.failed(operation, error);
      },
    );
  }
}
