import { checkGauges, turns } from './checks.js';
import { profiles, type FuzzClient } from './client.js';
import { firstPacketEnd, singleBytes } from './decoding.js';
import { Failure } from './failure.js';
import type { FuzzInput } from './inputs.js';
import { sentPackets } from './sent.js';
import { Type } from './specification.js';

const MANY = 100;
const LONGER_THAN_ANYTHING_MS = 10_000_000;

/**
 * What the input leaves behind. A client that is still connected is asked how many more messages it takes, which tells whether
 * it has counted right; one that is not connects again, to a server that has kept the session or not, and meets the same bytes
 * once more. Then every client is shut down: all that was asked of it settles, and no timer is left.
 */
export async function checkAfterwards(
  clients: readonly FuzzClient[],
  inputs: readonly FuzzInput[],
): Promise<(Failure | undefined)[]> {
  const failures = new Array<Failure | undefined>(clients.length).fill(undefined);
  const each = (act: (client: FuzzClient, input: FuzzInput, index: number) => void): void => {
    for (const [index, client] of clients.entries()) {
      try {
        if (failures[index] === undefined) act(client, inputs[index]!, index);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failures[index] = error;
      }
    }
  };
  const room = new Map<FuzzClient, number>();
  each((client, input) => {
    const free = roomFor(client, input);
    if (free !== undefined) room.set(client, free);
  });
  // As many as there is room for, and then one more.
  each((client) => fill(client, room.get(client) ?? 0));
  await turns(clients, 3);
  each((client) => {
    if (room.has(client) && client.cause)
      throw new Failure('refused a message that it has room for', client.cause.message);
    if (room.has(client)) fill(client, 1);
  });
  await turns(clients, 3);
  each((client) => {
    const isRefused = client.cause !== undefined && 'reasonCode' in client.cause && client.cause.reasonCode === 0x93;
    if (room.has(client) && !isRefused) throw new Failure('took more than its Receive Maximum', `${client.cause}`);
  });

  each(({ clock, cause, retriesInMs }) => cause !== undefined && clock.advance(retriesInMs ?? 0));
  await turns(clients, 3);
  each((client, { bytes, version }) => {
    const { cause, retriesInMs, wires } = client;
    if (wires.length < 2) {
      if (cause && retriesInMs !== undefined) throw new Failure('does not connect again', cause.message);
      return;
    }
    client.feed([
      Buffer.from([0x20, version === 5 ? 3 : 2, bytes.length % 2, 0, 0]).subarray(0, version === 5 ? 5 : 4),
    ]);
  });
  await turns(clients, 4);
  each(
    (client, { bytes }) => client.wires.length > 1 && client.feed(singleBytes(bytes.subarray(firstPacketEnd(bytes)))),
  );
  await turns(clients, 4);
  each(checkGauges);
  each((client) => void client.loop.shutdown({ drainTimeoutMs: 1 }));
  await turns(clients, 3);
  each(({ clock }) => clock.advance(LONGER_THAN_ANYTHING_MS));
  await turns(clients, 4);
  each(checkClosed);
  return failures;
}

/** How many more messages the server may send, as its own count has it; undefined where it cannot be told. */
function roomFor({ version, profile, wire, loop, history }: FuzzClient, { bytes }: FuzzInput): number | undefined {
  const options = profiles[profile]!;
  if (version !== 5 || history.at(-1) !== 'connected' || loop.stats().readingPaused || bytes.length % 2 === 0)
    return undefined;
  if (options.acknowledge === 'on-receive') return undefined;
  const sent = sentPackets(wire.sent, version);
  const count = (type: number, isCounted: (reasonCode: number) => boolean): number =>
    sent.filter((packet) => packet.type === type && isCounted(packet.reasonCode)).length;
  const answered =
    count(Type.Puback, () => true) +
    count(Type.Pubrec, (code) => code >= 0x80) +
    count(Type.Pubcomp, (code) => code === 0);
  const { duplicatesSuppressed } = loop.stats();
  const received = receivedIn(bytes);
  if (received === undefined) return undefined;
  const unanswered = received - duplicatesSuppressed - answered;
  const free = (options.receiveMaximum ?? MANY) - unanswered;
  if (unanswered < 0 || free < 0)
    throw new Failure('counts its Receive Maximum wrong', `${unanswered} of ${options.receiveMaximum}`);
  return free;
}

/** QoS 1 and 2 messages in a stream of valid packets; undefined when its last packet has no end. */
function receivedIn(bytes: Buffer): number | undefined {
  let count = 0;
  for (let at = 0; at < bytes.length;) {
    let length = 0;
    let header = 1;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at + header++];
      if (byte === undefined) return undefined;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (at + header + length > bytes.length) return undefined;
    if (bytes[at]! >> 4 === Type.Publish && (bytes[at]! & 6) !== 0) count++;
    at += header + length;
  }
  return count;
}

function fill(client: FuzzClient, count: number): void {
  client.holdsAll = true;
  const message = Buffer.from([0x32, 6, 0, 1, 0x70, 0xff, 0xfe, 0]);
  client.feed(Array.from({ length: count }, () => message));
}

function checkClosed({ loop, requests, settled, clock, problems, wire }: FuzzClient): void {
  if (problems.length > 0) throw new Failure('a problem on the wire', problems.join('\n'));
  if (loop.status !== 'closed') throw new Failure('does not close', loop.status);
  if (settled !== requests) throw new Failure('a request that never settles', `${settled} of ${requests}`);
  if (clock.pendingTimers > 0) throw new Failure('a timer that is left', `${clock.pendingTimers}`);
  if (!wire.destroyed) throw new Failure('a connection that is left open', '');
  const { inflight, queued } = loop.stats();
  if (inflight !== 0 || queued !== 0) throw new Failure('requests left after the close', `${inflight} ${queued}`);
}
