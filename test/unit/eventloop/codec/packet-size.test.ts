import { expect, test } from 'vitest';
import { publishPacketBytes } from '../../../../lib/eventloop/codec/writer.js';
import { MqttPacketTooLargeError } from '../../../../lib/eventloop/errors.js';
import { TopicEncoder } from '../../../../lib/eventloop/codec/topic-encoder.js';
import { publishRequest } from '../../../../lib/eventloop/requests.js';
import { newCounters } from '../../../../lib/eventloop/session/counters.js';
import { SessionHarness } from '../session/session-harness.js';

test.each([
  [4, 281],
  [5, 282],
] as const)(
  'U14: where version %i may send 200 bytes, 100 bytes of payload leave and 265 fail as %i',
  async (version, bytes) => {
    const it = new SessionHarness().connected({ version, properties: { maximumPacketBytes: 200 } });
    it.publish('x'.repeat(100));
    const tooLarge = it.publish('x'.repeat(265));
    it.publish('behind it');
    expect(it.sent()).toEqual([`publish ${'x'.repeat(100)}`, 'publish behind it']);
    await expect(tooLarge.completed).rejects.toMatchObject({
      code: 'MQTT_PACKET_TOO_LARGE',
      packetBytes: bytes,
      limitBytes: 200,
      limitOf: 'server',
    });
  },
);

test('U14: our own limit counts the whole packet in its larger form and is checked before anything is queued', () => {
  const request = (payloadBytes: number) => () =>
    publishRequest('hello/world', 'x'.repeat(payloadBytes), { qos: 1 }, 200, newCounters(), new TopicEncoder());
  const largest = request(200 - 3 - 2 - 11 - 2 - 1)();
  expect(publishPacketBytes(largest, 5)).toBe(200);
  expect(publishPacketBytes(largest, 4)).toBe(199);
  expect(request(200 - 3 - 2 - 11 - 2)).toThrow(MqttPacketTooLargeError);
});
