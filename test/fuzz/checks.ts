import { setImmediate } from 'node:timers/promises';
import { MqttProtocolError, MqttServerDisconnectError } from '../../lib/eventloop/index.js';
import type { FuzzClient } from './client.js';
import type { Decoded } from './decoding.js';
import { Failure } from './failure.js';
import { sentPackets } from './sent.js';
import { Type } from './specification.js';

export async function turns(clients: readonly FuzzClient[], count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    await setImmediate();
    for (const client of clients) client.turn();
  }
}

/** What holds whatever the chunks and turns. */
export function checkClient(client: FuzzClient, { events, error }: Decoded): void {
  const { problems, loop, history, wires } = client;
  if (problems.length > 0) throw new Failure('a problem on the wire', problems.join('\n'));
  if (wires.length > 1) throw new Failure('connected again at once', history.map(String).join('\n'));
  const stats = loop.stats();
  checkGauges(client);
  const connections = history.filter((entry) => entry === 'connected').length;
  if (connections > 1 || history.length - connections > 1)
    throw new Failure('more than one end', history.map(String).join('\n'));
  const publishes = events.filter(({ type }) => type === Type.Publish).length;
  if (stats.messagesReceived > publishes)
    throw new Failure('messages out of nothing', `${stats.messagesReceived} of ${publishes}`);
  const { cause } = client;
  if (cause !== undefined) return checkEnd(client, error, events[0]?.type === Type.Connack);
  if (connections === 0 || stats.readingPaused) return;
  if (error !== undefined) throw new Failure('went on after a violation', error.message);
  if (stats.messagesReceived !== publishes)
    throw new Failure('messages got lost', `${stats.messagesReceived} of ${publishes}`);
}

export function checkGauges({ loop, unsettled }: FuzzClient): void {
  const { inflight, queued, queuedBytes, waiting, unsettledBytes, ...stats } = loop.stats();
  const gauges = [inflight, queued, queuedBytes, waiting, unsettledBytes, stats.unsettled];
  if (gauges.some((gauge) => gauge < 0)) throw new Failure('a gauge below zero', gauges.join());
  if (stats.unsettled !== unsettled)
    throw new Failure('another count of handlers', `${stats.unsettled}, not ${unsettled}`);
  const limit = loop.negotiated?.inflight ?? 0;
  if (inflight > limit) throw new Failure('more in flight than allowed', `${inflight} of ${limit}`);
}

/** Reasons for an end that only the session can see, of which the decoder knows nothing. */
const sessionReasons = [
  /unacknowledged messages \[MQTT-3\.3\.4-9\]/,
  /reason codes for \d+ filters/,
  /AUTH/,
  /with an authentication that nobody asked for/,
  /are unacknowledged and the server sends more/,
  /refused the connection/,
  /second CONNACK/,
];

function checkEnd(client: FuzzClient, decodingError: MqttProtocolError | undefined, hasConnack: boolean): void {
  const { cause, wire, version } = client;
  const isDecoding = decodingError !== undefined && cause!.message.endsWith(decodingError.message);
  const isKnown =
    isDecoding ||
    cause instanceof MqttServerDisconnectError ||
    sessionReasons.some((reason) => reason.test(cause!.message));
  if (!isKnown) throw new Failure('an end without a reason', `${cause!.stack}\n${String(cause!.cause)}`);
  if (!wire.hasEnded) throw new Failure('an end that leaves the stream open', cause!.message);
  // Before CONNACK there is nobody to tell.
  const tellsWhy = version === 5 && hasConnack && cause instanceof MqttProtocolError;
  const expected = tellsWhy ? [0xe0, cause.reasonCode] : [];
  const last = wire.lastPacket === undefined ? [] : [wire.lastPacket[0], wire.lastPacket[2] ?? 0];
  if (expected.join() !== last.join())
    throw new Failure('the wrong DISCONNECT', `${last.join()} for ${cause!.message}`);
  sentPackets(wire.sent, version);
}
