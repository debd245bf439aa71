import { expect, test } from 'vitest';
import { chunked, decode, DecodeHarness, publish, wire, type Decoded } from './decode-harness.js';

/** mulberry32: the same numbers on every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const INPUTS = 10_000;
const OPTIONS = { maxPacketBytes: 20_000, topicAliasMaximum: 3 };

test.each([4, 5] as const)(
  `${INPUTS} mutated streams of version %i: the same events in any chunks, and no error but a protocol error`,
  (version) => {
    const next = random(version);
    const below = (limit: number): number => Math.floor(next() * limit);
    const seeds = seedPackets(version);
    let violations = 0;
    let packets = 0;
    for (let input = 0; input < INPUTS; input++) {
      const picked = Array.from({ length: 1 + below(3) }, () => seeds[below(seeds.length)]!);
      const bytes = mutate(Buffer.concat(picked), below);
      // Any other error than MqttProtocolError is thrown here.
      const whole = decode(version, bytes, OPTIONS);
      const single = decode(version, chunked(bytes, 1), OPTIONS);
      const pieces = randomPieces(bytes, version, below);
      if (!same(whole, single) || !same(whole, pieces)) {
        expect.fail(`input ${input} depends on its chunks: ${bytes.toString('hex')}`);
      }
      const last = whole.at(-1);
      if (last !== undefined && 'violation' in last) violations++;
      packets += whole.length;
    }
    // The inputs are neither all well-formed nor all hopeless.
    expect(violations).toBeGreaterThan(INPUTS / 4);
    expect(violations).toBeLessThan(INPUTS);
    expect(packets).toBeGreaterThan(INPUTS);
  },
);

test.each([4, 5] as const)('5 000 streams of pure noise to version %i break nothing', (version) => {
  const next = random(version + 100);
  let refused = 0;
  for (let input = 0; input < 5_000; input++) {
    const bytes = Buffer.from(Array.from({ length: 40 }, () => Math.floor(next() * 256)));
    const connecting = input % 2 === 0;
    const whole = decode(version, bytes, { ...OPTIONS, connecting });
    expect(same(whole, decode(version, chunked(bytes, 1), { ...OPTIONS, connecting }))).toBe(true);
    if (whole.some((event) => 'violation' in event)) refused++;
  }
  expect(refused).toBeGreaterThan(4_000);
});

function randomPieces(bytes: Buffer, version: 4 | 5, below: (limit: number) => number): Decoded[] {
  const harness = new DecodeHarness(version, OPTIONS);
  for (let start = 0; start < bytes.length;) {
    const end = Math.min(bytes.length, start + 1 + below(20));
    harness.push(bytes.subarray(start, end));
    start = end;
  }
  return harness.decoded;
}

function same(one: Decoded[], other: Decoded[]): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** One to three bits flipped, bytes inserted, removed or repeated, or the end cut off. Sometimes nothing. */
function mutate(original: Buffer, below: (limit: number) => number): Buffer {
  let bytes = Buffer.from(original);
  for (let step = below(4); step > 0; step--) {
    const at = below(bytes.length);
    switch (below(5)) {
      case 0:
        bytes[at]! ^= 1 << below(8);
        break;
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([below(256)]), bytes.subarray(at)]);
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + 4), bytes.subarray(at)]);
        break;
      default:
        bytes = bytes.subarray(0, 1 + at);
    }
    if (bytes.length === 0) return Buffer.from([0]);
  }
  return bytes;
}

function seedPackets(version: 4 | 5): Buffer[] {
  const properties =
    version === 5 ? { properties: { contentType: 't', userProperties: { a: '1' }, topicAlias: 2 } } : {};
  const reason = version === 5 ? { reasonCode: 0x80, properties: { reasonString: 'r' } } : {};
  return [
    publish(version, { topic: 'a/b', payload: 'hello', ...properties }),
    publish(version, { topic: 'ü/雪', payload: 'y'.repeat(140), qos: 1, messageId: 513, ...properties }),
    publish(version, { topic: 'c', qos: 2, messageId: 3, dup: true, retain: true }),
    wire(version, { cmd: 'puback', messageId: 1, ...reason }),
    wire(version, { cmd: 'pubrec', messageId: 2, ...reason }),
    wire(version, { cmd: 'pubrel', messageId: 3 }),
    wire(version, { cmd: 'pubcomp', messageId: 4 }),
    wire(version, { cmd: 'suback', messageId: 5, granted: [0, 1, 2, 0x80] }),
    wire(version, { cmd: 'unsuback', messageId: 6, granted: [0, 0x11] }),
    wire(version, { cmd: 'pingresp' }),
    ...(version === 5
      ? [
          wire(5, { cmd: 'disconnect', reasonCode: 0x8b, properties: { reasonString: 'r', serverReference: 's' } }),
          wire(5, { cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'm' } } as never),
        ]
      : []),
  ];
}
