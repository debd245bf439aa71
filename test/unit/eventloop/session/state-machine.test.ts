import { describe, expect, test } from 'vitest';
import { PacketType } from '../../../../lib/eventloop/codec/packet-types.js';
import { SessionHarness } from './session-harness.js';

const { Puback, Pubrec, Pubrel, Pubcomp } = PacketType;

describe.each([4, 5] as const)('the session of protocol version %i', (version) => {
  test('U2: QoS 0 takes no id and is not kept; QoS 1, 1, 2, 2 take ids 1 to 4', async () => {
    const it = new SessionHarness().connected({ version });
    const fireAndForget = it.publish('zero');
    expect(it.sent()).toEqual(['publish zero']);
    await expect(fireAndForget.completed).resolves.toEqual({ qos: 0, reasonCode: 0 });
    expect(it.session.outgoing.inflight).toBe(0);
    expect(it.session.isDrained).toBe(true);

    for (const [payload, qos] of [
      ['a', 1],
      ['b', 1],
      ['c', 2],
      ['d', 2],
    ] as const)
      it.publish(payload, { qos });
    expect(it.sent()).toEqual(['publish 1 a', 'publish 2 b', 'publish 3 c', 'publish 4 d']);
    expect(it.session.outgoing.inflight).toBe(4);
  });

  test('U5: PUBACK 1 completes the QoS 1 publish; PUBACK 2 does not complete the QoS 2 publish, nor PUBREC 1 the other', () => {
    const it = new SessionHarness().connected({ version });
    const one = it.publish('one', { qos: 1 });
    const two = it.publish('two', { qos: 2 });
    it.sent();
    it.session.acknowledgement(Puback, 2, 0, undefined);
    it.session.acknowledgement(Pubrec, 1, 0, undefined);
    it.session.acknowledgement(Pubcomp, 2, 0, undefined);
    expect(it.sent()).toEqual([]);
    expect([one.settled, two.settled]).toEqual([false, false]);
    expect(it.session.outgoing.inflight).toBe(2);
    expect(it.session.counters.unknownAcknowledgements).toBe(3);

    it.session.acknowledgement(Puback, 1, 0, undefined);
    expect([one.settled, two.settled]).toEqual([true, false]);
    expect(it.session.outgoing.inflight).toBe(1);
  });

  test('U6: PUBREC 2 releases publish 2 with PUBREL 2, and it stays in flight until PUBCOMP 2', async () => {
    const it = new SessionHarness().connected({ version });
    const one = it.publish('one', { qos: 2 });
    const two = it.publish('two', { qos: 2 });
    it.sent();
    it.session.acknowledgement(Pubrec, 2, 0, undefined);
    expect(it.sent()).toEqual(['pubrel 2']);
    expect(it.session.outgoing.inflight).toBe(2);
    expect(two.settled).toBe(false);

    it.session.acknowledgement(Pubrec, 1, 0, undefined);
    expect(it.sent()).toEqual(['pubrel 1']);
    it.session.acknowledgement(Pubcomp, 2, 0, undefined);
    it.session.acknowledgement(Pubcomp, 1, 0, undefined);
    expect(it.session.outgoing.inflight).toBe(0);
    await expect(Promise.all([one.completed, two.completed])).resolves.toHaveLength(2);
  });

  test('U7: an acknowledgement for an id that was never taken is counted, and nothing breaks', () => {
    const it = new SessionHarness({ inflight: 100 }).connected({ version });
    const exchange = it.publish('one', { qos: 1 });
    it.sent();
    it.session.acknowledgement(Puback, 101, 0, undefined);
    it.session.acknowledgement(Pubcomp, 65_535, 0, undefined);
    it.session.subscriptionAcknowledgement(PacketType.Suback, 7, [0], undefined);
    expect(it.session.counters.unknownAcknowledgements).toBe(3);
    expect(exchange.settled).toBe(false);
    it.session.acknowledgement(Puback, 1, 0, undefined);
    expect(exchange.settled).toBe(true);
  });

  test('U9: without a session the unacknowledged publishes start over as new ones, in order', () => {
    const it = new SessionHarness({ keepAliveSeconds: 10, throttle: undefined }).connected({ version });
    for (const payload of ['a', 'b', 'c']) it.publish(payload, { qos: 1 });
    it.sent();
    it.disconnected().connected({ version, sessionPresent: false });
    expect(it.sent()).toEqual(['publish 4 a', 'publish 5 b', 'publish 6 c']);
    expect(it.session.outgoing.inflight).toBe(3);
  });

  test('U9: with its session they are resent with DUP, their ids and their order', () => {
    const it = new SessionHarness().connected({ version });
    for (const payload of ['a', 'b', 'c']) it.publish(payload, { qos: 1 });
    it.sent();
    it.disconnected().connected({ version, sessionPresent: true });
    expect(it.sent()).toEqual(['publish 1 a dup', 'publish 2 b dup', 'publish 3 c dup']);
  });

  test('U9: a new connection does not wait for the PINGRESP of the old one', () => {
    const it = new SessionHarness({ keepAliveSeconds: 10, pingTimeoutMs: 5_000 }).connected({ version });
    it.nowMs = 10_000;
    expect(it.session.keepAlive.service(it.nowMs)).toBe(false);
    expect(it.sent()).toEqual(['pingreq']);
    it.disconnected().connected({ version });
    it.nowMs = 19_999;
    expect(it.session.keepAlive.service(it.nowMs)).toBe(false);
    expect(it.sent()).toEqual([]);
  });
});

