import { expect, test } from 'vitest';
import { describeWithMosquitto } from '../../fixtures/mosquitto.js';
import { killWhileReceiving } from '../../kill/incoming.js';
import { killWhilePublishing } from '../../kill/outgoing.js';

const SIZE = { kills: 5, qos1: 1_000, qos2: 1_000 } as const;
/** Some seconds on an idle machine. */
const TIMEOUT_MS = 180_000;
const EVERY_KIND_OF_KILL = { broker: 1, cut: 1, 'cut-at-byte': 2, 'cut-twice': 1 };

/** The small size of the kill test; in full: `npm run test:kill` (test/kill/README.md). */
describeWithMosquitto('R1, R2: kills of link and broker, persistent session', () => {
  test.each([
    [5, 11],
    [4, 12],
  ] as const)(
    'MQTT %i: no publish is lost or rejected, no QoS 2 one arrives twice',
    { timeout: TIMEOUT_MS },
    async (protocolVersion, seed) => {
      expect(await killWhilePublishing({ ...SIZE, protocolVersion, seed })).toMatchObject({
        kills: EVERY_KIND_OF_KILL,
        received: 2_000,
        lost: { 1: 0, 2: 0 },
        repeated: { 2: 0 },
        rejected: [],
      });
    },
  );

  test.each([
    [5, 13],
    [4, 14],
  ] as const)(
    'MQTT %i: no incoming message is lost, no QoS 2 one is handled twice',
    { timeout: TIMEOUT_MS },
    async (protocolVersion, seed) => {
      expect(await killWhileReceiving({ ...SIZE, protocolVersion, seed })).toMatchObject({
        kills: EVERY_KIND_OF_KILL,
        received: 2_000,
        lost: { 1: 0, 2: 0 },
        repeated: { 2: 0 },
      });
    },
  );
});
