import { setTimeout as sleep } from 'node:timers/promises';
import { EventLoop } from 'nestjs-rumqtt/eventloop';
import { TcpProxy } from '../fixtures/tcp-proxy.js';
import { Killer, planKills } from './killer.js';
import { payloadOf, persistent, sequencesOf, startBroker, traffic, type KillResult, type KillRun } from './outgoing.js';
import { integerBetween, seededRandom } from './random.js';
import { Tally } from './tally.js';

/** Handlers take up to this long, so that many are at work whenever the link is cut. */
const SLOWEST_HANDLER_MS = 3;

/** Published and not handled. A backlog beyond the broker's window makes Mosquitto itself repeat QoS 2 messages (README.md). */
const MOST_ON_THE_WAY = 100;
/** Those, and as many again that are handled and not acknowledged, with room to spare. */
const WINDOW = 500;

/** Kills while another loop, with no proxy in between, floods the loop under test, which counts what its handler gets. */
export async function killWhileReceiving(run: KillRun): Promise<KillResult> {
  const random = seededRandom(run.seed);
  const messages = traffic(run, random);
  await using broker = await startBroker(WINDOW);
  await using proxy = await TcpProxy.start(broker.port);
  const tally = new Tally();
  const loop = new EventLoop({
    ...persistent('subscriber', run.protocolVersion),
    url: proxy.url,
    receiveMaximum: WINDOW,
  });
  let published = 0;
  // Published after the loop came back: the broker has got through its resend when this one has arrived (README.md).
  let barrier = 0;
  loop.on('connected', () => (barrier = published));
  const killer = new Killer(planKills(run.kills, messages.length, random), loop, proxy, broker, {
    mayKill: () => barrier >= messages.length || tally.times(barrier) > 0,
    sparesResend: true,
  });
  loop.onMessage(async ({ payload }) => {
    tally.seen(Number.parseInt(payload.toString(), 10));
    killer.reached(tally.size);
    await sleep(integerBetween(random, 0, SLOWEST_HANDLER_MS));
  });
  const flooder = new EventLoop({ ...persistent('flooder', run.protocolVersion), url: broker.url });
  try {
    await Promise.all([loop.start(), flooder.start()]);
    await loop.subscribe('kill/#', { qos: 2 });
    const killing = killer.run();
    const completions: Promise<unknown>[] = [];
    for (const [sequence, qos] of messages.entries()) {
      while (sequence - tally.size >= MOST_ON_THE_WAY) await sleep(1);
      published = sequence + 1;
      const delivery = await flooder.enqueue(`kill/${qos}`, payloadOf(sequence, random), { qos });
      completions.push(delivery.completed);
    }
    await Promise.all(completions);
    await tally.complete(messages.length);
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
      rejected: [],
      resent: flooder.stats().publishesResent,
      suppressed: loop.stats().duplicatesSuppressed,
    };
  } finally {
    await Promise.all([loop.shutdown({ drainTimeoutMs: 0 }), flooder.shutdown({ drainTimeoutMs: 0 })]);
  }
}