test('U1: 65 535 ids are handed out once each, and used ones are skipped when the count starts over', () => {
  const it = new SessionHarness({ inflight: 100 }).connected({ version: 4 });
  const kept = it.publish('kept', { qos: 1 });
  expect(it.sent()).toEqual(['publish 1 kept']);
  for (let id = 2; id <= 65_535; id++) {
    const exchange = it.publish('x', { qos: 1 });
    it.flush();
    it.session.acknowledgement(Puback, id, 0, undefined);
    if (!exchange.settled) throw new Error(`${id} was not the id`);
  }
  it.publish('next', { qos: 1 });
  expect(it.sent()).toEqual(['publish 2 next']);
  expect(kept.settled).toBe(false);
});

/** Sends and completes QoS 1 publishes until every identifier that is free has been used. */
function useEveryId(it: SessionHarness): Set<number> {
  const ids = new Set<number>();
  for (let n = 1; n <= 65_535; n++) {
    const exchange = it.publish('x', { qos: 1 });
    it.flush();
    ids.add(exchange.id);
    it.session.acknowledgement(Puback, exchange.id, 0, undefined);
  }
  return ids;
}

test('a QoS 2 publish that a lowered limit ends keeps its id while the broker has the session, and no longer [MQTT-4.3.3-2]', () => {
  const it = new SessionHarness().connected();
  const exchange = it.publish('two', { qos: 2 });
  expect(it.sent()).toEqual(['publish 1 two']);
  it.disconnected().connected({ sessionPresent: true, properties: { maximumQos: 1 } });
  expect(it.sent()).toEqual([]);
  expect(exchange.settled).toBe(true);
  expect(it.session.isDrained).toBe(true);
  expect(useEveryId(it).has(1)).toBe(false);

  it.disconnected().connected({ sessionPresent: true });
  expect(useEveryId(it).has(1)).toBe(false);
  it.disconnected().connected();
  expect(useEveryId(it).has(1)).toBe(true);
});

test('U3: QoS 0, 1 and 2 come in: PUBACK 2 and PUBREC 3 leave, and only the QoS 2 id is remembered', () => {
  const it = new SessionHarness().connected();
  receive(it, 0, 0);
  receive(it, 1, 2);
  receive(it, 2, 3);
  expect(it.sent()).toEqual(['puback 2', 'pubrec 3']);
  expect(it.delivered).toHaveLength(3);
  receive(it, 1, 2);
  receive(it, 2, 3);
  expect(it.sent()).toEqual(['puback 2', 'pubrec 3']);
  expect(it.delivered.map(({ qos }) => qos)).toEqual([0, 1, 2, 1]);
});

test('U3: acknowledged by hand nothing leaves by itself, and the QoS 2 id is remembered all the same', () => {
  const it = new SessionHarness({ acknowledge: 'manual' }).connected();
  receive(it, 0, 0);
  receive(it, 1, 2);
  receive(it, 2, 3);
  receive(it, 2, 3);
  expect(it.sent()).toEqual([]);
  expect(it.delivered.map(({ qos }) => qos)).toEqual([0, 1, 2]);
  expect(it.delivered.map((message) => message.acknowledge())).toEqual([false, true, true]);
  expect(it.sent()).toEqual(['puback 2', 'pubrec 3']);
});

