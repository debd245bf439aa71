import { afterEach, describe, expect, test, vi } from 'vitest';
import { Framer } from '../../../../lib/eventloop/codec/framer.js';
import { chunked, decode, DecodeHarness, hex, publish, wire, type Decoded } from './decode-harness.js';

const versions = [4, 5] as const;

afterEach(() => {
  vi.restoreAllMocks();
});

describe.each(versions)('framing version %i', (version) => {
  const stream = Buffer.concat([
    wire(version, { cmd: 'connack', sessionPresent: true, returnCode: 0, reasonCode: 0 }),
    publish(version, { topic: 'a', payload: '' }),
    publish(version, { topic: 'b', payload: 'y'.repeat(200), qos: 1, messageId: 300, retain: true }),
    wire(version, { cmd: 'puback', messageId: 7 }),
    wire(version, { cmd: 'pingresp' }),
    wire(version, { cmd: 'suback', messageId: 8, granted: [1, 0x80] }),
    publish(version, { topic: 'ü/雪', payload: 'z', qos: 2, messageId: 1, dup: true }),
    wire(version, { cmd: 'pubrel', messageId: 9 }),
  ]);
  const whole = decode(version, stream, { connecting: true });

  test('what comes out does not depend on where the bytes were split', () => {
    expect(whole).toHaveLength(8);
    for (let split = 0; split <= stream.length; split++) {
      const chunks = [stream.subarray(0, split), stream.subarray(split)];
      expect(decode(version, chunks, { connecting: true })).toEqual(whole);
    }
  });

  test.each([1, 2, 3, 5, 7, 64])('nor on chunks of %i bytes', (size) => {
    expect(decode(version, chunked(stream, size), { connecting: true })).toEqual(whole);
  });

  test('a packet is handed over as soon as its last byte is there, not later', () => {
    const harness = new DecodeHarness(version);
    const bytes = publish(version, { payload: 'x'.repeat(150) });
    for (const byte of chunked(bytes.subarray(0, -1), 1)) harness.push(byte);
    expect(harness.decoded).toEqual([]);
    harness.push(bytes.subarray(-1));
    expect(harness.decoded).toHaveLength(1);
  });

  test('what was handed over is not overwritten by later packets', () => {
    const harness = new DecodeHarness(version);
    const payload = Buffer.alloc(5_000, 1);
    for (const byte of chunked(publish(version, { payload }), 1_000)) harness.push(byte);
    for (const byte of chunked(publish(version, { payload: Buffer.alloc(5_000, 2) }), 1_000)) harness.push(byte);
    expect(harness.decoded).toMatchObject([{ payload }, { payload: Buffer.alloc(5_000, 2) }]);
  });

  test('what is left unread of a lent chunk is kept when the chunk goes back', () => {
    const framer = new Framer(version, 1_000);
    framer.connected();
    const lent = Buffer.concat([hex('d000'), hex('d000'), hex('d0')]);
    framer.push(lent);
    expect(framer.next()).toBe(true);
    framer.release();
    lent.fill(0xee);
    framer.push(hex('00'));
    expect([framer.next(), framer.next(), framer.next()]).toEqual([true, true, false]);
  });

  test('reading may stop between two packets of a chunk and go on later', () => {
    const framer = new Framer(version, 1_000);
    framer.connected();
    framer.push(Buffer.concat([hex('d000'), hex('d000'), hex('d0')]));
    expect(framer.next()).toBe(true);
    framer.push(hex('00 d0'));
    expect([framer.next(), framer.next(), framer.next()]).toEqual([true, true, false]);
    framer.push(hex('00'));
    expect([framer.next(), framer.next()]).toEqual([true, false]);
  });

  test.each([0, 1, 2, 127, 128, 16_383, 16_384, 200_000])('a payload of %i bytes comes out whole', (bytes) => {
    const payload = Buffer.alloc(bytes, 0xa5);
    const packet = publish(version, { payload });
    for (const chunks of [[packet], chunked(packet, 1_448)]) {
      const decoded = decode(version, chunks) as { payload: Buffer }[];
      // vitest would compare element by element.
      expect(decoded.map((one) => one.payload.equals(payload))).toEqual([true]);
    }
  });

  test.each([
    ['more than four bytes of length', '30 80 80 80 80 01', 0x81],
    ['a length that is not minimal, two bytes', '30 85 00', 0x81],
    ['a length that is not minimal, four bytes', '30 85 80 80 00', 0x81],
    ['zero in two bytes', 'd0 80 00', 0x81],
  ])('%s is malformed, whatever the chunks', (_name, text, violation) => {
    for (const size of [1, 2, 100]) expect(decode(version, chunked(hex(text), size))).toMatchObject([{ violation }]);
  });

  test('a header that announces 256 MB is refused with 0x95 before anything is buffered for it', () => {
    const allocations = [
      vi.spyOn(Buffer, 'allocUnsafeSlow'),
      vi.spyOn(Buffer, 'alloc'),
      vi.spyOn(Buffer, 'allocUnsafe'),
    ];
    expect(decode(version, chunked(hex('30 ff ff ff 7f 00 01 61'), 1))).toMatchObject([{ violation: 0x95 }]);
    for (const [bytes] of allocations.flatMap(({ mock }) => mock.calls)) expect(bytes).toBeLessThanOrEqual(8_192);
  });

  test('where the limit allows 256 MB, what is buffered follows what has come, not what is announced', () => {
    const allocate = vi.spyOn(Buffer, 'allocUnsafeSlow');
    const harness = new DecodeHarness(version, { maxPacketBytes: 268_435_460 });
    harness.push(hex('30 ff ff ff 7f 00 01 61'));
    for (let i = 0; i < 100; i++) harness.push(Buffer.alloc(1_000));
    expect(harness.decoded).toEqual([]);
    expect(Math.max(...allocate.mock.calls.map(([bytes]) => bytes))).toBeLessThanOrEqual(2 * 100_008);
  });

  test('the limit counts the whole packet, header included', () => {
    const packet = publish(version, { payload: 'x'.repeat(200) });
    expect(decode(version, packet, { maxPacketBytes: packet.length })).toMatchObject([{ packet: 'PUBLISH' }]);
    expect(decode(version, packet, { maxPacketBytes: packet.length - 1 })).toMatchObject([{ violation: 0x95 }]);
  });

  test('the cost is linear: bytes copied while a packet of 1 MB comes in pieces of 100 are at most four times its size', () => {
    const packet = publish(version, { payload: Buffer.alloc(1_000_000) });
    const chunks = chunked(packet, 100);
    const original = Buffer.prototype.copy;
    let copied = 0;
    vi.spyOn(Buffer.prototype, 'copy').mockImplementation(function (this: Buffer, ...args) {
      const bytes = original.apply(this, args);
      copied += bytes;
      return bytes;
    });
    const concat = vi.spyOn(Buffer, 'concat');
    expect(decode(version, chunks, { maxPacketBytes: 2_000_000 })).toHaveLength(1);
    expect(copied).toBeGreaterThanOrEqual(packet.length);
    expect(copied).toBeLessThanOrEqual(4 * packet.length);
    expect(concat).not.toHaveBeenCalled();
  });

  test('whole packets in a chunk are not copied by the framer at all', () => {
    const packets = Buffer.concat(Array.from({ length: 100 }, () => publish(version, { payload: 'x'.repeat(100) })));
    const framer = new Framer(version, 1_000);
    framer.connected();
    const copies = [vi.spyOn(Buffer.prototype, 'copy'), vi.spyOn(Buffer, 'concat'), vi.spyOn(Buffer, 'from')];
    framer.push(packets);
    for (let i = 0; i < 100; i++) expect(framer.next()).toBe(true);
    for (const copy of copies) expect(copy).not.toHaveBeenCalled();
  });
});

