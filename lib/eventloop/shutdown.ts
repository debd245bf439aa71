import type { Clock } from './clock.js';
import type { Driver } from './driver.js';
import { MqttStateError } from './errors.js';
import type { Lifecycle } from './lifecycle.js';
import type { Session } from './session/session.js';

const DISCONNECT_NORMALLY = 0x00;
const DISCONNECT_WITH_WILL = 0x04;
const DEFAULT_DRAIN_TIMEOUT_MS = 10_000;

/** @publicApi */
export interface ShutdownOptions {
  /** How long queue, window and handlers may take to drain; 0 = not at all. Default 10 000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Ask the broker to publish the will. Default false: the will is cancelled. */
  readonly publishWill?: boolean | undefined;
}

/** @publicApi */
export interface ShutdownResult {
  /** Whether everything that was accepted had completed, and every handler had settled, before the end. */
  readonly drained: boolean;
}

/**
 * Drains within the deadline, then ends the connection with DISCONNECT as its last packet.
 *
 * @internal
 */
export async function shutDown(
  session: Session,
  driver: Driver,
  lifecycle: Lifecycle,
  clock: Clock,
  { drainTimeoutMs = DEFAULT_DRAIN_TIMEOUT_MS, publishWill = false }: ShutdownOptions,
): Promise<ShutdownResult> {
  session.incoming.close();
  const drained = drainTimeoutMs > 0 && (await drainWithin(drainTimeoutMs, driver, lifecycle, clock));
  // MQTT 3.1.1 has no reason for it: a connection that ends without DISCONNECT is what makes the broker publish the will.
  const withWill = lifecycle.negotiated?.protocolVersion === 5 ? DISCONNECT_WITH_WILL : undefined;
  await lifecycle.end(new MqttStateError('the event loop was shut down'), publishWill ? withWill : DISCONNECT_NORMALLY);
  return { drained };
}

function drainWithin(timeoutMs: number, driver: Driver, lifecycle: Lifecycle, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (drained: boolean): void => {
      timer.cancel();
      resolve(drained);
    };
    const timer = clock.startTimer(() => settle(false), timeoutMs);
    void driver.drained(() => lifecycle.isRunning).then(settle);
  });
}
