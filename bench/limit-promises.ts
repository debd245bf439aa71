/** What nobody can do without who gives every caller a promise: the promise, and what resolves it. A hundred are resolved a turn. */
import type { BenchClient, Connect } from './clients/client.js';
import { WINDOW } from './wire.js';

interface Waiting {
  readonly resolve: (result: object) => void;
  readonly reject: (error: Error) => void;
}

const RESULT = {};

export const connectToNobody: Connect = async ({ inflight = WINDOW }): Promise<BenchClient> => {
  const ring: (Waiting | undefined)[] = Array.from({ length: inflight }, () => undefined);
  let first = 0;
  let count = 0;
  let isOpen = true;
  const turn = (): void => {
    for (let resolved = 0; resolved < WINDOW && count > 0; resolved++) {
      const { resolve } = ring[first]!;
      ring[first] = undefined;
      first = (first + 1) % inflight;
      count--;
      resolve(RESULT);
    }
    if (isOpen) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    publish: () =>
      new Promise((resolve, reject) => {
        ring[(first + count++) % inflight] = { resolve, reject };
      }),
    onMessage: () => {},
    subscribe: async () => {},
    close: async () => {
      isOpen = false;
    },
  };
};
