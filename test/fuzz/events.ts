import type { PacketSink } from '../../lib/eventloop/codec/decoder.js';
import { PacketType } from '../../lib/eventloop/codec/packet-types.js';
import { properties as propertyRules } from './specification.js';

/** What a packet said, the same whoever decoded it: lib, the oracle or mqtt-packet. */
export interface Event {
  readonly type: number;
  readonly id?: number;
  readonly reasonCodes?: readonly number[];
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly sessionPresent?: boolean;
  /** Of a PUBLISH. */
  readonly flags?: number;
  readonly topic?: string;
  readonly payload?: Buffer;
}

/** A sink that reports every packet as an event, and passes it on. */
export function recorder(record: (event: Event) => void, next?: PacketSink): PacketSink {
  return {
    connack(sessionPresent, reasonCode, properties) {
      record({ type: PacketType.Connack, sessionPresent, reasonCodes: [reasonCode], properties: { ...properties } });
      next?.connack(sessionPresent, reasonCode, properties);
    },
    publish(flags, id, topic, payload, properties) {
      record({ type: PacketType.Publish, flags, id, topic, payload, properties: { ...properties } });
      next?.publish(flags, id, topic, payload, properties);
    },
    acknowledgement(type, id, reasonCode, properties) {
      record({ type, id, reasonCodes: [reasonCode], properties: { ...properties } });
      next?.acknowledgement(type, id, reasonCode, properties);
    },
    subscriptionAcknowledgement(type, id, reasonCodes, properties) {
      record({ type, id, reasonCodes, properties: { ...properties } });
      next?.subscriptionAcknowledgement(type, id, reasonCodes, properties);
    },
    pingresp() {
      record({ type: PacketType.Pingresp });
      next?.pingresp();
    },
    disconnect(reasonCode, properties) {
      record({ type: PacketType.Disconnect, reasonCodes: [reasonCode], properties: { ...properties } });
      next?.disconnect(reasonCode, properties);
    },
    auth(reasonCode, properties) {
      record({ type: PacketType.Auth, reasonCodes: [reasonCode], properties: { ...properties } });
      next?.auth(reasonCode, properties);
    },
  };
}

/** One line that tells every field, for comparison. */
export function line(event: Event): string {
  const { type, id = 0, reasonCodes = [], sessionPresent = false, flags = 0, topic = '', payload } = event;
  const head = `${type} id=${id} codes=${reasonCodes.join()} present=${sessionPresent} flags=${flags} topic=${JSON.stringify(topic)}`;
  const body = payload === undefined ? '' : ` payload=${payload.toString('latin1')}`;
  return head + body + propertiesLine(event.properties);
}

function propertiesLine(properties: Readonly<Record<string, unknown>> | undefined): string {
  if (properties === undefined) return '';
  let known = 0;
  let text = '';
  for (const { name } of propertyRules) {
    const value = properties[name];
    if (value === undefined) continue;
    known++;
    text += ` ${name}=${name === 'userProperties' ? pairs(value as Record<string, string | string[]>) : valueOf(value)}`;
  }
  if (Object.keys(properties).length !== known) text += ` unknown: ${Object.keys(properties).join()}`;
  return text;
}

function valueOf(value: unknown): string {
  return Buffer.isBuffer(value) ? `bytes:${value.toString('latin1')}` : JSON.stringify(value);
}

function pairs(userProperties: Readonly<Record<string, string | string[]>>): string {
  return JSON.stringify(Object.entries(userProperties).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
