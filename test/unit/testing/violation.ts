import type { Packet } from 'mqtt-packet';
import { expect } from 'vitest';
import {
  ScriptedBroker,
  VirtualClock,
  type ConnackOptions,
  type ScriptedConnection,
} from '../../../lib/testing/index.js';
import { RawClient } from './raw-client.js';

/** A connection on which a client does something wrong. */
export interface Scene {
  /** Default 5. */
  readonly version?: 4 | 5;
  readonly connect?: object;
  readonly connack?: ConnackOptions;
  readonly play: (client: RawClient, connection: ScriptedConnection) => unknown;
}

/** What a client does wrong, the rule it breaks, and how. */
export type Violating = [what: string, rule: string, scene: Scene];

/** Asserts that the scene ends with a violation of the rule, and that every wait and assertion says so. */
export async function expectViolation(rule: string, { version = 5, connect, connack, play }: Scene): Promise<void> {
  const broker = new ScriptedBroker();
  const client = await RawClient.dial(broker, version);
  client.connect(connect);
  const connection = await broker.accept();
  await settle();
  connection.connack(connack);
  await client.until('connack');
  await play(client, connection);
  await settle();
  expect(connection.violations.map((violation) => violation.rule)).toContain(rule);
  await expect(connection.next()).rejects.toThrow(`[${rule}]`);
  await expect(connection.nothing()).rejects.toThrow(`[${rule}]`);
  await expect(broker.accept()).rejects.toThrow(`[${rule}]`);
  expect(() => broker.assertClean()).toThrow(`[${rule}]`);
  await broker.close();
}

export function settle(): Promise<void> {
  return new VirtualClock().settle();
}

export function subscribe(topic: string, messageId = 1, fields: object = {}): Packet {
  return {
    cmd: 'subscribe',
    messageId,
    subscriptions: [{ topic, qos: 1, ...fields }],
  };
}

export function reply(cmd: 'puback' | 'pubrec' | 'pubrel' | 'pubcomp', messageId: number): Packet {
  return { cmd, messageId, reasonCode: 0 };
}
