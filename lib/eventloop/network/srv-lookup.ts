import { Resolver } from 'node:dns/promises';
import type { Clock } from '../clock.js';
import { MqttConnectionError, MqttConnectTimeoutError } from '../connection-errors.js';
import type { ResolvedOptions, Server } from '../options.js';
import { untilAborted } from '../promises.js';
import { srvTarget } from '../server-url.js';
import { inOrderOfTrial, type SrvRecord } from '../srv-records.js';

/** Asks DNS for the SRV records of a name such as `_mqtt._tcp.example.com`. @publicApi */
export type ResolveSrv = (name: string, signal: AbortSignal) => Promise<readonly SrvRecord[]>;

/** Names of the services, as registered with IANA. */
const SERVICES = { mqtt: '_mqtt._tcp', mqtts: '_secure-mqtt._tcp' } as const;

/** The system's DNS servers. @internal */
export const resolveSrv: ResolveSrv = async (name, signal) => {
  const resolver = new Resolver();
  signal.addEventListener('abort', () => resolver.cancel(), { once: true });
  return resolver.resolveSrv(name);
};

/** Finds the servers behind an `mqtt+srv:` or `mqtts+srv:` URL. @internal */
export class SrvLookup {
  readonly #resolve: ResolveSrv;
  readonly #clock: Clock;
  readonly #random: () => number;

  constructor(resolve: ResolveSrv, clock: Clock, random: () => number) {
    this.#resolve = resolve;
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * The servers of the domain in the order in which they are to be tried; at least one.
   *
   * @throws MqttConnectionError, MqttConnectTimeoutError, or the signal's reason
   */
  async targets(domain: Server, options: ResolvedOptions, stop: AbortSignal): Promise<readonly Server[]> {
    if (domain.scheme !== 'mqtt' && domain.scheme !== 'mqtts') return [domain];
    const name = `${SERVICES[domain.scheme]}.${domain.host}`;
    const ordered = inOrderOfTrial(await this.#ask(domain, name, options.connectTimeoutMs, stop), this.#random);
    if (ordered.length === 0) throw failed(domain, `${name} names no server`);
    const targets = ordered.map((record) => srvTarget(domain, record.name.replace(/\.$/, ''), record.port));
    // DNS can be forged. Without a name of the user's to check the certificate for, it must not choose one.
    const isProven = domain.scheme === 'mqtt' || options.tls?.servername !== undefined;
    const trusted = targets.filter((target) => isProven || isWithin(domain.host, target));
    if (trusted.length > 0) return trusted;
    throw failed(
      domain,
      `${name} names only servers outside of ${domain.host}, such as ${targets[0]!.label}; if that is right, set tls.servername to the name in their certificate`,
    );
  }

  async #ask(domain: Server, name: string, timeoutMs: number, stop: AbortSignal): Promise<readonly SrvRecord[]> {
    const deadline = new AbortController();
    const step = `looking up ${name}`;
    const timer = this.#clock.startTimer(
      () => deadline.abort(new MqttConnectTimeoutError(domain.label, timeoutMs, step)),
      timeoutMs,
    );
    const signal = AbortSignal.any([stop, deadline.signal]);
    try {
      return await untilAborted(this.#resolve(name, signal), signal);
    } catch (cause) {
      signal.throwIfAborted();
      throw failed(domain, `the lookup of ${name} failed: ${(cause as Error).message}`, { cause });
    } finally {
      timer.cancel();
    }
  }
}

function isWithin(domain: string, target: Server): boolean {
  if (target.scheme === 'unix') return false;
  const host = target.host.toLowerCase();
  return host === domain.toLowerCase() || host.endsWith(`.${domain.toLowerCase()}`);
}

function failed({ label }: Server, problem: string, options?: ErrorOptions): MqttConnectionError {
  return new MqttConnectionError('MQTT_CONNECT_FAILED', `cannot connect to ${label}: ${problem}`, 'not-sent', options);
}
