import { expect, test } from 'vitest';
import { PacketIds } from '../../../../lib/eventloop/session/packet-ids.js';

test('U1: hands out each of 65 535 ids once, then none', () => {
  const ids = new PacketIds();
  const taken = new Set<number>();
  for (let i = 0; i < 65_535; i++) taken.add(ids.take()!);
  expect(taken.size).toBe(65_535);
  expect([Math.min(...taken), Math.max(...taken)]).toEqual([1, 65_535]);
  expect(ids.free).toBe(0);
  expect(ids.take()).toBeUndefined();
});

test('a single id that comes back is found, wherever it is', () => {
  const ids = new PacketIds();
  for (let i = 0; i < 65_535; i++) ids.take();
  for (const id of [1, 31, 32, 33, 40_000, 65_534, 65_535]) {
    ids.release(id);
    expect(ids.free).toBe(1);
    expect(ids.take()).toBe(id);
    expect(ids.take()).toBeUndefined();
  }
});

test('an id is not used again before the others had their turn', () => {
  const ids = new PacketIds();
  expect([ids.take(), ids.take()]).toEqual([1, 2]);
  ids.release(1);
  const rest = Array.from({ length: 65_533 }, () => ids.take());
  expect(rest.every((id, index) => id === index + 3)).toBe(true);
  expect(ids.take()).toBe(1);
  expect(ids.take()).toBeUndefined();
});

test('releasing what is not taken changes nothing', () => {
  const ids = new PacketIds();
  ids.take();
  for (const id of [0, 2, 65_535]) ids.release(id);
  expect(ids.free).toBe(65_534);
  ids.release(1);
  ids.release(1);
  expect(ids.free).toBe(65_535);
});

test('never gives out an id in use, through 200 000 takes and releases in any order', () => {
  const ids = new PacketIds();
  const inUse: number[] = [];
  let state = 1;
  for (let i = 0; i < 200_000; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    if (inUse.length > 0 && (state & 0x300) === 0) ids.release(inUse.splice(state % inUse.length, 1)[0]!);
    else if (inUse.length < 500) {
      const id = ids.take()!;
      if (inUse.includes(id)) throw new Error(`${id} is in use`);
      inUse.push(id);
    } else ids.release(inUse.shift()!);
  }
  expect(ids.free).toBe(65_535 - inUse.length);
});
