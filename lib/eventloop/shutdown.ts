import type { Clock } from './clock.js';
import type { Driver } from './driver.js';
import { isInteger } from './codec/encoder.js';
import { MqttArgumentError, MqttStateError } from './errors.js';
import type { Lifecycle } from './lifecycle.js';
import type { Session } from './session/session.js';

const DISCONNECT_NORMALLY = 0x00;
const UINT32 = 0xffff_ffff;
const DISCONNECT_WITH_WILL = 0x04;
const DEFAULT_DRAIN_TIMEOUT_MS = 10_000;

/** @publicApi */
export interface ShutdownOptions {
  /** How long queue, window and handlers may take to drain; 0 = not at all. Default 10 000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Ask the broker to publish the will. Default false: the will is cancelled. */
  readonly publishWill?: boolean | undefined;
  /**
   * MQTT 5: how long the broker keeps the session from now on; 0 ends it. Only a session that was asked for with a
   * `sessionExpirySeconds` above 0 can be given another. Default: as it was asked for.
   */
  readonly sessionExpirySeconds?: number | undefined;
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
  { drainTimeoutMs = DEFAULT_DRAIN_TIMEOUT_MS, publishWill = false, sessionExpirySeconds }: ShutdownOptions,
): Promise<ShutdownResult> {
  session.incoming.close();
  const drained = drainTimeoutMs > 0 && (await drainWithin(drainTimeoutMs, driver, lifecycle, clock));
  // MQTT 3.1.1 has no reason for it: a connection that ends without DISCONNECT is what makes the broker publish the will.
  const saysNothing = publishWill && lifecycle.negotiated?.protocolVersion === 4;
  const reasonCode = publishWill ? DISCONNECT_WITH_WILL : DISCONNECT_NORMALLY;
  await lifecycle.end(
    new MqttStateError('the event loop was shut down'),
    saysNothing ? undefined : { reasonCode, sessionExpirySeconds },
  );
  return { drained };
}

/** @throws MqttArgumentError naming field, value and cure. @internal */
export function assertShutdownOptions(options: ShutdownOptions, askedExpirySeconds: number): void {
  const { drainTimeoutMs = 0, publishWill = false, sessionExpirySeconds } = options;
  if (!(Number.isFinite(drainTimeoutMs) && drainTimeoutMs >= 0)) {
    throw new MqttArgumentError('drainTimeoutMs', drainTimeoutMs, 'a number of milliseconds, 0 for not waiting');
  }
  if (typeof publishWill !== 'boolean') throw new MqttArgumentError('publishWill', publishWill, 'true or false');
  if (sessionExpirySeconds === undefined) return;
  if (!isInteger(sessionExpirySeconds, 0, UINT32)) {
    throw new MqttArgumentError('sessionExpirySeconds', sessionExpirySeconds, `an integer from 0 to ${UINT32}`);
  }
  if (sessionExpirySeconds > 0 && askedExpirySeconds === 0) {
    throw new MqttArgumentError(
      'sessionExpirySeconds',
      sessionExpirySeconds,
      '0, as the option of the event loop is 0 (section 3.14.2.2.2)',
    );
  }
}

function drainWithin(timeoutMs: number, driver: Driver, lifecycle: Lifecycle, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (drained: boolean): void => {
      timer.cancel();
      resolve(drained);
    };
    const timer = clock.startTimer(() => settle(false), timeoutMs);
    void lifecycle.settled.then(() => driver.drained(() => lifecycle.isRunning)).then(settle);
  });
}
