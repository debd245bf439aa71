import { Failure } from './failure.js';
import { Type, type Version } from './specification.js';

export interface SentPacket {
  readonly type: number;
  /** Of a PUBLISH and of an acknowledgement. */
  readonly id: number;
  readonly qos: number;
  readonly reasonCode: number;
}

const CONNECT = 1;
const PINGREQ = 12;
const DISCONNECT = 14;

/** What the client sent, cut into packets; only what every packet has in common is read. */
export function sentPackets(writes: readonly Buffer[], version: Version): SentPacket[] {
  const bytes = Buffer.concat(writes);
  const packets: SentPacket[] = [];
  for (let at = 0; at < bytes.length;) {
    const type = bytes[at]! >> 4;
    const length = bytes[at + 1]!;
    // Nothing that these clients send is longer.
    if (length > 0x7f || at + 2 + length > bytes.length)
      throw new Failure('sent a broken packet', bytes.subarray(at).toString('hex'));
    const body = bytes.subarray(at + 2, at + 2 + length);
    if (packets.length === 0 ? type !== CONNECT : type === CONNECT || type === DISCONNECT) {
      throw new Failure('sent a packet out of place', `${type}`);
    }
    const isAcknowledgement = type >= Type.Puback && type <= Type.Pubcomp;
    if (isAcknowledgement && length > (version === 5 ? 3 : 2))
      throw new Failure('sent a broken acknowledgement', body.toString('hex'));
    if (type === PINGREQ) throw new Failure('sent PINGREQ without a keep alive', body.toString('hex'));
    const qos = type === Type.Publish ? (bytes[at]! >> 1) & 3 : 0;
    const idAt = qos > 0 ? 2 + body.readUInt16BE(0) : 0;
    packets.push({
      type,
      qos,
      id: isAcknowledgement || qos > 0 ? body.readUInt16BE(idAt) : 0,
      reasonCode: (isAcknowledgement && body[2]) || 0,
    });
    at += 2 + length;
  }
  return packets;
}