test('U4: QoS 2 id 1 comes in: delivered, PUBREC 1; PUBREL 1 is answered with PUBCOMP 1 and delivers nothing', () => {
  const it = new SessionHarness().connected();
  receive(it, 2, 1);
  expect(it.sent()).toEqual(['pubrec 1']);
  expect(it.delivered).toHaveLength(1);
  it.session.acknowledgement(Pubrel, 1, 0, undefined);
  expect(it.sent()).toEqual(['pubcomp 1']);
  expect(it.delivered).toHaveLength(1);
});

test('U8: a second ping waits for the answer to the first; without one the link is dead', () => {
  const it = new SessionHarness({ keepAliveSeconds: 10, pingTimeoutMs: 4_000 }).connected();
  it.nowMs = 10_000;
  expect(it.session.keepAlive.service(it.nowMs)).toBe(false);
  expect(it.sent()).toEqual(['pingreq']);
  // What we send proves nothing.
  it.nowMs = 12_000;
  it.publish('still talking');
  it.session.keepAlive.sent(it.nowMs);
  expect(it.sent()).toEqual(['publish still talking']);
  expect(it.session.keepAlive.dueMs).toBe(14_000);
  it.nowMs = 14_000;
  expect(it.session.keepAlive.service(it.nowMs)).toBe(true);
});

test('U8: answered, the second ping goes out like the first', () => {
  const it = new SessionHarness({ keepAliveSeconds: 10, pingTimeoutMs: 4_000 }).connected();
  for (const nowMs of [10_000, 21_000]) {
    it.nowMs = nowMs;
    expect(it.session.keepAlive.service(nowMs)).toBe(false);
    expect(it.sent()).toEqual(['pingreq']);
    it.session.keepAlive.sent(nowMs);
    it.session.keepAlive.received(nowMs + 1_000);
    it.session.keepAlive.sent(nowMs + 1_000);
    it.session.pingresp();
  }
});

test('U12: resends go in the order of the first sending, not of the ids', () => {
  const it = new SessionHarness().connected();
  for (let id = 1; id <= 65_533; id++) {
    it.publish('x', { qos: 1 });
    it.flush();
    it.session.acknowledgement(Puback, id, 0, undefined);
  }
  for (const payload of ['a', 'b', 'c', 'd']) it.publish(payload, { qos: 1 });
  expect(it.sent()).toEqual(['publish 65534 a', 'publish 65535 b', 'publish 1 c', 'publish 2 d']);
  for (let round = 1; round <= 2; round++) {
    it.disconnected().connected({ sessionPresent: true });
    expect(it.sent()).toEqual(['publish 65534 a dup', 'publish 65535 b dup', 'publish 1 c dup', 'publish 2 d dup']);
  }
});

test('U12: an interrupted resend starts again from the first one, in the original order [D5]', () => {
  const it = new SessionHarness({ inflight: 4 }).connected();
  for (let i = 1; i <= 4; i++) it.publish(`${i}`, { qos: 1 });
  it.sent();
  it.disconnected().connected({ sessionPresent: true, properties: { receiveMaximum: 2 } });
  expect(it.sent()).toEqual(['publish 1 1 dup', 'publish 2 2 dup']);
  it.disconnected().connected({ sessionPresent: true });
  expect(it.sent()).toEqual(['publish 1 1 dup', 'publish 2 2 dup', 'publish 3 3 dup', 'publish 4 4 dup']);
});

test('U13: with a window of 2 the third QoS 2 publish waits for a slot, never for an id', () => {
  const it = new SessionHarness({ inflight: 2 }).connected();
  for (const payload of ['one', 'two', 'three', 'four']) it.publish(payload, { qos: 2 });
  expect(it.sent()).toEqual(['publish 1 one', 'publish 2 two']);
  expect(it.session.outgoing.inflight).toBe(2);

  it.session.acknowledgement(Pubrec, 1, 0, undefined);
  expect(it.sent()).toEqual(['pubrel 1']);
  it.session.acknowledgement(Pubcomp, 1, 0, undefined);
  expect(it.sent()).toEqual(['publish 3 three']);
  it.session.acknowledgement(Pubrec, 2, 0, undefined);
  it.session.acknowledgement(Pubcomp, 2, 0, undefined);
  expect(it.sent()).toEqual(['pubrel 2', 'publish 4 four']);
  expect(it.session.outgoing.inflight).toBe(2);
});

function receive(it: SessionHarness, qos: 0 | 1 | 2, id: number): void {
  it.session.publish(qos << 1, id, 'a', Buffer.from('x'));
}
