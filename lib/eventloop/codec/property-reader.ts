import { Buffer, isUtf8 } from 'node:buffer';
import { MqttProtocolError } from '../connection-errors.js';
import { PacketType, packetTypeName } from './packet-types.js';

/** Every MQTT 5 property a server can send, under our names. @internal */
export interface ReceivedProperties {
  payloadFormatIndicator?: boolean;
  messageExpirySeconds?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  subscriptionIdentifiers?: number[];
  sessionExpirySeconds?: number;
  assignedClientIdentifier?: string;
  serverKeepAliveSeconds?: number;
  authenticationMethod?: string;
  authenticationData?: Buffer;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: 0 | 1;
  retainAvailable?: boolean;
  userProperties?: Record<string, string | string[]>;
  maximumPacketBytes?: number;
  wildcardSubscriptionAvailable?: boolean;
  subscriptionIdentifiersAvailable?: boolean;
  sharedSubscriptionAvailable?: boolean;
}

type ValueType = 'boolean' | 'byte' | 'uint16' | 'uint32' | 'varint' | 'text' | 'binary' | 'pair';

interface Definition {
  readonly name: keyof ReceivedProperties;
  readonly type: ValueType;
  /** Bit n: allowed in packet type n. */
  readonly packets: number;
  readonly least: number;
  readonly most: number;
}

const { Connack, Publish, Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback, Disconnect, Auth } = PacketType;
const ANSWERS = [Connack, Puback, Pubrec, Pubrel, Pubcomp, Suback, Unsuback, Disconnect, Auth];
const SESSION_EXPIRY = 0x11;
/** Longer texts are faster checked in native code. */
const SHORT_TEXT_BYTES = 32;
const definitions: (Definition | undefined)[] = [];

function define(
  id: number,
  name: keyof ReceivedProperties,
  type: ValueType,
  packets: number[],
  least = 0,
  most = 0xffff_ffff,
): void {
  definitions[id] = { name, type, packets: packets.reduce((bits, packet) => bits | (1 << packet), 0), least, most };
}

define(0x01, 'payloadFormatIndicator', 'boolean', [Publish]);
define(0x02, 'messageExpirySeconds', 'uint32', [Publish]);
define(0x03, 'contentType', 'text', [Publish]);
define(0x08, 'responseTopic', 'text', [Publish]);
define(0x09, 'correlationData', 'binary', [Publish]);
define(0x0b, 'subscriptionIdentifiers', 'varint', [Publish], 1);
define(SESSION_EXPIRY, 'sessionExpirySeconds', 'uint32', [Connack]);
define(0x12, 'assignedClientIdentifier', 'text', [Connack]);
define(0x13, 'serverKeepAliveSeconds', 'uint16', [Connack]);
define(0x15, 'authenticationMethod', 'text', [Connack, Auth]);
define(0x16, 'authenticationData', 'binary', [Connack, Auth]);
define(0x1a, 'responseInformation', 'text', [Connack]);
define(0x1c, 'serverReference', 'text', [Connack, Disconnect]);
define(0x1f, 'reasonString', 'text', ANSWERS);
define(0x21, 'receiveMaximum', 'uint16', [Connack], 1);
define(0x22, 'topicAliasMaximum', 'uint16', [Connack]);
define(0x23, 'topicAlias', 'uint16', [Publish]);
define(0x24, 'maximumQos', 'byte', [Connack], 0, 1);
define(0x25, 'retainAvailable', 'boolean', [Connack]);
define(0x26, 'userProperties', 'pair', [...ANSWERS, Publish]);
define(0x27, 'maximumPacketBytes', 'uint32', [Connack], 1);
define(0x28, 'wildcardSubscriptionAvailable', 'boolean', [Connack]);
define(0x29, 'subscriptionIdentifiersAvailable', 'boolean', [Connack]);
define(0x2a, 'sharedSubscriptionAvailable', 'boolean', [Connack]);

/**
 * Reads the fields behind a packet's fixed header, strictly: nothing is read past `end`, text is UTF-8 without U+0000,
 * a property stands only where it may and only once, and its value is in range.
 *
 * @internal
 */
export class FieldReader {
  constructor(
    private readonly packetType: number,
    private readonly buffer: Buffer,
    public at: number,
    readonly end: number,
  ) {}

  byte(): number {
    this.#need(1);
    return this.buffer[this.at++]!;
  }

