import type { Work } from './count.js';

/** Bounds of {@link Work}; the bytes that leave are exact and follow from the packets. */
export type Budget = Readonly<Omit<Work, 'bytes'>>;

/**
 * What 1 000 messages of 256 B may cost, in rounds of 100: 100 publishes asked for in one turn, 100 messages in one chunk.
 *
 * | counter        | why                                                                                                     |
 * | -------------- | ------------------------------------------------------------------------------------------------------- |
 * | writes         | what one turn asks for leaves in one write: 10 rounds, 10 writes; QoS 2 takes two round trips, so 20    |
 * | promises       | one a publish, because its caller gets one, and at QoS 0 one a write; none for a message that comes in  |
 * | timers         | none: keep alive moves one timer, and not with every message                                            |
 * | immediates     | the pump runs once a turn and asks for it with one immediate; one turn more finds nothing left to do    |
 * | ticks          | Node's streams use one a write or chunk; nothing of ours does                                           |
 * | allocatedBytes | the heap: a third more than was measured, on Node 20 or 24; outgoing with the caller's `then`   |
 * | bufferBytes    | outgoing: none, the socket's buffer is used again; incoming: one copy of what holds the payload        |
 *
 * A budget that is exceeded is a regression, or a deliberate decision that changes this table.
 */
export const BUDGETS: Readonly<Record<'out' | 'in', readonly [qos0: Budget, qos1: Budget, qos2: Budget]>> = {
  out: [
    {
      writes: 10,
      promises: 1_010,
      timers: 0,
      immediates: 11,
      ticks: 10,
      allocatedBytes: 430_000,
      bufferBytes: 10_000,
    },
    {
      writes: 10,
      promises: 1_000,
      timers: 0,
      immediates: 11,
      ticks: 10,
      allocatedBytes: 960_000,
      bufferBytes: 10_000,
    },
    {
      writes: 20,
      promises: 1_000,
      timers: 0,
      immediates: 21,
      ticks: 20,
      allocatedBytes: 1_070_000,
      bufferBytes: 10_000,
    },
  ],
  in: [
    { writes: 0, promises: 0, timers: 0, immediates: 11, ticks: 10, allocatedBytes: 475_000, bufferBytes: 320_000 },
    { writes: 10, promises: 0, timers: 0, immediates: 11, ticks: 10, allocatedBytes: 530_000, bufferBytes: 320_000 },
    { writes: 20, promises: 0, timers: 0, immediates: 21, ticks: 20, allocatedBytes: 815_000, bufferBytes: 320_000 },
  ],
};
