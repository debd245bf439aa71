import { EventLoop, type EventLoopOptions, type QoS } from 'nestjs-rumqtt/eventloop';
import { Mosquitto } from '../fixtures/mosquitto.js';
import { TcpProxy } from '../fixtures/tcp-proxy.js';
import { Killer, planKills } from './killer.js';
import { integerBetween, seededRandom, shuffled } from './random.js';
import { Tally } from './tally.js';

export interface KillRun {
  readonly protocolVersion: 4 | 5;
  readonly seed: number;
  readonly kills: number;
  readonly qos1: number;
  readonly qos2: number;
}

export interface KillResult {
  readonly kills: Killer['done'];
  /** Accepted connections of the loop under test. */
  readonly connections: number;
  readonly lost: Record<1 | 2, number>;
  /** Came more than once. QoS 1 may, where an acknowledgement was cut off. */
  readonly repeated: Record<1 | 2, number>;
  /** Different messages that came. */
  readonly received: number;
  /** Outgoing only: publishes that failed, with the first reasons. */
  readonly rejected: readonly string[];
  /** PUBLISH packets that were sent again. */
  readonly resent: number;
  /** QoS 2 messages that came again and were kept from the handler. */
  readonly suppressed: number;
}

/** More than waits for the witness while it reconnects (README.md). The loop under test has its own, smaller window. */
const WINDOW = 1_000;

/**
 * A fair broker (README.md). Mosquitto acknowledges first and writes its database later, even with `autosave_on_changes`: what it
 * had acknowledged in between is gone after SIGKILL, whatever a client does. SIGTERM saves, so that is how it is killed.
 */
export function startBroker(maxInflightMessages: number): Promise<Mosquitto> {
  return Mosquitto.start({ persistence: 'on-exit', maxInflightMessages });
}

/** A session that outlives connections, and reconnects fast: the point is how many there are, not how they are spaced. */
export function persistent(clientId: string, protocolVersion: 4 | 5): EventLoopOptions {
  return {
    clientId,
    protocolVersion,
    clean: false,
    reconnect: { policy: 'always', minDelayMs: 20, maxDelayMs: 200 },
  };
}

/** The messages of a run in random order, each with its QoS. */
export function traffic({ qos1, qos2 }: KillRun, random: () => number): QoS[] {
  return shuffled([...new Array<QoS>(qos1).fill(1), ...new Array<QoS>(qos2).fill(2)], random);
}

export function sequencesOf(messages: readonly QoS[], qos: QoS): number[] {
  return messages.flatMap((own, sequence) => (own === qos ? [sequence] : []));
}

/** The sequence number and up to 300 bytes of padding, so that packets end anywhere. */
export function payloadOf(sequence: number, random: () => number): string {
  return `${sequence} `.padEnd(integerBetween(random, 8, 300), 'x');
}

/** Kills while the loop publishes; another loop, with a session of its own and no proxy in between, counts what comes. */
export async function killWhilePublishing(run: KillRun): Promise<KillResult> {
  const random = seededRandom(run.seed);
  const messages = traffic(run, random);
  await using broker = await startBroker(WINDOW);
  await using proxy = await TcpProxy.start(broker.port);
  const tally = new Tally();
  const witness = new EventLoop({
    ...persistent('witness', run.protocolVersion),
    url: broker.url,
    receiveMaximum: WINDOW,
  });
  witness.onMessage(({ payload }) => tally.seen(Number.parseInt(payload.toString(), 10)));
  await witness.start();
  await witness.subscribe('kill/#', { qos: 2 });
  const loop = new EventLoop({ ...persistent('publisher', run.protocolVersion), url: proxy.url, requestCapacity: 200 });
  const killer = new Killer(planKills(run.kills, messages.length, random), loop, proxy, broker);
  const killing = killer.run();
  try {
    await loop.start();
    const rejected: string[] = [];
    const completions: Promise<void>[] = [];
    let completed = 0;
    for (const [sequence, qos] of messages.entries()) {
      const delivery = await loop.enqueue(`kill/${qos}`, payloadOf(sequence, random), { qos });
      completions.push(
        delivery.completed.then(
          () => killer.reached(++completed),
          (error: unknown) => void rejected.push(String(error)),
        ),
      );
    }
    await Promise.all(completions);
    await killer.finish();
    await killing;
    await tally.complete(messages.length);
    const [qos1, qos2] = [sequencesOf(messages, 1), sequencesOf(messages, 2)];
    return {
      kills: killer.done,
      connections: loop.stats().connections,
      lost: { 1: tally.lost(qos1).length, 2: tally.lost(qos2).length },
      repeated: { 1: tally.repeated(qos1).length, 2: tally.repeated(qos2).length },
      received: tally.size,
      rejected,
      resent: loop.stats().publishesResent,
      suppressed: witness.stats().duplicatesSuppressed,
    };
  } finally {
    await Promise.all([loop.shutdown({ drainTimeoutMs: 0 }), witness.shutdown({ drainTimeoutMs: 0 })]);
  }
}
