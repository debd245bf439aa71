/** Somebody who stands in a lane. @internal */
export interface LaneMember {
  /** In which lane it stands. */
  laneKey: string | undefined;
  behind: LaneMember | undefined;
  /** Its turn has come. */
  proceed(): void;
}

/**
 * One lane for each key: its members go one after the other, in order of arrival. Only keys with members are held, and a
 * lane is a chain through its members.
 *
 * @internal
 */
export class KeyLanes {
  /** The last member of each lane. */
  readonly #last = new Map<string, LaneMember>();

  /** Keys that have members. */
  get size(): number {
    return this.#last.size;
  }

  /** False: it waits, and proceeds when its turn has come. */
  enter(member: LaneMember, key: string): boolean {
    const last = this.#last.get(key);
    this.#last.set(key, member);
    member.laneKey = key;
    if (last === undefined) return true;
    last.behind = member;
    return false;
  }

  /** Only the first of a lane can leave it. */
  leave(member: LaneMember): void {
    const { behind, laneKey } = member;
    if (laneKey === undefined) return;
    member.laneKey = undefined;
    member.behind = undefined;
    if (behind === undefined) this.#last.delete(laneKey);
    else behind.proceed();
  }
}
