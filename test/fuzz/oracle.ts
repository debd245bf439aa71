import type { Event } from './events.js';
import { Reader, readProperties, readText, Truncated, type Broken, type Violation } from './oracle-fields.js';
import { connackReturnCodes, grantedReturnCodes, reasons, serverTypes, Type, type Version } from './specification.js';

/** What the oracle has to know of the connection. */
export interface OracleState {
  readonly version: Version;
  connected: boolean;
  readonly aliases: Map<number, string>;
  readonly maxPacketBytes: number;
  readonly topicAliasMaximum: number;
}

export type Verdict =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'packet'; readonly length: number; readonly event: Event }
  | { readonly kind: 'violation'; readonly violations: readonly Violation[] };

const INCOMPLETE: Verdict = { kind: 'incomplete' };

/**
 * What the specification says of the packet at the beginning of these bytes: written for clarity alone, apart from lib/, and
 * naming every rule that is broken as far as the packet can be read.
 */
export function judge(bytes: Buffer, state: OracleState): Verdict {
  const violations: Violation[] = [];
  const broken: Broken = (rule, ...codes) => {
    violations.push({ rule, codes });
    return undefined;
  };
  if (bytes.length === 0) return INCOMPLETE;
  const header = readHeader(bytes, state, broken);
  if (violations.length > 0) return { kind: 'violation', violations };
  if (header === undefined || bytes.length < header.end) return INCOMPLETE;
  let event: Event | undefined;
  try {
    event = readBody(bytes[0]!, new Reader(bytes.subarray(header.start, header.end)), state, broken);
  } catch (error) {
    if (!(error instanceof Truncated)) throw error;
    broken(error.message, 0x81);
  }
  if (violations.length > 0) return { kind: 'violation', violations };
  return { kind: 'packet', length: header.end, event: event! };
}

function readHeader(
  bytes: Buffer,
  { version, connected, maxPacketBytes }: OracleState,
  broken: Broken,
): { start: number; end: number } | undefined {
  const type = bytes[0]! >> 4;
  const flags = bytes[0]! & 15;
  const known = serverTypes.includes(type) && (version === 5 || (type !== Type.Disconnect && type !== Type.Auth));
  if (!known) return broken('not a packet of a server', 0x81, 0x82);
  if (connected ? type === Type.Connack : type !== Type.Connack && type !== Type.Auth) {
    return broken(connected ? 'a second CONNACK' : 'before CONNACK', 0x81, 0x82);
  }
  if (type === Type.Publish) {
    const qos = (flags >> 1) & 3;
    if (qos === 3) return broken('QoS 3', 0x81);
    if (qos === 0 && flags & 8) return broken('QoS 0 with DUP', 0x81);
  } else if (flags !== (type === Type.Pubrel ? 2 : 0)) return broken('reserved flags', 0x81, 0x82);

  let length = 0;
  let count = 0;
  for (;;) {
    if (count === 4) return broken('remaining length of more than four bytes', 0x81);
    const byte = bytes[1 + count];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 128 ** count;
    count++;
    if (byte >= 0x80) continue;
    if (byte === 0 && count > 1) return broken('remaining length not minimal', 0x81);
    break;
  }
  const end = 1 + count + length;
  if (end > maxPacketBytes) return broken('larger than Maximum Packet Size', 0x95);
  const [least, most] = bodyLengths(type, version);
  if (length < least || length > most) return broken('a body too short or too long for its type', 0x81);
  return { start: 1 + count, end };
}

/** The shortest and longest body. Longer ones than the shortest are read; this only says what cannot be right at all. */
function bodyLengths(type: number, version: Version): [number, number] {
  const any = Infinity;
  switch (type) {
    case Type.Pingresp:
      return [0, 0];
    case Type.Publish:
      return [version === 5 ? 3 : 2, any];
    case Type.Suback:
      return [version === 5 ? 4 : 3, any];
    case Type.Unsuback:
      return version === 5 ? [4, any] : [2, 2];
    case Type.Disconnect:
    case Type.Auth:
      return [0, any];
    default:
      return [2, version === 5 ? any : 2];
  }
}

