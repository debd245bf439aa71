import { sleep, type Clock } from './clock.js';
import type { Farewell } from './connection.js';
import { Connector, type Established } from './connector.js';
import type { Emitter } from './emitter.js';
import { MqttProtocolError } from './connection-errors.js';
import { MqttClosedError, MqttStateError, type MqttError } from './errors.js';
import { EventLoopStatus, type EventLoopEvents } from './events.js';
import { SessionIdentity } from './identity.js';
import type { Negotiated } from './negotiated.js';
import { SrvLookup } from './network/srv-lookup.js';
import type { ResolvedOptions } from './options.js';
import { Backoff } from './reconnect/backoff.js';
import { classify, reasonCodeOf, serverReferenceOf } from './reconnect/classify.js';
import { Waiters } from './promises.js';
import { PlannedReconnects } from './planned-reconnects.js';
import type { RenewalsHost } from './renewals.js';
import type { CompleteRuntime } from './runtime.js';
import { ServerList } from './server-list.js';

const NORMALLY: Farewell = { reasonCode: 0x00 };
const RECONNECTS_ON_DEMAND = 'the event loop reconnects on demand';

/** What the lifecycle drives. @internal */
export interface LifecycleHost extends RenewalsHost {
  /** Takes an accepted connection over. @returns why it ended, when it has */
  open(established: Established, sessionPresent: boolean): Promise<MqttError>;
  /** No connection will be made any more. */
  gaveUp(cause: MqttError): void;
}

/**
 * Makes the present state follow the wanted one: connect, wait, connect again, pause, resume. One run is one stretch of wanting
 * to be connected; every wait in it ends at once when the run is stopped.
 *
 * @internal
 */
export class Lifecycle {
  readonly #host: LifecycleHost;
  readonly #clock: Clock;
  readonly #emitter: Emitter<EventLoopEvents>;
  readonly #connector: Connector;
  readonly #backoff: Backoff;
  #options: ResolvedOptions;
  #status: EventLoopStatus = EventLoopStatus.Idle;
  #negotiated: Negotiated | undefined;
  #run: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;
  /** Pause, resume and reconnect take effect one after the other. */
  #commands: Promise<void> = Promise.resolve();
  /** Callers of start, resume and reconnect. */
  readonly #waiters = new Waiters();
  /** What `stats()` counts. */
  readonly counters = { connections: 0, connectFailures: 0, protocolErrors: 0 };
  /** Since when there has been no connection. */
  #withoutSinceMs: number;
  readonly #servers: ServerList;
  readonly #srvLookup: SrvLookup;
  readonly #identity = new SessionIdentity();
  readonly #plans: PlannedReconnects;

  constructor(
    options: ResolvedOptions,
    host: LifecycleHost,
    emitter: Emitter<EventLoopEvents>,
    runtime: CompleteRuntime,
  ) {
    this.#options = options;
    this.#host = host;
    this.#emitter = emitter;
    this.#clock = runtime.clock;
    this.#withoutSinceMs = runtime.clock.now();
    this.#servers = new ServerList(options);
    this.#srvLookup = new SrvLookup(runtime.resolveSrv, runtime.clock, runtime.random);
    this.#connector = new Connector(runtime.dial, runtime.clock);
    this.#backoff = new Backoff(options.reconnect, runtime.random);
    this.#plans = new PlannedReconnects(this.#connector, this.#srvLookup, host, emitter, runtime);
  }

  get status(): EventLoopStatus {
    return this.#status;
  }

  get negotiated(): Negotiated | undefined {
    return this.#negotiated;
  }

  /** 0 while there is a connection. */
  get disconnectedForMs(): number {
    return this.#negotiated === undefined ? this.#clock.now() - this.#withoutSinceMs : 0;
  }

  /** A run is under way: what is queued can still be sent. */
  get isRunning(): boolean {
    return this.#run !== undefined;
  }

