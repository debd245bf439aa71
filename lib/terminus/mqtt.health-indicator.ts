import { Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { MqttArgumentError } from '../eventloop/errors.js';
import type { EventLoop } from '../eventloop/event-loop.js';
import { EventLoopStatus } from '../eventloop/events.js';
import { defaultName } from '../mqtt.constants.js';
import { getMqttEventLoopToken } from '../mqtt.tokens.js';

/** @publicApi */
export interface MqttHealthOptions {
  /** The registration (`MqttModule.register({ name })`). Default: the one without a name. */
  readonly name?: string | undefined;
  /** For how long a missing connection is degraded and not down, in milliseconds from 0. Default 30 000. */
  readonly degradedForMs?: number | undefined;
  /** From which part of its capacity on the request queue is degraded, above 0 to 1. Default 0.8. */
  readonly queueFill?: number | undefined;
}

/** What a health check tells. No credentials, no topics. @publicApi */
export interface MqttHealthDetails extends Record<string, unknown> {
  readonly connection: EventLoopStatus;
  /** Without credentials; undefined while there is no connection. */
  readonly server: string | undefined;
  /** Why it is degraded or down. */
  readonly reasons: readonly string[];
  readonly queued: number;
  readonly inflight: number;
  /** Messages whose handlers have not settled. */
  readonly unsettled: number;
  readonly reconnects: number;
  readonly throttled: boolean;
}

/** A session of Terminus 12. */
interface GradedSession<Key extends string> {
  degraded(details: MqttHealthDetails): HealthIndicatorResult<Key>;
}

const mayStillConnect: ReadonlySet<EventLoopStatus> = new Set([
  EventLoopStatus.Connected,
  EventLoopStatus.Connecting,
  EventLoopStatus.Reconnecting,
]);

/**
 * Health of the connection that the application really uses, for `@nestjs/terminus` 11 and 12. A check does no I/O.
 *
 * - up: connected.
 * - degraded: no connection for less than `degradedForMs`; a queue that is nearly full, or that callers wait for; a
 *   subscription that the broker refused. Terminus 11 knows no such status: there it is up, with `reasons`.
 * - down: no connection for longer, paused, not started, closing, closed.
 *
 * @example `health.check([() => mqtt.check('mqtt'), () => mqtt.check('factory', { name: 'factory' })])`
 * @publicApi
 */
@Injectable()
export class MqttHealthIndicator {
  readonly #health: HealthIndicatorService;
  readonly #modules: ModuleRef;

  constructor(@Inject(HealthIndicatorService) health: HealthIndicatorService, @Inject(ModuleRef) modules: ModuleRef) {
    this.#health = health;
    this.#modules = modules;
  }

  /**
   * @param key - of the result
   * @throws MqttArgumentError for options that cannot be meant, or a registration that does not exist
   */
  check<const Key extends string>(key: Key, options: MqttHealthOptions = {}): HealthIndicatorResult<Key> {
    const { name = defaultName, degradedForMs = 30_000, queueFill = 0.8 } = options;
    if (!(degradedForMs >= 0)) throw new MqttArgumentError('degradedForMs', degradedForMs, 'milliseconds from 0');
    if (!(queueFill > 0 && queueFill <= 1)) throw new MqttArgumentError('queueFill', queueFill, 'above 0 to 1');

    const loop = this.#loop(name);
    const { isDown, details } = judge(loop, degradedForMs, queueFill);
    const session = this.#health.check(key);
    if (isDown) return session.down(details);
    return details.reasons.length > 0 && isGraded<Key>(session) ? session.degraded(details) : session.up(details);
  }

  #loop(name: string): EventLoop {
    try {
      return this.#modules.get<EventLoop>(getMqttEventLoopToken(name), { strict: false });
    } catch {
      throw new MqttArgumentError('name', name, 'the name of an MqttModule registration of this application');
    }
  }
}

function isGraded<Key extends string>(session: object): session is GradedSession<Key> {
  return 'degraded' in session;
}

function judge(
  loop: EventLoop,
  degradedForMs: number,
  mostFilled: number,
): { readonly isDown: boolean; readonly details: MqttHealthDetails } {
  const { status } = loop;
  const stats = loop.stats();
  const reasons: string[] = [];
  if (!mayStillConnect.has(status)) reasons.push(status === EventLoopStatus.Idle ? 'not started' : status);
  else if (!stats.connected) reasons.push(`no connection for ${Math.round(stats.disconnectedForMs)} ms`);
  const isDown = reasons.length > 0 && (!mayStillConnect.has(status) || stats.disconnectedForMs >= degradedForMs);
  if (stats.waiting > 0) reasons.push(`${stats.waiting} callers wait for the request queue`);
  else if (stats.queueFill >= mostFilled) {
    reasons.push(`the request queue is filled to ${Math.floor(stats.queueFill * 100)} %`);
  }
  if (stats.refusedSubscriptions > 0) reasons.push(`${stats.refusedSubscriptions} subscriptions were refused`);
  const { queued, inflight, unsettled, reconnects, throttled } = stats;
  const server = loop.negotiated?.server;
  return {
    isDown,
    details: { connection: status, server, reasons, queued, inflight, unsettled, reconnects, throttled },
  };
}