  uint16(): number {
    this.#need(2);
    this.at += 2;
    return this.buffer.readUInt16BE(this.at - 2);
  }

  uint32(): number {
    this.#need(4);
    this.at += 4;
    return this.buffer.readUInt32BE(this.at - 4);
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw this.malformed('a variable byte integer that is not minimal [MQTT-1.5.5-1]');
        return value;
      }
    }
    throw this.malformed('a variable byte integer of more than four bytes');
  }

  binary(): Buffer {
    const length = this.uint16();
    this.#need(length);
    this.at += length;
    return Buffer.from(this.buffer.subarray(this.at - length, this.at));
  }

  text(): string {
    const length = this.uint16();
    this.#need(length);
    const start = this.at;
    this.at += length;
    // A packet can hold thousands of short texts: no view, no copy, no checks in native code for them.
    if (length === 0) return '';
    if (length <= SHORT_TEXT_BYTES && isPlainAscii(this.buffer, start, this.at))
      return this.buffer.toString('latin1', start, this.at);
    const bytes = this.buffer.subarray(start, this.at);
    if (!isUtf8(bytes) || bytes.includes(0))
      throw this.malformed('text that is not UTF-8 or holds U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2]');
    return bytes.toString('utf8');
  }

  /** Reads a whole property section; leaves `at` behind it. Undefined when it is empty. */
  properties(): ReceivedProperties | undefined {
    const length = this.varint();
    if (length === 0) return undefined;
    this.#need(length);
    const section = new FieldReader(this.packetType, this.buffer, this.at, this.at + length);
    this.at += length;
    const properties: ReceivedProperties = {};
    while (section.at < section.end) section.#property(properties);
    return properties;
  }

  #property(properties: ReceivedProperties): void {
    const id = this.varint();
    const definition = definitions[id];
    if (definition === undefined || (definition.packets & (1 << this.packetType)) === 0) {
      // An identifier that is not valid for the packet's type makes it malformed (2.2.2.2); this one is, but not from a server.
      const isForbidden = id === SESSION_EXPIRY && this.packetType === Disconnect;
      throw isForbidden
        ? new MqttProtocolError('DISCONNECT of a server with Session Expiry Interval [MQTT-3.14.2-2]', 0x82)
        : this.malformed(`property 0x${id.toString(16)}`);
    }
    const { name, type } = definition;
    if (type === 'pair') {
      addUserProperty(
        (properties.userProperties ??= Object.create(null) as Record<string, string | string[]>),
        this.text(),
        this.text(),
      );
      return;
    }
    const value = this.#value(type);
    if (typeof value === 'number' && (value < definition.least || value > definition.most)) {
      throw new MqttProtocolError(`${name} ${value} in ${packetTypeName(this.packetType)}`, 0x82);
    }
    if (name === 'subscriptionIdentifiers') (properties.subscriptionIdentifiers ??= []).push(value as number);
    else if (properties[name] === undefined) (properties as Partial<Record<typeof name, unknown>>)[name] = value;
    else throw new MqttProtocolError(`${name} twice in ${packetTypeName(this.packetType)}`, 0x82);
  }

  #value(type: ValueType): number | boolean | string | Buffer {
    switch (type) {
      case 'uint16':
        return this.uint16();
      case 'uint32':
        return this.uint32();
      case 'varint':
        return this.varint();
      case 'text':
        return this.text();
      case 'binary':
        return this.binary();
      case 'boolean': {
        const byte = this.byte();
        if (byte > 1) throw new MqttProtocolError(`a boolean property with the value ${byte}`, 0x82);
        return byte === 1;
      }
      default:
        return this.byte();
    }
  }

  /** @throws MqttProtocolError when bytes are left over */
  finish(): void {
    if (this.at !== this.end) throw this.malformed(`${this.end - this.at} bytes too many`);
  }

  malformed(what: string): MqttProtocolError {
    return new MqttProtocolError(`${packetTypeName(this.packetType)} with ${what}`, 0x81);
  }

  #need(bytes: number): void {
    if (this.at + bytes > this.end) throw this.malformed('a field that runs past its end');
  }
}

/** ASCII without U+0000. */
function isPlainAscii(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (buffer[at]! >= 0x80 || buffer[at] === 0) return false;
  return true;
}

function addUserProperty(into: Record<string, string | string[]>, name: string, value: string): void {
  const present = into[name];
  if (present === undefined) into[name] = value;
  else if (typeof present === 'string') into[name] = [present, value];
  else present.push(value);
}