  start(): Promise<void> {
    switch (this.#status) {
      case EventLoopStatus.Closing:
      case EventLoopStatus.Closed:
        return Promise.reject(new MqttClosedError());
      case EventLoopStatus.Paused:
        return Promise.reject(new MqttStateError('the event loop is paused: call resume() to connect'));
      case EventLoopStatus.Idle:
        this.#launch();
        return this.#connected();
      default:
        return this.#connected();
    }
  }

  async pause(): Promise<void> {
    await this.#command(async () => {
      if (this.#status === EventLoopStatus.Paused) return;
      await this.#halt(new MqttStateError('the event loop was paused'), NORMALLY);
      this.#setStatus(EventLoopStatus.Paused);
      this.#emitter.emit('paused', undefined);
    });
  }

  async resume(): Promise<void> {
    await this.#command(() => {
      if (this.#status !== EventLoopStatus.Paused) return;
      this.#backoff.reset();
      this.#launch();
    });
    return this.start();
  }

  /** Connects anew with these options, whatever it was doing. */
  async reconnect(options: ResolvedOptions): Promise<void> {
    await this.#command(async () => {
      await this.#halt(new MqttStateError(RECONNECTS_ON_DEMAND), NORMALLY);
      if (options.clientId !== this.#options.clientId) this.#identity.forgetAssigned();
      this.#options = options;
      this.#backoff.configure(options.reconnect);
      this.#backoff.reset();
      this.#servers.configure(options);
      this.#launch();
    });
    return this.#connected();
  }

  reauthenticate(): Promise<void> {
    return this.#plans.reauthenticate(this.#options);
  }

  /** Whatever was commanded has taken effect. */
  get settled(): Promise<void> {
    return this.#commands;
  }

  /** Refuses every further command; the run goes on until `end`. */
  close(): void {
    this.#status = EventLoopStatus.Closing;
    this.#waiters.settle(new MqttClosedError());
  }

  /** Ends the run and the connection for good. */
  async end(cause: MqttError, farewell: Farewell | undefined): Promise<void> {
    // A reconnect on demand that is under way would else connect after the end.
    await this.#commands;
    await this.#halt(cause, farewell);
    this.#status = EventLoopStatus.Closed;
  }

  #command(act: () => Promise<void> | void): Promise<void> {
    const done = this.#commands.then(() => {
      if (this.isClosed) throw new MqttClosedError();
      return act();
    });
    this.#commands = done.catch(() => {});
    return done;
  }

  #connected(): Promise<void> {
    if (this.#status === EventLoopStatus.Connected) return Promise.resolve();
    if (this.isClosed) return Promise.reject(new MqttClosedError());
    return this.#waiters.wait();
  }

  #launch(): void {
    this.#setStatus(EventLoopStatus.Connecting);
    const stop = new AbortController();
    const ended = this.#runUntilStopped(stop.signal).finally(() => {
      if (this.#run?.stop === stop) this.#run = undefined;
    });
    this.#run = { stop, ended };
  }

  async #halt(cause: MqttError, farewell: Farewell | undefined): Promise<void> {
    const run = this.#run;
    this.#waiters.settle(cause);
    run?.stop.abort(cause);
    await this.#host.disconnect(cause, farewell);
    await run?.ended;
  }

  async #runUntilStopped(stop: AbortSignal): Promise<void> {
    for (let attempt = 1; !stop.aborted; attempt++) {
      if (attempt > 1 || this.#status === EventLoopStatus.Reconnecting)
        this.#emitter.emit('reconnecting', { attempt, server: this.#servers.current.label });
      let cause: MqttError;
      try {
        const server = await this.#servers.lookUp(this.#srvLookup, this.#options, stop);
        const established = await this.#connector.connect(server, this.#options, this.#identity, stop);
        cause = await this.#use(established, attempt, stop);
        attempt = 0;
        if (stop.aborted) return this.#emitDisconnected(cause, cause.message === RECONNECTS_ON_DEMAND ? 0 : undefined);
        this.#setStatus(EventLoopStatus.Reconnecting);
        const left = this.#plans.hasLeft(cause);
        if (left !== undefined) {
          this.#emitDisconnected(cause, 0);
          // The server must not see the next connection first: that would be a takeover, and publish the will.
          await left;
          continue;
        }
      } catch (error) {
        if (stop.aborted) return;
        cause = error as MqttError;
        this.counters.connectFailures++;
        const hadTheirTurn = this.#servers.failed(serverReferenceOf(cause));
        if (!hadTheirTurn && classify(cause) !== 'permanent') {
          this.#emitDisconnected(cause, 0);
          continue;
        }
      }
      if (!(await this.#waitAfter(cause, attempt, stop))) return;
    }
  }

  async #use(established: Established, attempt: number, stop: AbortSignal): Promise<MqttError> {
    const { negotiated, connection } = established;
    if (stop.aborted) {
      await connection.disconnect(stop.reason as MqttError, NORMALLY);
      throw stop.reason;
    }
    this.#connector.used();
    const openedAtMs = this.#clock.now();
    this.counters.connections++;
    this.#negotiated = negotiated;
    this.#servers.accepted();
    const ended = this.#host.open(established, this.#identity.accepted(negotiated, this.#options));
    this.#plans.begin(established, this.#servers, this.#options);
    this.#setStatus(EventLoopStatus.Connected);
    this.#emitter.emit('connected', { negotiated, sessionPresent: negotiated.sessionPresent, attempt });
    this.#waiters.settle(undefined);
    const cause = await ended;
    this.#plans.end();
    this.#negotiated = undefined;
    this.#withoutSinceMs = this.#clock.now();
    const lastedMs = this.#withoutSinceMs - openedAtMs;
    this.#backoff.connectionEnded(lastedMs);
    if (this.#plans.hasLeft(cause) === undefined)
      this.#servers.lost(lastedMs >= this.#options.reconnect.stableAfterMs, serverReferenceOf(cause));
    return cause;
  }

  /** @returns whether to go on after the wait */
  async #waitAfter(cause: MqttError, attempt: number, stop: AbortSignal): Promise<boolean> {
    const { policy } = this.#options.reconnect;
    const givesUp = policy === 'never' || (policy === 'after-first-success' && this.counters.connections === 0);
    const decision = givesUp ? 'stop' : this.#backoff.next(cause, attempt);
    if (typeof decision !== 'number') {
      this.#emitDisconnected(cause, undefined);
      this.#giveUp(decision === 'stop' ? cause : decision);
      return false;
    }
    const delayMs = decision;
    this.#emitDisconnected(cause, delayMs);
    if (policy === 'always') this.#waiters.settle(undefined);
    await sleep(this.#clock, delayMs, stop);
    return !stop.aborted;
  }

  #giveUp(cause: MqttError): void {
    const mayStartAgain = this.counters.connections === 0 && this.#options.reconnect.policy !== 'always';
    this.#run = undefined;
    this.#setStatus(mayStartAgain ? EventLoopStatus.Idle : EventLoopStatus.Closed);
    this.#waiters.settle(cause);
    if (this.isClosed) this.#host.gaveUp(cause);
  }

  #emitDisconnected(cause: MqttError, willRetryInMs: number | undefined): void {
    if (cause instanceof MqttProtocolError) this.counters.protocolErrors++;
    this.#emitter.emit('disconnected', { cause, reasonCode: reasonCodeOf(cause), willRetryInMs });
  }

  /** Closing or closed: takes no more requests. */
  get isClosed(): boolean {
    return this.#status === EventLoopStatus.Closing || this.#status === EventLoopStatus.Closed;
  }

  #setStatus(status: EventLoopStatus): void {
    if (!this.isClosed) this.#status = status;
  }
}
