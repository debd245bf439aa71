import { Buffer } from 'node:buffer';
import { generate, parser, type Packet } from 'mqtt-packet';
import type { ReceivedPacket } from './packets.js';

/** @internal */
export type ProtocolVersion = 3 | 4 | 5;

const AUTH_WITHOUT_BODY = Buffer.from([0xf0, 0x00]);

/** Decodes one whole packet. Throws when it is malformed. @internal */
export function decodePacket(raw: Buffer, protocolVersion: ProtocolVersion): ReceivedPacket {
  // Legal, but mqtt-packet refuses it.
  if (protocolVersion === 5 && raw.equals(AUTH_WITHOUT_BODY)) {
    return { cmd: 'auth', reasonCode: 0, length: 0, raw };
  }
  // A parser of its own for every packet: mqtt-packet's keeps state after errors and adopts the version of any CONNECT.
  const packetParser = parser({ protocolVersion });
  const packets: Packet[] = [];
  const errors: Error[] = [];
  packetParser.on('packet', (packet) => packets.push(packet));
  packetParser.on('error', (error: Error) => errors.push(error));
  packetParser.parse(raw);
  if (errors[0]) throw errors[0];
  if (packets.length !== 1) throw new Error(`${packets.length} packets in one frame`);
  return Object.assign(packets[0]!, { raw }) as ReceivedPacket;
}

/** @internal */
export function encodePacket(packet: Packet, protocolVersion: ProtocolVersion): Buffer {
  const bytes = generate(packet, { protocolVersion });
  if (bytes.length < 2) throw new Error(`mqtt-packet cannot encode this ${packet.cmd}`);
  return bytes;
}

/**
 * Compares what the client sent with what mqtt-packet makes of the decoded packet. Finds what decoding forgives:
 * long forms of lengths, ill-formed UTF-8, odd booleans, trailing bytes.
 *
 * @returns what is wrong, or undefined
 * @internal
 */
export function findEncodingDefect(packet: ReceivedPacket, protocolVersion: ProtocolVersion): string | undefined {
  // Legal since MQTT 5, but mqtt-packet does not write it.
  if (packet.cmd === 'connect' && protocolVersion === 5 && packet.password && packet.username === undefined) return;
  let canonical: Buffer;
  try {
    canonical = encodePacket(packet as Packet, protocolVersion);
  } catch (error) {
    return `it cannot be encoded again: ${(error as Error).message}`;
  }
  if (canonical.equals(packet.raw) || legalForms(packet, protocolVersion).some((form) => form.equals(packet.raw))) {
    return undefined;
  }
  return `it is ${hex(packet.raw)} on the wire, and should be ${hex(canonical)}`;
}

/** Other ways to write the same packet: a reason of 0 and an empty property section may be left out or written. */
function legalForms(packet: ReceivedPacket, protocolVersion: ProtocolVersion): Buffer[] {
  if (protocolVersion !== 5 || ('properties' in packet && packet.properties)) return [];
  const first = packet.raw[0]!;
  switch (packet.cmd) {
    case 'puback':
    case 'pubrec':
    case 'pubrel':
    case 'pubcomp': {
      const reason = packet.reasonCode ?? 0;
      const id = [packet.messageId >> 8, packet.messageId & 0xff];
      return [Buffer.from([first, 3, ...id, reason]), Buffer.from([first, 4, ...id, reason, 0])];
    }
    case 'disconnect':
    case 'auth': {
      const reason = packet.reasonCode ?? 0;
      const forms = [Buffer.from([first, 1, reason])];
      return reason === 0 ? [...forms, Buffer.from([first, 0])] : forms;
    }
    default:
      return [];
  }
}

function hex(bytes: Buffer): string {
  const shown = bytes.toString('hex', 0, 64).replaceAll(/(..)(?=.)/g, '$1 ');
  return bytes.length > 64 ? `${shown} … (${bytes.length} bytes)` : shown;
}
