import { MqttArgumentError } from '../eventloop/errors.js';
import type { IncomingMessage } from '../eventloop/messages.js';

/** Lanes kept for reuse. */
const mostSpareLanes = 1_024;

/** The members of one key, a chain from the first to the last. @internal */
export interface Lane {
  key: string;
  last: LaneMember | undefined;
}

/** Somebody who stands in a lane. @internal */
export interface LaneMember {
  lane: Lane | undefined;
  behind: LaneMember | undefined;
  /** Its turn has come. */
  proceed(): void;
}

/**
 * One lane for each key: its members go one after the other, in order of arrival. Only keys with members are held.
 *
 * @internal
 */
export class KeyLanes {
  // Lanes, which are reused, and not members: a map that grows or shrinks leaves its old table to the garbage collector, which
  // would keep what the table refers to until a full collection.
  readonly #lanes = new Map<string, Lane>();
  readonly #spare: Lane[] = [];

  /** Keys that have members. */
  get size(): number {
    return this.#lanes.size;
  }

  /** False: it waits, and proceeds when its turn has come. */
  enter(member: LaneMember, key: string): boolean {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = this.#spare.pop() ?? { key, last: undefined };
      lane.key = key;
      this.#lanes.set(key, lane);
    }
    member.lane = lane;
    const { last } = lane;
    lane.last = member;
    if (last === undefined) return true;
    last.behind = member;
    return false;
  }

  /** Only the first of a lane can leave it. */
  leave(member: LaneMember): void {
    const { behind, lane } = member;
    if (lane === undefined) return;
    member.lane = undefined;
    member.behind = undefined;
    if (behind !== undefined) return behind.proceed();
    this.#lanes.delete(lane.key);
    lane.last = undefined;
    lane.key = '';
    if (this.#spare.length < mostSpareLanes) this.#spare.push(lane);
  }
}

/**
 * The key of a message, from the function that the `ordering` option gives.
 *
 * @throws anything
 * @internal
 */
export function readKey(keyOf: (message: IncomingMessage) => unknown, message: IncomingMessage): string {
  const key = keyOf(message);
  if (typeof key !== 'string') throw new MqttArgumentError('key of ordering', key, 'a string');
  return key;
}
