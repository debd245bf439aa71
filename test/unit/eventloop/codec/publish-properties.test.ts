import { generate, type IPublishPacket } from 'mqtt-packet';
import type { PublishProperties } from 'nestjs-rumqtt/eventloop';
import { expect, test } from 'vitest';
import { encodePublishProperties } from '../../../../lib/eventloop/codec/publish-properties.js';
import { Random } from '../../../simulation/random.js';

/** The properties as mqtt-packet writes them. */
function reference({ messageExpirySeconds, correlationData, userProperties, ...rest }: PublishProperties): Buffer {
  const properties = {
    payloadFormatIndicator: rest.payloadFormatIndicator,
    messageExpiryInterval: messageExpirySeconds,
    responseTopic: rest.responseTopic,
    correlationData: correlationData && Buffer.from(correlationData),
    contentType: rest.contentType,
    // It drops the whole packet when there are none.
    userProperties: Object.keys(userProperties ?? {}).length === 0 ? undefined : userProperties,
  };
  const given = Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined));
  const packet = { cmd: 'publish', topic: 't', payload: '', qos: 0, dup: false, retain: false, properties: given };
  const bytes = generate(packet as IPublishPacket, { protocolVersion: 5 });
  const afterVarint = (at: number): number => (bytes[at]! > 0x7f ? afterVarint(at + 1) : at + 1);
  return bytes.subarray(afterVarint(afterVarint(1) + 3));
}

function randomProperties(random: Random): PublishProperties {
  const text = (): string => random.pick(['', 'a', 'plain/text', 'ü/雪/🚀', 'x'.repeat(random.integer(0, 300))]);
  const pair = (): [string, string | string[]] => [text(), random.chance(0.7) ? text() : [text(), text()]];
  return {
    ...(random.chance(0.3) && { payloadFormatIndicator: random.chance(0.5) }),
    ...(random.chance(0.5) && { messageExpirySeconds: random.pick([0, 1, 65_536, 0xffff_ffff]) }),
    ...(random.chance(0.5) && { responseTopic: `r${text()}` }),
    ...(random.chance(0.5) && { correlationData: Uint8Array.from({ length: random.integer(0, 40) }, (_, i) => i) }),
    ...(random.chance(0.3) && { contentType: text() }),
    ...(random.chance(0.4) && {
      userProperties: Object.fromEntries(Array.from({ length: random.integer(0, 3) }, pair)),
    }),
  };
}

test('byte for byte what mqtt-packet writes', () => {
  const random = new Random('publish properties');
  const different = Array.from({ length: 20_000 }, () => randomProperties(random)).filter((properties) => {
    const own = encodePublishProperties(properties) ?? Buffer.alloc(0);
    return !own.equals(reference(properties));
  });
  expect(different).toEqual([]);
});

test('no properties are no bytes', () => {
  expect(encodePublishProperties(undefined)).toBeUndefined();
  expect(encodePublishProperties({})).toBeUndefined();
  expect(encodePublishProperties({ userProperties: {}, contentType: undefined })).toBeUndefined();
});
