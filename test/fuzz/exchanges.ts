import type { FuzzClient } from './client.js';
import type { Event } from './events.js';
import { Failure } from './failure.js';
import { sentPackets, type SentPacket } from './sent.js';
import { Type } from './specification.js';

/**
 * What the server's acknowledgements have made of the publishes that were sent before them, told from the bytes in both
 * directions alone. For a client that has read everything in one turn, so that nothing was sent in between.
 */
export function checkExchanges(client: FuzzClient, events: readonly Event[]): void {
  const isPublish = ({ type }: SentPacket): boolean => type === Type.Publish;
  const before = client.sentBefore.filter(isPublish);
  const sent = sentPackets(client.wire.sent, client.version).filter(isPublish);
  const { open, completed } = follow(before, events);
  const later = sent.slice(before.length).filter(({ qos }) => qos > 0).length;
  const { inflight, publishesCompleted, publishesSent } = client.loop.stats();
  const expected = { inflight: open + later, completed: completed + sent.filter(({ qos }) => qos === 0).length };
  if (inflight !== expected.inflight) throw new Failure('another inflight', `${inflight}, not ${expected.inflight}`);
  if (publishesCompleted !== expected.completed)
    throw new Failure('another count of completed publishes', `${publishesCompleted}, not ${expected.completed}`);
  if (publishesSent !== sent.length) throw new Failure('another count of sent publishes', `${publishesSent}`);
}

function follow(sent: readonly SentPacket[], events: readonly Event[]): { open: number; completed: number } {
  /** What each exchange waits for. */
  const waits = new Map<number, number>();
  for (const { id, qos } of sent) if (qos > 0) waits.set(id, qos === 1 ? Type.Puback : Type.Pubrec);
  let completed = 0;
  for (const { type, id = 0, reasonCodes = [0] } of events) {
    if (waits.get(id) !== type) continue;
    const isRefused = reasonCodes[0]! >= 0x80 && type !== Type.Pubcomp;
    if (type === Type.Pubrec && !isRefused) {
      waits.set(id, Type.Pubcomp);
      continue;
    }
    waits.delete(id);
    if (!isRefused) completed++;
  }
  return { open: waits.size, completed };
}