function readBody(first: number, reader: Reader, state: OracleState, broken: Broken): Event {
  const type = first >> 4;
  const { version } = state;
  const properties = (): Record<string, unknown> => readProperties(reader, type, broken);
  const nothingLeft = (): void => {
    if (reader.left > 0) broken('bytes behind the end of the content', 0x81);
  };
  switch (type) {
    case Type.Pingresp:
      return { type };
    case Type.Publish:
      return readPublish(first, reader, state, broken);
    case Type.Connack:
      return readConnack(reader, version, broken, properties, nothingLeft);
    case Type.Suback:
    case Type.Unsuback: {
      const id = readId(reader, broken);
      const event = { type, id, properties: version === 5 ? properties() : {} };
      const codes = [...reader.rest()];
      const allowed = version === 5 ? reasons[type]! : grantedReturnCodes;
      if (codes.some((code) => !allowed.includes(code))) broken('a reason code that the packet cannot have', 0x81);
      if (codes.length === 0 && (version === 5 || type === Type.Suback)) broken('no reason codes', 0x81);
      return { ...event, reasonCodes: codes };
    }
    default: {
      const id = type === Type.Disconnect || type === Type.Auth ? undefined : readId(reader, broken);
      const code = reader.left > 0 ? reader.byte() : 0;
      if (version === 5 && !reasons[type]!.includes(code)) broken('a reason code that the packet cannot have', 0x81);
      const found = reader.left > 0 ? properties() : {};
      nothingLeft();
      return { type, ...(id === undefined ? {} : { id }), reasonCodes: [code], properties: found };
    }
  }
}

function readId(reader: Reader, broken: Broken): number {
  const id = reader.uint16();
  if (id === 0) broken('packet identifier 0', 0x81);
  return id;
}

function readConnack(
  reader: Reader,
  version: Version,
  broken: Broken,
  properties: () => Record<string, unknown>,
  nothingLeft: () => void,
): Event {
  const flags = reader.byte();
  let code = reader.byte();
  if (flags > 1) broken('reserved CONNACK flags', 0x81);
  if (flags === 1 && code !== 0) broken('Session Present with a refusal', 0x82);
  // MQTT 5 has properties here always; without them it is the refusal of a server that speaks 3.1.1 only.
  const isReturnCode = version === 4 || reader.left === 0;
  if (isReturnCode) {
    const reason = connackReturnCodes[code];
    if (reason === undefined || (version === 5 && code === 0))
      broken('a reason code that the packet cannot have', 0x81);
    code = reason ?? 0;
  } else if (!reasons[Type.Connack]!.includes(code)) broken('a reason code that the packet cannot have', 0x81);
  const found = isReturnCode ? {} : properties();
  nothingLeft();
  return { type: Type.Connack, sessionPresent: flags === 1, reasonCodes: [code], properties: found };
}

function readPublish(first: number, reader: Reader, state: OracleState, broken: Broken): Event {
  const topicBytes = reader.binary();
  const id = ((first >> 1) & 3) > 0 ? readId(reader, broken) : 0;
  const { topicAlias: alias, ...properties } = (
    state.version === 5 ? readProperties(reader, Type.Publish, broken) : {}
  ) as { topicAlias?: number };
  let topic = readText(topicBytes, broken);
  if (/[+#]/.test(topic)) broken('a wildcard in a topic', 0x90);
  if (alias !== undefined && (alias === 0 || alias > state.topicAliasMaximum))
    broken('a topic alias out of range', 0x94);
  else if (topic !== '' && alias !== undefined) state.aliases.set(alias, topic);
  else if (topic === '') {
    const known = alias === undefined ? undefined : state.aliases.get(alias);
    if (known === undefined) broken(alias === undefined ? 'no topic' : 'a topic alias that was never set', 0x82);
    else topic = known;
  }
  return { type: Type.Publish, flags: first & 15, id, topic, payload: reader.rest(), properties };
}