const bodies: Readonly<Record<number, string>> = {
  1: '0c 0004 4d515454 04 02 003c 0000',
  2: '02 0000',
  3: '03 0001 61',
  4: '02 0001',
  5: '02 0001',
  6: '02 0001',
  7: '02 0001',
  8: '06 0001 0001 61 00',
  9: '03 0001 00',
  10: '05 0001 0001 61',
  11: '02 0001',
  12: '00',
  13: '00',
  14: '00',
  15: '00',
  0: '00',
};
/** Types that a server may send, per version and state. */
const legal = {
  4: { connecting: [2], connected: [3, 4, 5, 6, 7, 9, 11, 13] },
  5: { connecting: [2, 15], connected: [3, 4, 5, 6, 7, 9, 11, 13, 14, 15] },
};

describe.each(versions)('the packet types of version %i', (version) => {
  test.each(['connecting', 'connected'] as const)('%s, only those of the state pass', (state) => {
    const passed: number[] = [];
    for (let type = 0; type < 16; type++) {
      const flags = type === 6 || type === 8 || type === 10 ? 2 : 0;
      const [outcome] = decode(version, Buffer.concat([Buffer.from([(type << 4) | flags]), body(version, type)]), {
        connecting: state === 'connecting',
      });
      expect(outcome, `type ${type}`).toBeDefined();
      if (isViolation(outcome)) expect(outcome.violation, `type ${type}`).toBe(0x82);
      else passed.push(type);
    }
    expect(passed).toEqual(legal[version][state]);
  });

  test('reserved flags are malformed, every one of them, and seen in the first byte alone', () => {
    for (const type of legal[version].connected.filter((each) => each !== 3)) {
      for (let flags = 0; flags < 16; flags++) {
        const [outcome] = decode(version, Buffer.from([(type << 4) | flags]));
        if (flags === (type === 6 ? 2 : 0)) expect(outcome).toBeUndefined();
        else expect(outcome, `type ${type} flags ${flags}`).toMatchObject({ violation: 0x81 });
      }
    }
  });

  test('PUBLISH: QoS 3 and DUP with QoS 0 are malformed, all other flags are fine', () => {
    for (let flags = 0; flags < 16; flags++) {
      const [outcome] = decode(version, Buffer.from([0x30 | flags]));
      const isLegal = (flags & 6) !== 6 && !((flags & 8) !== 0 && (flags & 6) === 0);
      expect(outcome === undefined, `flags ${flags}`).toBe(isLegal);
    }
  });
});

function body(version: 4 | 5, type: number): Buffer {
  if (version === 4) return hex(bodies[type]!);
  const withProperties: Readonly<Record<number, string>> = {
    2: '03 0000 00',
    3: '04 0001 61 00',
    9: '04 0001 00 00',
    11: '04 0001 00 00',
  };
  return hex(withProperties[type] ?? bodies[type]!);
}

function isViolation(outcome: Decoded | undefined): outcome is Extract<Decoded, { violation: number }> {
  return outcome !== undefined && 'violation' in outcome;
}
